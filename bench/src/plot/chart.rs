//! Lines over two axes, with a title, a grid and the names of the lines.

use super::axis::{Axis, Scale};
use super::figure::{Anchor, BLACK, Figure, GREY, LETTER_HEIGHT, LETTER_WIDTH, series_color};

const MARGIN_LEFT: f32 = 72.0;
const MARGIN_RIGHT: f32 = 24.0;
const MARGIN_TOP: f32 = 52.0;
const MARGIN_BOTTOM: f32 = 44.0;
const LINE_WIDTH: f32 = 2.0;

/// A line.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

/// Lines over two axes.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What stands above it.
    pub title: String,
    /// What the axis below means.
    pub x_label: &'static str,
    /// What the axis at the left means.
    pub y_label: &'static str,
    /// The lines.
    pub series: Vec<Series>,
    /// Whether the axis below is of percentiles, and the one at the left of powers of ten.
    pub percentiles: bool,
}

impl Chart {
    /// Several charts below each other as one picture.
    #[must_use]
    pub fn draw(charts: &[Self], width: u32, height_each: u32) -> Figure {
        let count = u32::try_from(charts.len()).unwrap_or(1);
        let mut figure = Figure::new(width, height_each * count);
        for (index, chart) in charts.iter().enumerate() {
            let top = index as f32 * height_each as f32;
            chart.draw_at(&mut figure, top, width as f32, height_each as f32);
        }
        figure
    }

    fn draw_at(&self, figure: &mut Figure, top: f32, width: f32, height: f32) {
        let points = || self.series.iter().flat_map(|series| series.points.iter());
        let (x_scale, y_scale) = if self.percentiles {
            (Scale::Nines, Scale::Log)
        } else {
            (Scale::Linear, Scale::Linear)
        };
        let xs = Axis::over(x_scale, points().map(|point| point.0));
        let ys = Axis::over(y_scale, points().map(|point| point.1));
        let (left, right) = (MARGIN_LEFT, width - MARGIN_RIGHT);
        let (above, below) = (top + MARGIN_TOP, top + height - MARGIN_BOTTOM);
        let x = |value: f64| left + xs.place(value) * (right - left);
        let y = |value: f64| below - ys.place(value) * (below - above);
        for (value, text) in xs.ticks() {
            figure.line(vec![(x(value), above), (x(value), below)], GREY, 1.0);
            figure.text((x(value), below + LETTER_HEIGHT), text, Anchor::Middle);
        }
        for (value, text) in ys.ticks() {
            figure.line(vec![(left, y(value)), (right, y(value))], GREY, 1.0);
            figure.text((left - 6.0, y(value) + 5.0), text, Anchor::End);
        }
        figure.line(
            vec![(left, above), (left, below), (right, below)],
            BLACK,
            1.0,
        );
        for (index, series) in self.series.iter().enumerate() {
            let line: Vec<(f32, f32)> = series.points.iter().map(|p| (x(p.0), y(p.1))).collect();
            if line.len() > 1 {
                figure.line(line, series_color(index), LINE_WIDTH);
            }
        }
        figure.text((left, top + 20.0), &*self.title, Anchor::Start);
        figure.text((6.0, above - 14.0), self.y_label, Anchor::Start);
        figure.text(
            (right, below + 2.0 * LETTER_HEIGHT),
            self.x_label,
            Anchor::End,
        );
        let names: Vec<&str> = self.series.iter().map(|series| &*series.name).collect();
        legend(figure, &names, (right, above - 8.0));
    }
}

/// The names of the series in their colours, ending at a point.
pub(super) fn legend(figure: &mut Figure, names: &[&str], (right, baseline): (f32, f32)) {
    if names.len() < 2 {
        return;
    }
    let mut at = right;
    for (index, name) in names.iter().enumerate().rev() {
        at -= name.chars().count() as f32 * LETTER_WIDTH;
        figure.text((at, baseline), *name, Anchor::Start);
        at -= 16.0;
        figure.rect((at, baseline - 10.0, 11.0, 11.0), series_color(index));
        at -= 14.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_a_line_and_has_a_name() {
        let series = |name: &str| Series {
            name: name.to_owned(),
            points: vec![(0.0, 0.1), (50.0, 0.2), (99.9, 3.0)],
        };
        let chart = Chart {
            title: "t".to_owned(),
            x_label: "percentile",
            y_label: "ms",
            series: vec![series("redis"), series("tessera")],
            percentiles: true,
        };
        let svg = Chart::draw(&[chart.clone(), chart], 640, 300).svg();
        assert!(svg.contains("height=\"600\""));
        assert_eq!(svg.matches(">redis<").count(), 2);
        assert_eq!(svg.matches("stroke-width=\"2\"").count(), 4);
    }
}
