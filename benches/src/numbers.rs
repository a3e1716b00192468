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
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&times(1..=3)), Duration::from_millis(2));
        assert_eq!(median(&[]), Duration::ZERO);
    }
}
