//! A figure as SVG.

use std::fmt::Write as _;

use super::figure::{Anchor, Color, Figure, Shape};

/// A letter of a monospaced font of this size is as wide as the bitmap font's.
const FONT_SIZE: f32 = 13.3;

impl Figure {
    /// The text of an SVG file.
    #[must_use]
    pub fn svg(&self) -> String {
        let (width, height) = (self.width, self.height);
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"monospace\" font-size=\"{FONT_SIZE}\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
        );
        for shape in &self.shapes {
            append_shape(shape, &mut text);
        }
        text.push_str("</svg>\n");
        text
    }
}

fn append_shape(shape: &Shape, svg: &mut String) {
    match shape {
        Shape::Line {
            points,
            color,
            width,
        } => {
            svg.push_str("<polyline fill=\"none\" points=\"");
            for (x, y) in points {
                let _ = write!(svg, "{x:.1},{y:.1} ");
            }
            let _ = writeln!(
                svg,
                "\" stroke=\"{}\" stroke-width=\"{width}\"/>",
                hex(*color)
            );
        }
        Shape::Rect { place, color } => {
            let (x, y, width, height) = place;
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{}\"/>",
                hex(*color)
            );
        }
        Shape::Text {
            at: (x, y),
            text,
            anchor,
            color,
        } => {
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{}\">{}</text>",
                hex(*color),
                escaped(text)
            );
        }
    }
}

fn hex((red, green, blue): Color) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_an_element_and_text_is_escaped() {
        let mut figure = Figure::new(100, 50);
        figure.line(vec![(0.0, 1.0), (2.0, 3.5)], (1, 2, 255), 1.5);
        figure.rect((1.0, 2.0, 3.0, 4.0), (0, 0, 0));
        figure.text((5.0, 6.0), "a < b & c", Anchor::End);
        let svg = figure.svg();
        assert!(svg.contains("points=\"0.0,1.0 2.0,3.5 \" stroke=\"#0102ff\""));
        assert!(
            svg.contains(
                "<rect x=\"1.0\" y=\"2.0\" width=\"3.0\" height=\"4.0\" fill=\"#000000\"/>"
            )
        );
        assert!(svg.contains("text-anchor=\"end\" fill=\"#222222\">a &lt; b &amp; c</text>"));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }
}
