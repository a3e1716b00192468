//! The delay of an object after a failed job. Pure: random numbers are passed in.

use std::time::Duration;

/// The delay after the first failure.
const FIRST: Duration = Duration::from_secs(1);
/// The longest delay.
pub(crate) const LONGEST: Duration = Duration::from_mins(5);

/// The delay after the `failures`-th failure in a row (from 1): it doubles from 1 s to 5 minutes, of
/// which up to half is taken off by `random` in 0..1. Never less than `retry_after`.
pub(crate) fn delay(failures: u32, retry_after: Option<Duration>, random: f64) -> Duration {
    let doublings = failures.saturating_sub(1);
    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    let ceiling = FIRST.saturating_mul(factor).min(LONGEST);
    let jittered = ceiling.mul_f64(0.5 + random / 2.0);
    jittered.max(retry_after.unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_five_minutes() {
        let seconds = |failures| delay(failures, None, 1.0).as_secs();
        let all: Vec<_> = (1..=11).map(seconds).collect();
        assert_eq!(all, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(delay(u32::MAX, None, 1.0), LONGEST);
    }

    #[test]
    fn jitter_takes_off_up_to_half() {
        assert_eq!(delay(4, None, 0.0), Duration::from_secs(4));
    }

    #[test]
    fn retry_after_is_honoured_up_to_five_minutes() {
        assert_eq!(delay(1, Some(Duration::from_secs(20)), 0.0), Duration::from_secs(20));
        assert_eq!(delay(1, Some(Duration::from_hours(1)), 0.0), LONGEST);
    }
}
