//! A small picture of samples in text: bars of four lines, each with three heights, and under each bar how long ago it was.

use crate::spikes::Series;

/// Bars in a row of the picture.
pub(super) const COLUMNS: usize = 80;

const LINES: usize = 4;
/// The top of a bar inside its line.
const TOPS: [char; 3] = ['_', 'o', '#'];

/// The picture.
pub(super) fn draw(series: &Series, now_s: u64) -> String {
    let each = || series.samples.iter().map(|sample| sample.ms);
    let (low, high) = (each().min().unwrap_or(0), each().max().unwrap_or(0));
    let bars: Vec<(usize, String)> = series
        .samples
        .iter()
        .map(|sample| {
            let bar = height(sample.ms - low, (high - low).max(1));
            (bar, ago(now_s.saturating_sub(sample.unix_s)))
        })
        .collect();
    let rows: Vec<String> = bars.chunks(COLUMNS).map(row).collect();
    rows.join("\n")
}

/// The height of a bar, from 0.
fn height(part: u64, whole: u64) -> usize {
    let heights = LINES * TOPS.len();
    let height = u128::from(part) * heights as u128 / u128::from(whole);
    (height as usize).min(heights - 1)
}

fn row(bars: &[(usize, String)]) -> String {
    let mut text = String::new();
    for line in (0..LINES).rev() {
        let floor = line * TOPS.len();
        text.extend(
            bars.iter()
                .map(|(height, _)| match height.checked_sub(floor) {
                    None => ' ',
                    Some(above) => TOPS.get(above).copied().unwrap_or('|'),
                }),
        );
        text.push('\n');
    }
    text.extend(bars.iter().map(|_| ' '));
    text.push('\n');
    let longest = bars.iter().map(|(_, label)| label.len()).max().unwrap_or(0);
    for at in 0..longest {
        text.extend(
            bars.iter()
                .map(|(_, label)| label.chars().nth(at).unwrap_or(' ')),
        );
        text.push('\n');
    }
    text
}

/// How long ago, in the largest unit that fits.
fn ago(s: u64) -> String {
    match s {
        0..60 => format!("{s}s"),
        60..3_600 => format!("{}m", s / 60),
        3_600..86_400 => format!("{}h", s / 3_600),
        _ => format!("{}d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spikes::Sample;

    fn series(samples: &[(u64, u64)]) -> Series {
        Series {
            samples: samples
                .iter()
                .map(|&(unix_s, ms)| Sample { unix_s, ms })
                .collect(),
            worst_ms: 0,
        }
    }

    #[test]
    fn bars_and_their_ages() {
        // As redis-server draws one sample.
        assert_eq!(draw(&series(&[(9, 108)]), 9), " \n \n \n_\n \n0\ns\n");
        let drawn = draw(
            &series(&[(0, 10), (90_000, 70), (93_585, 130), (93_597, 40)]),
            93_600,
        );
        let lines = [
            "  # ", " _| ", " ||_", "_|||", "    ", "1113", "dh5s", "  s ",
        ];
        assert_eq!(drawn, lines.join("\n") + "\n");
    }

    #[test]
    fn many_bars_take_several_rows() {
        let many: Vec<(u64, u64)> = (0..81).map(|at| (at, 1)).collect();
        let drawn = draw(&series(&many), 81);
        assert_eq!(drawn.lines().count(), 9 + 7);
        assert!(drawn.lines().all(|line| line.len() <= COLUMNS));
    }
}
