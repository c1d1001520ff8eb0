//! The machine the figures come from.

use std::fs;

use serde::Serialize;

use crate::process::own_cpus;

/// What matters about a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// CPU model.
    pub cpu: String,
    /// CPUs that the run could use.
    pub cpus: usize,
    /// Memory in MB.
    pub memory_mb: u64,
    /// Kernel release.
    pub kernel: String,
    /// Whether it is a virtual machine, as far as the CPU says.
    pub is_virtual: bool,
}

impl Machine {
    /// This machine.
    #[must_use]
    pub fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let field = |text: &str, name: &str| {
            text.lines()
                .find(|line| line.starts_with(name))
                .and_then(|line| line.split_once(':'))
                .map(|(_, value)| value.trim().to_owned())
        };
        let kilobytes = field(&read("/proc/meminfo"), "MemTotal")
            .and_then(|value| value.trim_end_matches("kB").trim().parse::<u64>().ok());
        Self {
            cpu: field(&cpuinfo, "model name").unwrap_or_else(|| "unknown".to_owned()),
            cpus: own_cpus(),
            memory_mb: kilobytes.unwrap_or(0) / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            is_virtual: field(&cpuinfo, "flags").is_some_and(|flags| flags.contains("hypervisor")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_cpus_memory_and_a_kernel() {
        let machine = Machine::this();
        assert!(machine.cpus >= 1 && machine.memory_mb > 0);
        assert!(!machine.kernel.is_empty());
    }
}
