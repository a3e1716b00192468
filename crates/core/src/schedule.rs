//! When to ask a registry next. Pure: the time and the dice are passed in.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::Lifetime;

/// No two calls are closer than this, whatever a registry answers.
const LEAST: Duration = Duration::from_secs(1);
/// The longest wait after a failure while a token still lives.
const LONGEST_RETRY: Duration = Duration::from_mins(5);
/// The longest wait after a failure while there is no living token.
const LONGEST_RETRY_EXPIRED: Duration = Duration::from_secs(10);
/// While a token lives, a retry waits no longer than this share of what is left of it.
const SHARE_OF_REMAINING_LIFE: u32 = 20;

/// The state of one registry's refresh: what it holds, and how often asking has failed since.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    held: Option<Lifetime>,
    failures: u32,
}

impl Schedule {
    /// How often asking has failed since it last succeeded.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Notes a token that arrived.
    pub fn succeeded(&mut self, token: Lifetime) {
        self.held = Some(token);
        self.failures = 0;
    }

    /// When to replace the token that is held: at `fraction` of its life, but not within a second
    /// of `now`. `None` while none is held, or while asking for the next fails. `random` is in 0..1.
    #[must_use]
    pub fn refresh_at(&self, fraction: f64, now: Timestamp, random: f64) -> Option<Timestamp> {
        let held = self.held.filter(|_| self.failures == 0)?;
        Some(held.refresh_at(fraction, random).max(after(now, LEAST)))
    }

    /// Notes a failure, and says when to try again: the delay doubles from 1 s up to the lesser of
    /// 5 minutes and a twentieth of the remaining life (10 s when nothing alive is held), with full
    /// jitter, never under 1 s and never under what the other side asked for. `random` is in 0..1.
    pub fn failed(
        &mut self,
        now: Timestamp,
        retry_after: Option<Duration>,
        random: f64,
    ) -> Timestamp {
        let doubled = LEAST.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        let delay = doubled.min(self.longest_retry(now)).mul_f64(random).max(LEAST);
        // A wait longer than that is honoured only up to the bound for living tokens.
        let asked = retry_after.unwrap_or_default().min(LONGEST_RETRY);
        after(now, delay.max(asked))
    }

    fn longest_retry(&self, now: Timestamp) -> Duration {
        let remaining = self.held.map_or(SignedDuration::ZERO, |held| held.remaining(now));
        match Duration::try_from(remaining) {
            Ok(remaining) if !remaining.is_zero() => {
                LONGEST_RETRY.min(remaining / SHARE_OF_REMAINING_LIFE)
            }
            _ => LONGEST_RETRY_EXPIRED,
        }
    }
}

fn after(now: Timestamp, delay: Duration) -> Timestamp {
    now.saturating_add(delay).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The dice that give the longest delay.
    const WORST: f64 = 1.0;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn holding(life: i64) -> Schedule {
        let mut schedule = Schedule::default();
        schedule.succeeded(Lifetime::starting(at(0), at(life)).unwrap());
        schedule
    }

    fn delays(schedule: &mut Schedule, now: Timestamp, count: usize) -> Vec<i64> {
        let next = |_| schedule.failed(now, None, WORST).duration_since(now).as_secs();
        (0..count).map(next).collect()
    }

    #[test]
    fn a_token_is_replaced_at_the_fraction_of_its_life() {
        let schedule = holding(43_200);
        assert_eq!(schedule.refresh_at(0.5, at(0), 0.0), Some(at(21_600)));
        assert_eq!(schedule.refresh_at(0.25, at(0), 0.0), Some(at(10_800)));
        assert_eq!(Schedule::default().refresh_at(0.5, at(0), 0.0), None);
    }

    #[test]
    fn a_token_with_hardly_any_life_does_not_make_it_spin() {
        assert_eq!(holding(1).refresh_at(0.5, at(0), 0.5), Some(at(1)));
    }

    #[test]
    fn while_asking_fails_only_the_retry_counts() {
        let mut schedule = holding(43_200);
        schedule.failed(at(21_600), None, WORST);
        assert_eq!(schedule.refresh_at(0.5, at(21_600), 0.0), None);
    }

    #[test]
    fn delays_double_up_to_five_minutes_while_the_token_lives() {
        let mut schedule = holding(43_200);
        assert_eq!(
            delays(&mut schedule, at(21_600), 11),
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
        );
    }

    #[test]
    fn a_retry_waits_no_longer_than_a_twentieth_of_what_is_left() {
        let mut schedule = holding(43_200);
        assert_eq!(delays(&mut schedule, at(43_000), 6), [1, 2, 4, 8, 10, 10]);
    }

    #[test]
    fn without_a_living_token_a_retry_waits_ten_seconds_at_most() {
        assert_eq!(delays(&mut Schedule::default(), at(0), 6), [1, 2, 4, 8, 10, 10]);
        assert_eq!(delays(&mut holding(10), at(11), 5), [1, 2, 4, 8, 10]);
    }

    #[test]
    fn no_retry_comes_sooner_than_a_second_and_none_overflows() {
        let mut schedule = holding(43_200);
        for _ in 0..100 {
            assert_eq!(schedule.failed(at(0), None, 0.0), at(1));
        }
    }

    #[test]
    fn the_wait_that_the_other_side_asked_for_is_honoured_within_reason() {
        let mut schedule = holding(43_200);
        assert_eq!(schedule.failed(at(0), Some(Duration::from_secs(30)), 0.0), at(30));
        assert_eq!(schedule.failed(at(0), Some(Duration::from_secs(9_999)), 0.0), at(300));
    }

    #[test]
    fn a_success_forgets_the_failures() {
        let mut schedule = holding(43_200);
        delays(&mut schedule, at(0), 5);
        schedule.succeeded(Lifetime::starting(at(0), at(43_200)).unwrap());
        assert_eq!(schedule.failures(), 0);
        assert_eq!(delays(&mut schedule, at(0), 2), [1, 2]);
    }
}
