//! Plots of the results, each as SVG and as PNG from the same shapes. No font, library or program of the system is
//! used: SVG names a family, and PNG has the letters of a bitmap font that is compiled in.

mod axis;
mod bars;
mod chart;
mod figure;
mod png;
mod svg;
mod write;

pub use bars::{Bar, Bars};
pub use chart::{Chart, Series};
pub use figure::Figure;
pub use write::{latency_chart, write_figure, write_plots};
