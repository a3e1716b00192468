//! How long a copy that failed waits. Pure: the dice are passed in.

use std::time::Duration;

/// The wait after the first failure.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
pub(crate) const LONGEST: Duration = Duration::from_mins(5);

/// The wait after the `failures`-th failure in a row (from 1): it doubles from 1 s to 5 minutes, of
/// which half is certain and half is by the dice, `random` in 0..1. Never less than was asked for.
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
    fn jitter_takes_off_half_at_the_most() {
        assert_eq!(delay(4, None, 0.0), Duration::from_secs(4));
    }

    #[test]
    fn what_the_server_asks_for_is_honoured_within_reason() {
        assert_eq!(delay(1, Some(Duration::from_secs(20)), 0.0), Duration::from_secs(20));
        assert_eq!(delay(1, Some(Duration::from_hours(1)), 0.0), LONGEST);
    }
}
