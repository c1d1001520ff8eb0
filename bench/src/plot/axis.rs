//! An axis: where a value lies between its ends, and which values are written beside it.

/// How values are spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scale {
    Linear,
    /// Powers of ten.
    Log,
    /// Percentiles by their distance to 100: every nine takes the same room.
    Nines,
}

/// An axis.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
}

/// The highest percentile that is drawn.
const NINES_MAX: f64 = 99.999;

impl Axis {
    /// From 0 (or, with powers of ten, from the lowest value) to the highest of some values.
    pub(super) fn over(scale: Scale, values: impl Iterator<Item = f64> + Clone) -> Self {
        let high = values.clone().fold(0.0, f64::max);
        match scale {
            Scale::Linear => Self {
                scale,
                low: 0.0,
                high: if high > 0.0 { high * 1.05 } else { 1.0 },
            },
            Scale::Log => {
                let low = values.filter(|value| *value > 0.0).fold(f64::MAX, f64::min);
                let low = if low == f64::MAX { 1.0 } else { low };
                let (low, high) = (low.log10().floor(), high.max(low).log10().ceil());
                Self {
                    scale,
                    low: 10f64.powf(low),
                    high: 10f64.powf(high.max(low + 1.0)),
                }
            }
            Scale::Nines => Self {
                scale,
                low: 0.0,
                high: NINES_MAX,
            },
        }
    }

    /// Where a value lies, 0 at the low end and 1 at the high one.
    pub(super) fn place(&self, value: f64) -> f32 {
        let value = value.clamp(self.low, self.high);
        let spread = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Log => value.log10(),
            Scale::Nines => -(1.0 - value / 100.0).log10(),
        };
        let (low, high) = (spread(self.low), spread(self.high));
        ((spread(value) - low) / (high - low)) as f32
    }

    /// The values to write and how.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear => {
                let step = round_step(self.high / 5.0);
                let count = (self.high / step).floor() as u32;
                let value = |index: u32| f64::from(index) * step;
                (0..=count)
                    .map(|index| (value(index), short(value(index))))
                    .collect()
            }
            Scale::Log => {
                let (low, high) = (
                    self.low.log10().round() as i32,
                    self.high.log10().round() as i32,
                );
                let value = |power: i32| 10f64.powi(power);
                (low..=high)
                    .map(|power| (value(power), short(value(power))))
                    .collect()
            }
            Scale::Nines => [0.0, 90.0, 99.0, 99.9, 99.99, 99.999]
                .map(|percentile| (percentile, format!("{percentile}")))
                .into(),
        }
    }
}

/// The next of 1, 2, 5, 10, ... from a step on.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let digit = step / power;
    let round = if digit <= 1.0 {
        1.0
    } else if digit <= 2.0 {
        2.0
    } else if digit <= 5.0 {
        5.0
    } else {
        10.0
    };
    round * power
}

/// A number in few letters.
pub(super) fn short(value: f64) -> String {
    let (value, unit) = if value >= 1e6 {
        (value / 1e6, "M")
    } else if value >= 1e3 {
        (value / 1e3, "k")
    } else {
        (value, "")
    };
    let digits = if value >= 100.0 || value == 0.0 {
        0
    } else if value >= 1.0 {
        2
    } else {
        4
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    };
    text + unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_between_the_ends() {
        let linear = Axis::over(Scale::Linear, [10.0, 100.0].into_iter());
        assert!((linear.place(52.5) - 0.5).abs() < 1e-6);
        let log = Axis::over(Scale::Log, [0.02, 5.0].into_iter());
        assert!(log.place(0.01).abs() < 1e-6 && (log.place(10.0) - 1.0).abs() < 1e-6);
        let nines = Axis::over(Scale::Nines, std::iter::empty());
        assert!((nines.place(99.0) - 0.4).abs() < 1e-6);
        assert!((nines.place(100.0) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn ticks_are_round_and_short() {
        let texts = |axis: &Axis| {
            axis.ticks()
                .into_iter()
                .map(|tick| tick.1)
                .collect::<Vec<_>>()
        };
        let linear = Axis::over(Scale::Linear, [870_000.0].into_iter());
        assert_eq!(texts(&linear), ["0", "200k", "400k", "600k", "800k"]);
        let log = Axis::over(Scale::Log, [0.02, 5.0].into_iter());
        assert_eq!(texts(&log), ["0.01", "0.1", "1", "10"]);
        assert_eq!(
            (short(1.5e6), short(0.345)),
            ("1.5M".to_owned(), "0.345".to_owned())
        );
    }

    #[test]
    fn an_axis_without_values_has_ends() {
        for scale in [Scale::Linear, Scale::Log] {
            let axis = Axis::over(scale, std::iter::empty());
            assert!(axis.place(0.5).is_finite() && !axis.ticks().is_empty());
        }
    }
}
