//! Numbers as floating-point ones, and what is made of many.

use std::time::Duration;

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "nothing is counted up to 2⁵³")]
pub(crate) fn float(count: usize) -> f64 {
    count as f64
}

/// How many times `floor` fits into `time`.
pub(crate) fn ratio(time: Duration, floor: Duration) -> f64 {
    time.as_secs_f64() / floor.as_secs_f64()
}

/// The number in the middle, or between the two that are; not a number of none.
pub(crate) fn middle(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    let (low, high) = (numbers.len().saturating_sub(1) / 2, numbers.len() / 2);
    let at = |index| numbers.get(index).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(low), at(high))
}

/// The value that 99 of 100 do not exceed; zero of none.
pub(crate) fn p99(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let rank = (times.len() * 99).div_ceil(100);
    rank.checked_sub(1).map(|index| times[index]).unwrap_or_default()
}

/// The one in the middle; zero of none.
pub(crate) fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(range: std::ops::RangeInclusive<u64>) -> Vec<Duration> {
        range.rev().map(Duration::from_millis).collect()
    }

    #[test]
    fn the_99th_of_100_is_the_percentile() {
        assert_eq!(p99(&times(1..=100)), Duration::from_millis(99));
        assert_eq!(p99(&times(1..=10)), Duration::from_millis(10));
        assert_eq!(p99(&[]), Duration::ZERO);
    }

    #[test]
    fn the_middle_of_an_even_count_is_between_two() {
        assert_eq!(middle(vec![9.0, 1.0, 2.0]).to_string(), "2");
        assert_eq!(middle(vec![9.0, 1.0, 2.0, 3.0]).to_string(), "2.5");
        assert!(middle(vec![]).is_nan());
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&times(1..=3)), Duration::from_millis(2));
        assert_eq!(median(&[]), Duration::ZERO);
    }
}
