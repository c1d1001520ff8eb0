//! Plots.
use crate::error::BenchError;
use crate::report::PhaseReport;
/// Writes plots.
pub fn write_plots(
    _prefix: &str,
    _name: Option<&str>,
    _report: &PhaseReport,
) -> Result<(), BenchError> {
    Ok(())
}
