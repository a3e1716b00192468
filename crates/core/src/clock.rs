//! The clocks of the process, and waiting by them.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::sleep;

/// How often the clocks are read while something waits: timers stand still in a suspended machine.
pub const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The date and time. People and NTP set it, forwards and backwards: only for comparison with
    /// what others wrote, such as the expiry of a token.
    pub wall: Timestamp,
    /// The time since some moment in the past. It never goes back, and goes on while the machine is
    /// suspended: for own deadlines.
    pub uptime: Duration,
}

/// The clocks of a process. Clones are the same clocks.
#[derive(Clone)]
pub struct Clock(Arc<Readers>);

struct Readers {
    wall: Box<dyn Fn() -> Timestamp + Send + Sync>,
    uptime: Box<dyn Fn() -> Duration + Send + Sync>,
}

impl Clock {
    /// The clocks of this machine.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads them")]
    pub fn system() -> Self {
        Self::new(Timestamp::now, uptime)
    }

    /// Clocks that read the date and time from `wall`, and the time since some moment from `uptime`.
    pub fn new(
        wall: impl Fn() -> Timestamp + Send + Sync + 'static,
        uptime: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Readers { wall: Box::new(wall), uptime: Box::new(uptime) }))
    }

    /// Both clocks now.
    #[must_use]
    pub fn now(&self) -> Now {
        Now { wall: self.wall(), uptime: self.uptime() }
    }

    /// The date and time.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        (self.0.wall)()
    }

    /// The time since some moment in the past, suspensions of the machine included.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        (self.0.uptime)()
    }

    /// Waits until [`Clock::uptime`] has reached `deadline`. A machine that was suspended meanwhile
    /// catches up within [`POLL_INTERVAL`].
    pub async fn sleep_until(&self, deadline: Duration) {
        loop {
            let left = deadline.saturating_sub(self.uptime());
            if left.is_zero() {
                return;
            }
            sleep(left.min(POLL_INTERVAL)).await;
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// A time as Prometheus wants it: seconds since the Unix epoch.
#[must_use]
pub fn unix_seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

/// The time since the machine was started (`CLOCK_BOOTTIME`, which counts suspensions).
#[cfg(target_os = "linux")]
fn uptime() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(time).unwrap_or_default()
}

/// The monotonic clock, which counts suspensions on macOS.
#[cfg(not(target_os = "linux"))]
fn uptime() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_suspended_machine_catches_up_within_a_poll_interval() {
        let suspended = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let skipped = Arc::clone(&suspended);
        let clock = Clock::new(
            || Timestamp::UNIX_EPOCH,
            move || started.elapsed() + Duration::from_secs(skipped.load(Ordering::Relaxed)),
        );
        let resume = async {
            sleep(Duration::from_mins(1)).await;
            suspended.store(7 * 3_600, Ordering::Relaxed);
        };
        tokio::join!(clock.sleep_until(Duration::from_hours(6)), resume);
        assert!(started.elapsed() <= Duration::from_mins(1) + POLL_INTERVAL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_has_passed_is_not_waited_for() {
        let started = Instant::now();
        let clock = Clock::new(|| Timestamp::UNIX_EPOCH, || Duration::from_secs(5));
        clock.sleep_until(Duration::from_secs(4)).await;
        assert_eq!(started.elapsed(), Duration::ZERO);
    }

    #[test]
    fn the_uptime_of_the_system_never_goes_back() {
        let clock = Clock::system();
        let first = clock.uptime();
        assert!(clock.uptime() >= first && first > Duration::ZERO);
    }
}
