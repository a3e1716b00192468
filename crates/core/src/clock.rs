//! Waiting by the wall clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

/// How often the wall clock is looked at while waiting.
const GLANCE: Duration = Duration::from_secs(10);

/// Where the time comes from. Tests pass one that follows their paused runtime.
pub type Now = fn() -> Timestamp;

/// Waits until `deadline`.
///
/// Timers stand still while a machine is suspended, so the wall clock is looked at again and
/// again; and a wall clock that is set back does not make the wait longer than it was planned.
pub async fn sleep_until(deadline: Timestamp, now: Now) {
    let started = Instant::now();
    let planned = span(now(), deadline);
    loop {
        let left = span(now(), deadline).min(planned.saturating_sub(started.elapsed()));
        if left.is_zero() {
            return;
        }
        sleep(left.min(GLANCE)).await;
    }
}

/// A time as Prometheus wants it: seconds since the Unix epoch.
#[must_use]
pub fn unix_seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

/// From `start` to `end`, or zero when `end` is past.
fn span(start: Timestamp, end: Timestamp) -> Duration {
    let span = end.duration_since(start).max(SignedDuration::ZERO);
    Duration::try_from(span).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    fn base() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspended_machine_catches_up_within_a_glance() {
        static JUMP: AtomicI64 = AtomicI64::new(0);
        let now: Now = || base() + SignedDuration::from_hours(JUMP.load(Ordering::Relaxed));
        let started = Instant::now();
        let waiting = sleep_until(base() + SignedDuration::from_hours(6), now);
        let resume = async {
            sleep(Duration::from_mins(1)).await;
            JUMP.store(7, Ordering::Relaxed);
        };
        tokio::join!(waiting, resume);
        assert!(started.elapsed() <= Duration::from_mins(1) + GLANCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_set_back_does_not_postpone_the_deadline() {
        // This clock never advances: to the wall clock, the deadline never comes.
        let started = Instant::now();
        sleep_until(base() + SignedDuration::from_secs(90), base).await;
        assert_eq!(started.elapsed(), Duration::from_secs(90));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_has_passed_is_not_waited_for() {
        let started = Instant::now();
        sleep_until(base() - SignedDuration::from_secs(1), base).await;
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
