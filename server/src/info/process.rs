//! What the kernel knows of the process: time on processors, its names.

/// Seconds on processors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CpuTimes {
    /// In user mode.
    pub user_s: f64,
    /// In the kernel.
    pub system_s: f64,
    /// Of ended children, in user mode.
    pub children_user_s: f64,
    /// Of ended children, in the kernel.
    pub children_system_s: f64,
}

/// Of the whole process.
#[must_use]
pub fn cpu_times() -> CpuTimes {
    read("/proc/self/stat")
}

/// Of the main thread.
pub(super) fn main_thread_times() -> CpuTimes {
    read(&format!("/proc/self/task/{}/stat", std::process::id()))
}

fn read(path: &str) -> CpuTimes {
    parse(
        &std::fs::read_to_string(path).unwrap_or_default(),
        rustix::param::clock_ticks_per_second(),
    )
}

/// Fields 14 to 17 of `stat`, in clock ticks. The name of the program, in parentheses, may hold anything, so that counting starts
/// behind it, at field 3.
fn parse(text: &str, ticks_per_s: u64) -> CpuTimes {
    let fields: Vec<&str> = text
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_whitespace()
        .collect();
    let seconds = |field: usize| {
        let ticks: Option<f64> = fields.get(field - 3).and_then(|ticks| ticks.parse().ok());
        ticks.unwrap_or(0.0) / ticks_per_s.max(1) as f64
    };
    CpuTimes {
        user_s: seconds(14),
        system_s: seconds(15),
        children_user_s: seconds(16),
        children_system_s: seconds(17),
    }
}

/// System, release and machine.
pub(super) fn system_name() -> String {
    let name = rustix::system::uname();
    let part = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    format!(
        "{} {} {}",
        part(name.sysname()),
        part(name.release()),
        part(name.machine())
    )
}

/// The program's file.
pub(super) fn executable() -> String {
    std::env::current_exe()
        .map(|path| path.display().to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_behind_an_odd_name() {
        let text = "42 (a) b (c)) S 1 42 42 0 -1 4194304 100 0 0 0 150 250 3 4 20 0 1 0";
        let times = parse(text, 100);
        assert_eq!((times.user_s, times.system_s), (1.5, 2.5));
        assert_eq!(
            (times.children_user_s, times.children_system_s),
            (0.03, 0.04)
        );
        assert_eq!(parse("", 100), CpuTimes::default());
    }

    #[test]
    fn the_system_has_a_name() {
        assert!(system_name().starts_with("Linux "));
    }
}
