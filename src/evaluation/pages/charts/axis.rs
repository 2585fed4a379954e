//! Scales with round numbers.

/// A range of values and where its ends lie on the drawing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::evaluation::pages) struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// `low` lies at `from`, `high` at `to`.
    pub(super) fn new((low, high): (f64, f64), (from, to): (f64, f64)) -> Axis {
        // A range of nothing would divide by it.
        let high = if high > low { high } else { low + 1.0 };
        Axis {
            low,
            high,
            from,
            to,
        }
    }

    /// Where a value lies; values beyond the ends lie at the ends.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Round values within the range, at most about `most` of them.
    pub(super) fn ticks(&self, most: f64) -> Vec<f64> {
        let step = round_step((self.high - self.low) / most);
        let first = (self.low / step - 1e-9).ceil();
        let mut ticks = Vec::new();
        let mut index = first;
        while index * step <= self.high + step * 1e-9 {
            // Adding 0 makes 0 of -0.
            ticks.push(index * step + 0.0);
            index += 1.0;
        }
        ticks
    }
}

/// The range of some values, widened to round ends; `least` is the narrowest it may be.
pub(super) fn round_range(values: impl Iterator<Item = f64>, least: f64) -> (f64, f64) {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.filter(|value| value.is_finite()) {
        low = low.min(value);
        high = high.max(value);
    }
    if low > high {
        return (0.0, least);
    }
    if high - low < least {
        let middle = f64::midpoint(low, high);
        (low, high) = (middle - least / 2.0, middle + least / 2.0);
    }
    let step = round_step((high - low) / 4.0);
    ((low / step).floor() * step, (high / step).ceil() * step)
}

/// 1, 2 or 5 times a power of ten, at least `rough`.
fn round_step(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.max(1e-9).log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= rough * (1.0 - 1e-9))
        .unwrap_or(10.0);
    factor * power
}

/// A value with as many decimals as ticks at such distances need.
pub(super) fn tick_label(value: f64, ticks: &[f64]) -> String {
    let step = match ticks {
        [first, second, ..] => second - first,
        _ => 1.0,
    };
    let decimals = match step {
        step if step >= 0.999 => 0,
        step if step >= 0.0999 => 1,
        step if step >= 0.00999 => 2,
        _ => 3,
    };
    // No -0.
    let value = if value.abs() < step / 1e3 { 0.0 } else { value };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within_the_range() {
        let axis = Axis::new((0.0, 1.0), (0.0, 100.0));
        let ticks = axis.ticks(5.0);
        assert_eq!(ticks.len(), 6);
        assert_eq!(tick_label(ticks[1], &ticks), "0.2");
        assert!((axis.at(0.25) - 25.0).abs() < 1e-9);
        assert!((axis.at(7.0) - 100.0).abs() < 1e-9);
        let axis = Axis::new((2.7, 4.1), (0.0, 1.0));
        assert!(
            axis.ticks(4.0)
                .iter()
                .all(|&tick| (2.7..=4.1).contains(&tick))
        );
    }

    #[test]
    fn ranges_hold_their_values_even_if_there_is_one_or_none() {
        let (low, high) = round_range([3.24, 3.92].into_iter(), 0.1);
        assert!(
            low <= 3.24 && high >= 3.92 && high - low < 1.3,
            "{low} {high}"
        );
        let (low, high) = round_range([2.0].into_iter(), 0.5);
        assert!(low < 2.0 && high > 2.0);
        assert_eq!(round_range(std::iter::empty(), 1.0), (0.0, 1.0));
        // A range of nothing divides by nothing.
        assert!(Axis::new((2.0, 2.0), (0.0, 1.0)).at(2.0).is_finite());
    }
}
