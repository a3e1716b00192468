//! True time, and the clocks of each replica.

use std::{
    cell::Cell,
    sync::{Arc, Mutex},
    time::Duration,
};

use ecr_refresher_core::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// When every run begins: 2027-01-15T08:00:00Z.
const EPOCH: Timestamp = Timestamp::constant(1_800_000_000, 0);

thread_local! {
    /// For how long the machines were suspended in this run: tokio's clock stood still meanwhile.
    static SUSPENDED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// The time that AWS and the API server go by: that of tokio's paused clock, counted from the start of
/// a run, and the suspensions. Each replica's wall clock is this and an offset.
#[derive(Debug, Clone, Copy)]
pub struct TrueTime(Instant);

impl TrueTime {
    /// A run that begins now. To be called where tokio runs, with its clock paused.
    #[must_use]
    pub fn begin() -> Self {
        SUSPENDED.set(Duration::ZERO);
        Self(Instant::now())
    }

    /// How long the run has taken, in virtual time.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed() + SUSPENDED.get()
    }

    /// The true date and time.
    #[must_use]
    pub fn now(self) -> Timestamp {
        EPOCH + SignedDuration::try_from(self.elapsed()).unwrap_or_default()
    }

    /// Suspends all machines for a while: time passes, and no timer notices.
    pub fn suspend(self, duration: Duration) {
        SUSPENDED.set(SUSPENDED.get() + duration);
    }
}

/// The wall clock of one replica's machine: how far it is off.
#[derive(Debug, Clone)]
pub struct ReplicaClock {
    time: TrueTime,
    error: Arc<Mutex<ClockError>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct ClockError {
    offset: SignedDuration,
    /// In millionths, since a moment of the run.
    drift: i32,
    drifts_since: Duration,
}

impl ReplicaClock {
    /// A clock that is right.
    #[must_use]
    pub fn new(time: TrueTime) -> Self {
        Self { time, error: Arc::default() }
    }

    /// How far it is ahead of true time.
    #[must_use]
    pub fn offset(&self) -> SignedDuration {
        let ClockError { offset, drift, drifts_since } = *self.error.lock().unwrap();
        let drifting = self.time.elapsed().saturating_sub(drifts_since).as_secs_f64();
        offset + SignedDuration::from_secs_f64(drifting * f64::from(drift) / 1e6)
    }

    /// Sets it to so much ahead of true time.
    pub fn set_offset(&self, offset: SignedDuration) {
        let mut error = self.error.lock().unwrap();
        (error.offset, error.drifts_since) = (offset, self.time.elapsed());
    }

    /// Has it run too fast, in millionths.
    pub fn set_drift(&self, drift: i32) {
        let offset = self.offset();
        self.set_offset(offset);
        self.error.lock().unwrap().drift = drift;
    }

    /// The clocks as the product reads them.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let (this, time) = (self.clone(), self.time);
        // Some machines have been up for longer than others, and all for some time.
        let uptime = move || Duration::from_hours(1) + time.elapsed();
        Clock::new(move || this.time.now() + this.offset(), uptime)
    }
}
