//! Bars side by side: a group per load, a bar per server.

use super::axis::{Axis, Scale, short};
use super::chart::legend;
use super::figure::{Anchor, BLACK, Figure, GREY, LETTER_HEIGHT, LETTER_WIDTH, series_color};

const MARGIN_LEFT: f32 = 72.0;
const MARGIN_RIGHT: f32 = 16.0;
const MARGIN_TOP: f32 = 56.0;
const HEIGHT: f32 = 360.0;
const BAR_WIDTH: f32 = 46.0;
const GROUP_GAP: f32 = 28.0;

/// One bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Its group.
    pub group: String,
    /// Its server.
    pub series: String,
    /// Its height.
    pub value: f64,
}

/// Bars side by side.
#[derive(Clone, Debug)]
pub struct Bars {
    /// What stands above.
    pub title: String,
    /// What the height means.
    pub y_label: &'static str,
    /// The bars; groups and series come in the order of their first ones.
    pub bars: Vec<Bar>,
}

impl Bars {
    /// The picture.
    #[must_use]
    pub fn draw(&self) -> Figure {
        let groups = in_order(self.bars.iter().map(|bar| &*bar.group));
        let names = in_order(self.bars.iter().map(|bar| &*bar.series));
        let widest = groups.iter().map(|group| group.chars().count()).max();
        let text_width = (widest.unwrap_or(0) as f32 + 1.0) * LETTER_WIDTH;
        let group_width = (names.len() as f32 * BAR_WIDTH).max(text_width - GROUP_GAP) + GROUP_GAP;
        let width = MARGIN_LEFT + MARGIN_RIGHT + group_width * groups.len().max(3) as f32;
        let below = HEIGHT - 2.0 * LETTER_HEIGHT;
        let mut figure = Figure::new(width as u32, HEIGHT as u32);
        let axis = Axis::over(Scale::Linear, self.bars.iter().map(|bar| bar.value));
        let y = |value: f64| below - axis.place(value) * (below - MARGIN_TOP);
        for (value, text) in axis.ticks() {
            let ends = vec![(MARGIN_LEFT, y(value)), (width - MARGIN_RIGHT, y(value))];
            figure.line(ends, GREY, 1.0);
            figure.text((MARGIN_LEFT - 6.0, y(value) + 5.0), text, Anchor::End);
        }
        for (index, group) in groups.iter().enumerate() {
            let middle = MARGIN_LEFT + (index as f32 + 0.5) * group_width;
            let left = middle - names.len() as f32 * BAR_WIDTH / 2.0;
            for bar in self.bars.iter().filter(|bar| bar.group == *group) {
                let Some(place) = names.iter().position(|name| *name == bar.series) else {
                    continue;
                };
                let x = left + place as f32 * BAR_WIDTH;
                let top = y(bar.value);
                figure.rect(
                    (x + 2.0, top, BAR_WIDTH - 4.0, below - top),
                    series_color(place),
                );
                figure.text(
                    (x + BAR_WIDTH / 2.0, top - 4.0),
                    short(bar.value),
                    Anchor::Middle,
                );
            }
            figure.text((middle, below + LETTER_HEIGHT), *group, Anchor::Middle);
        }
        let line = vec![(MARGIN_LEFT, below), (width - MARGIN_RIGHT, below)];
        figure.line(line, BLACK, 1.0);
        figure.text((MARGIN_LEFT, 18.0), &*self.title, Anchor::Start);
        figure.text((6.0, MARGIN_TOP - 18.0), self.y_label, Anchor::Start);
        legend(
            &mut figure,
            &names,
            (width - MARGIN_RIGHT, MARGIN_TOP - 18.0),
        );
        figure
    }
}

fn in_order<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_stands_in_its_group_with_its_value() {
        let bar = |group: &str, series: &str, value| Bar {
            group: group.to_owned(),
            series: series.to_owned(),
            value,
        };
        let bars = Bars {
            title: "CPU".to_owned(),
            y_label: "us/op",
            bars: vec![
                bar("GET", "tessera", 6.5),
                bar("GET", "redis", 8.25),
                bar("SET", "redis", 9.0),
            ],
        };
        let svg = bars.draw().svg();
        for text in [
            ">6.5<",
            ">8.25<",
            ">9<",
            ">GET<",
            ">SET<",
            ">tessera<",
            ">CPU<",
        ] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(bars.draw().png().unwrap().starts_with(b"\x89PNG"));
    }
}
