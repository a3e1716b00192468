//! When the next token is fetched. Pure: times and random numbers are passed in.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{Lifetime, clock::Now};

/// No two calls for one token are closer than this, whatever the answer was.
const LEAST: Duration = Duration::from_secs(1);
/// The longest wait after a failure while a token still lives.
const LONGEST_RETRY: Duration = Duration::from_mins(5);
/// The longest wait after a failure while there is no living token.
const LONGEST_RETRY_EXPIRED: Duration = Duration::from_secs(10);
/// While a token lives, a retry waits no longer than this share of its remaining life.
const SHARE_OF_REMAINING_LIFE: u32 = 20;

/// A moment by both clocks, reached as soon as either has passed it: a machine may be paused with all
/// its clocks, and learn the date only afterwards; and a date may be set to an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) uptime: Duration,
    wall: Timestamp,
}

impl Due {
    pub(crate) fn after(now: Now, wait: Duration) -> Self {
        let wall = now.wall.saturating_add(wait).unwrap_or(Timestamp::MAX);
        Self { uptime: now.uptime.saturating_add(wait), wall }
    }

    pub(crate) fn is_reached(&self, now: Now) -> bool {
        self.uptime <= now.uptime || self.wall <= now.wall
    }

    /// The date and time, for logs.
    pub(crate) fn wall(&self) -> Timestamp {
        self.wall
    }
}

/// When to replace a token: at `fraction` of its life, but not within a second of `now`. `random` is
/// in 0..1.
pub(crate) fn refresh(token: Lifetime, fraction: f64, now: Now, random: f64) -> Due {
    let wait = token.refresh_at(fraction, random).duration_since(now.wall);
    let wait = Duration::try_from(wait.max(SignedDuration::ZERO)).unwrap_or_default();
    Due::after(now, wait.max(LEAST))
}

/// How long to wait after the failure number `failures` in a row, counted from 1: the delay doubles
/// from 1 s up to the lesser of 5 minutes and a twentieth of the remaining life (10 s when no living
/// token is `held`), with full jitter, never under 1 s and never under the `retry_after` of the
/// answer. `random` is in 0..1.
pub(crate) fn retry_delay(
    failures: u32,
    held: Option<Lifetime>,
    retry_after: Option<Duration>,
    now: Timestamp,
    random: f64,
) -> Duration {
    let doublings = failures.saturating_sub(1);
    let doubled = LEAST.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX));
    let delay = doubled.min(longest_retry(held, now)).mul_f64(random).max(LEAST);
    // A longer wait than that is honoured only up to the bound for living tokens.
    delay.max(retry_after.unwrap_or_default().min(LONGEST_RETRY))
}

fn longest_retry(held: Option<Lifetime>, now: Timestamp) -> Duration {
    let remaining = held.map_or(SignedDuration::ZERO, |held| held.remaining(now));
    match Duration::try_from(remaining) {
        Ok(remaining) if !remaining.is_zero() => {
            LONGEST_RETRY.min(remaining / SHARE_OF_REMAINING_LIFE)
        }
        _ => LONGEST_RETRY_EXPIRED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The random number that gives the longest delay.
    const LONGEST: f64 = 1.0;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn now(seconds: i64) -> Now {
        Now { wall: at(seconds), uptime: Duration::from_secs(seconds.unsigned_abs()) }
    }

    #[expect(clippy::unnecessary_wraps, reason = "there may be none too")]
    fn token(life: i64) -> Option<Lifetime> {
        Some(Lifetime::starting(at(0), at(life)).unwrap())
    }

    fn delays(
        held: Option<Lifetime>,
        now: i64,
        failures: std::ops::RangeInclusive<u32>,
    ) -> Vec<u64> {
        failures.map(|count| retry_delay(count, held, None, at(now), LONGEST).as_secs()).collect()
    }

    #[test]
    fn a_token_is_replaced_at_the_fraction_of_its_life() {
        let due = refresh(token(43_200).unwrap(), 0.5, now(0), 0.0);
        assert!(!due.is_reached(now(21_599)) && due.is_reached(now(21_600)));
    }

    #[test]
    fn a_refresh_that_is_overdue_waits_a_second() {
        let due = refresh(token(40).unwrap(), 0.5, now(30), 0.0);
        assert_eq!(due, Due::after(now(30), LEAST));
    }

    #[test]
    fn delays_double_up_to_five_minutes_while_the_token_lives() {
        let expected = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300];
        assert_eq!(delays(token(43_200), 0, 1..=11), expected);
    }

    #[test]
    fn delays_are_at_most_a_twentieth_of_the_remaining_life() {
        assert_eq!(delays(token(400), 200, 1..=6), [1, 2, 4, 8, 10, 10]);
    }

    #[test]
    fn without_a_living_token_delays_are_at_most_ten_seconds() {
        for held in [None, token(10)] {
            assert_eq!(delays(held, 20, 1..=6), [1, 2, 4, 8, 10, 10]);
        }
    }

    #[test]
    fn jitter_is_full_and_never_below_a_second() {
        assert_eq!(retry_delay(6, token(43_200), None, at(0), 0.5).as_secs(), 16);
        assert_eq!(retry_delay(6, token(43_200), None, at(0), 0.0), LEAST);
    }

    #[test]
    fn a_wait_that_the_answer_asks_for_is_kept_up_to_five_minutes() {
        let delay = |seconds| {
            retry_delay(1, None, Some(Duration::from_secs(seconds)), at(0), LONGEST).as_secs()
        };
        assert_eq!((delay(30), delay(9_000)), (30, 300));
    }

    #[test]
    fn a_deadline_is_reached_by_either_clock() {
        let due = Due::after(now(100), Duration::from_secs(50));
        let set_back = Now { wall: at(-3_600), uptime: Duration::from_secs(150) };
        let paused = Now { wall: at(150), uptime: Duration::from_secs(101) };
        assert!(due.is_reached(set_back) && due.is_reached(paused) && !due.is_reached(now(149)));
    }
}
