//! Keeps one registry's credentials fresh.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tracing::{debug, info, warn};

use crate::{
    Credentials, FetchError, Registry, Schedule, TokenMetrics,
    clock::{Now, sleep_until},
};

/// How often to look at a source whose credentials do not expire: a file, small and on a local disk.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// What a keeper tells about its registry.
#[derive(Debug)]
pub struct Update {
    /// The registry's name.
    pub registry: Arc<str>,
    /// New credentials, or why there are none. After a failure what was held before still counts.
    pub outcome: Result<Arc<Credentials>, FetchError>,
}

/// Keeps one registry's credentials fresh.
#[derive(Debug)]
pub struct Keeper {
    registry: Registry,
    schedule: Schedule,
    held: Option<Arc<Credentials>>,
    at_fraction: watch::Receiver<f64>,
    metrics: TokenMetrics,
    now: Now,
}

impl Keeper {
    /// A keeper that replaces each token at the fraction of its life that `at_fraction` says, now or
    /// later.
    #[must_use]
    pub fn new(
        registry: Registry,
        at_fraction: watch::Receiver<f64>,
        metrics: TokenMetrics,
        now: Now,
    ) -> Self {
        metrics.announce(&registry.name);
        Self { registry, schedule: Schedule::default(), held: None, at_fraction, metrics, now }
    }

    /// Sends an [`Update`] for each failure and each change. Ends when nobody listens any more.
    pub async fn run(mut self, updates: mpsc::Sender<Update>) {
        loop {
            let asked = Instant::now();
            let outcome = self.registry.source.fetch((self.now)()).await;
            let took = asked.elapsed().as_secs_f64();
            self.metrics.record(&self.registry.name, &outcome, (self.now)(), took);
            let (next, changed) = match outcome {
                Ok(credentials) => (self.succeeded(&credentials), self.take(credentials).map(Ok)),
                Err(error) => (self.failed(&error), Some(Err(error))),
            };
            if let Some(outcome) = changed {
                let update = Update { registry: Arc::clone(&self.registry.name), outcome };
                if updates.send(update).await.is_err() {
                    return;
                }
            }
            self.wait_until(next).await;
        }
    }

    /// Holds what arrived; returns it if it is anything new.
    fn take(&mut self, credentials: Credentials) -> Option<Arc<Credentials>> {
        let changed = self.held.as_deref() != Some(&credentials);
        changed.then(|| Arc::clone(self.held.insert(Arc::new(credentials))))
    }

    /// When to ask next.
    fn succeeded(&mut self, credentials: &Credentials) -> Timestamp {
        let registry = Arc::clone(&self.registry.name);
        let now = (self.now)();
        let Some(lifetime) = credentials.lifetime else {
            debug!(%registry, "read the registry's credentials");
            return now.saturating_add(POLL_INTERVAL).unwrap_or(Timestamp::MAX);
        };
        self.schedule.succeeded(lifetime);
        let next = self.next_refresh(now).unwrap_or(now);
        info!(
            %registry,
            expires_at = %lifetime.expires_at(),
            next_refresh = %next,
            "got a new token"
        );
        next
    }

    /// When to try again.
    fn failed(&mut self, error: &FetchError) -> Timestamp {
        let now = (self.now)();
        let next = self.schedule.failed(now, error.retry_after, fastrand::f64());
        warn!(
            registry = %self.registry.name,
            reason = %error.reason,
            failures = self.schedule.failures(),
            retry_in_seconds = next.duration_since(now).as_secs_f64(),
            "no new credentials: {error}"
        );
        next
    }

    /// Waits until `next`, or until another time if the fraction changes meanwhile.
    async fn wait_until(&mut self, mut next: Timestamp) {
        loop {
            tokio::select! {
                () = sleep_until(next, self.now) => return,
                Ok(()) = self.at_fraction.changed() => {
                    next = self.next_refresh((self.now)()).unwrap_or(next);
                }
            }
        }
    }

    fn next_refresh(&mut self, now: Timestamp) -> Option<Timestamp> {
        let fraction = *self.at_fraction.borrow_and_update();
        self.schedule.refresh_at(fraction, now, fastrand::f64())
    }
}
