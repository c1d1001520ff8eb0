//! A figure as PNG: lines and rectangles by a software rasterizer, letters from a bitmap font.

use std::io;

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster};
use tiny_skia::{
    Color as SkiaColor, Paint, PathBuilder, Pixmap, PremultipliedColorU8, Rect, Stroke, Transform,
};

use super::figure::{Anchor, Color, Figure, LETTER_WIDTH, Shape};

/// From the top of a letter's raster to its baseline.
const BASELINE: f32 = 13.0;

impl Figure {
    /// The bytes of a PNG file.
    ///
    /// # Errors
    /// When the picture has no size, or cannot be encoded.
    pub fn png(&self) -> io::Result<Vec<u8>> {
        let no_size = || io::Error::other("a picture without a size");
        let mut canvas = Pixmap::new(self.width, self.height).ok_or_else(no_size)?;
        canvas.fill(SkiaColor::WHITE);
        for shape in &self.shapes {
            draw(shape, &mut canvas);
        }
        canvas.encode_png().map_err(io::Error::other)
    }
}

fn draw(shape: &Shape, canvas: &mut Pixmap) {
    match shape {
        Shape::Line {
            points,
            color,
            width,
        } => {
            let mut path = PathBuilder::new();
            for (index, (x, y)) in points.iter().enumerate() {
                if index == 0 {
                    path.move_to(*x, *y);
                } else {
                    path.line_to(*x, *y);
                }
            }
            let stroke = Stroke {
                width: *width,
                ..Stroke::default()
            };
            if let Some(path) = path.finish() {
                canvas.stroke_path(&path, &paint(*color), &stroke, Transform::identity(), None);
            }
        }
        Shape::Rect { place, color } => {
            let (x, y, width, height) = *place;
            // A bar of no height is no rectangle.
            if let Some(rect) = Rect::from_xywh(x, y, width, height) {
                canvas.fill_rect(rect, &paint(*color), Transform::identity(), None);
            }
        }
        Shape::Text {
            at,
            text,
            anchor,
            color,
        } => draw_text(canvas, *at, text, *anchor, *color),
    }
}

fn paint((red, green, blue): Color) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, 255);
    paint
}

fn draw_text(canvas: &mut Pixmap, (x, y): (f32, f32), text: &str, anchor: Anchor, color: Color) {
    let length = text.chars().count() as f32 * LETTER_WIDTH;
    let left = match anchor {
        Anchor::Start => x,
        Anchor::Middle => x - length / 2.0,
        Anchor::End => x - length,
    };
    let top = (y - BASELINE).round() as i32;
    for (index, letter) in text.chars().enumerate() {
        // What the font lacks is a question mark: it has the letters of ASCII.
        let raster = |letter| get_raster(letter, FontWeight::Regular, RasterHeight::Size16);
        let Some(raster) = raster(letter).or_else(|| raster('?')) else {
            continue;
        };
        let at = (left + index as f32 * LETTER_WIDTH).round() as i32;
        for (row, pixels) in (0i32..).zip(raster.rows()) {
            for (column, strength) in (0i32..).zip(pixels.iter()) {
                blend(canvas, at + column, top + row, *strength, color);
            }
        }
    }
}

/// Mixes a colour into a pixel of an opaque picture.
fn blend(canvas: &mut Pixmap, x: i32, y: i32, strength: u8, (red, green, blue): Color) {
    let (Ok(column), Ok(row)) = (u32::try_from(x), u32::try_from(y)) else {
        return;
    };
    if strength == 0 || column >= canvas.width() || row >= canvas.height() {
        return;
    }
    let index = (row * canvas.width() + column) as usize;
    let pixel = &mut canvas.pixels_mut()[index];
    let strength = u16::from(strength);
    let mix = |below: u8, above: u8| {
        ((u16::from(below) * (255 - strength) + u16::from(above) * strength) / 255) as u8
    };
    let mixed = PremultipliedColorU8::from_rgba(
        mix(pixel.red(), red),
        mix(pixel.green(), green),
        mix(pixel.blue(), blue),
        255,
    );
    *pixel = mixed.unwrap_or(*pixel);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(figure: &Figure) -> Pixmap {
        Pixmap::decode_png(&figure.png().unwrap()).unwrap()
    }

    fn dark(canvas: &Pixmap) -> usize {
        let is_dark = |pixel: &&PremultipliedColorU8| pixel.red() < 128;
        canvas.pixels().iter().filter(is_dark).count()
    }

    #[test]
    fn shapes_and_letters_leave_their_marks() {
        let mut figure = Figure::new(60, 40);
        assert_eq!(dark(&pixels(&figure)), 0);
        figure.rect((10.0, 10.0, 5.0, 4.0), (0, 0, 0));
        assert_eq!(dark(&pixels(&figure)), 20);
        figure.line(vec![(0.0, 30.5), (60.0, 30.5)], (0, 0, 0), 1.0);
        assert_eq!(dark(&pixels(&figure)), 80);
        let mut letters = Figure::new(60, 40);
        letters.text((5.0, 20.0), "GET\u{1F600}", Anchor::Start);
        assert!(dark(&pixels(&letters)) > 40);
    }

    #[test]
    fn a_text_may_lie_outside() {
        let mut figure = Figure::new(10, 10);
        figure.text((0.0, 0.0), "far left", Anchor::End);
        assert_eq!(dark(&pixels(&figure)), 0);
        assert!(Figure::new(0, 1).png().is_err());
    }
}
