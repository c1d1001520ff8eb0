//! A picture as a list of shapes, in pixels from the upper left corner. What draws it does not know what it shows.

/// Width of a letter; the font is monospaced.
pub(super) const LETTER_WIDTH: f32 = 8.0;
/// Height of a line of text.
pub(super) const LETTER_HEIGHT: f32 = 16.0;

/// Red, green and blue.
pub(super) type Color = (u8, u8, u8);

pub(super) const BLACK: Color = (0x22, 0x22, 0x22);
pub(super) const GREY: Color = (0xd8, 0xd8, 0xd8);
/// Told apart by people who see few colours, too (Okabe and Ito).
const SERIES: [Color; 6] = [
    (0x00, 0x72, 0xb2),
    (0xd5, 0x5e, 0x00),
    (0x00, 0x9e, 0x73),
    (0xcc, 0x79, 0xa7),
    (0xe6, 0x9f, 0x00),
    (0x56, 0xb4, 0xe9),
];

/// The colour of a series.
pub(super) fn series_color(index: usize) -> Color {
    SERIES[index % SERIES.len()]
}

/// Where a text stands to its point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Shape {
    /// A line through points.
    Line {
        points: Vec<(f32, f32)>,
        color: Color,
        width: f32,
    },
    /// A filled rectangle: left, top, width, height.
    Rect {
        place: (f32, f32, f32, f32),
        color: Color,
    },
    /// A text whose baseline is at a point.
    Text {
        at: (f32, f32),
        text: String,
        anchor: Anchor,
        color: Color,
    },
}

/// A picture.
#[derive(Clone, PartialEq, Debug)]
pub struct Figure {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) shapes: Vec<Shape>,
}

impl Figure {
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            shapes: Vec::new(),
        }
    }

    pub(super) fn line(&mut self, points: Vec<(f32, f32)>, color: Color, width: f32) {
        self.shapes.push(Shape::Line {
            points,
            color,
            width,
        });
    }

    pub(super) fn rect(&mut self, place: (f32, f32, f32, f32), color: Color) {
        self.shapes.push(Shape::Rect { place, color });
    }

    pub(super) fn text(&mut self, at: (f32, f32), text: impl Into<String>, anchor: Anchor) {
        self.shapes.push(Shape::Text {
            at,
            text: text.into(),
            anchor,
            color: BLACK,
        });
    }
}
