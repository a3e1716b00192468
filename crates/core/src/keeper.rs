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

/// What all keepers follow, and what may change while they run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// The fraction of a token's life at which it is replaced.
    pub at_fraction: f64,
    /// With another number, every token is replaced at once.
    pub round: u64,
}

/// Keeps one registry's credentials fresh.
#[derive(Debug)]
pub struct Keeper {
    registry: Registry,
    schedule: Schedule,
    held: Option<Arc<Credentials>>,
    policy: watch::Receiver<Policy>,
    /// The policy's round when the registry was last asked.
    round: u64,
    metrics: TokenMetrics,
    now: Now,
}

impl Keeper {
    /// A keeper that holds `held` from the start, such as what was known before a restart.
    #[must_use]
    pub fn new(
        registry: Registry,
        held: Option<Arc<Credentials>>,
        policy: watch::Receiver<Policy>,
        metrics: TokenMetrics,
        now: Now,
    ) -> Self {
        metrics.announce(&registry.name);
        let round = policy.borrow().round;
        Self { registry, schedule: Schedule::default(), held, policy, round, metrics, now }
    }

    /// Sends an [`Update`] for what is held, and then for each failure and each change. Ends when
    /// nobody listens any more.
    pub async fn run(mut self, updates: mpsc::Sender<Update>) {
        if let Some(held) = self.held.clone() {
            let next = self.resume(&held);
            if self.tell(Ok(held), &updates).await.is_err() {
                return;
            }
            self.wait_until(next).await;
        }
        loop {
            let asked = Instant::now();
            self.round = self.policy.borrow().round;
            let outcome = self.registry.source.fetch((self.now)(), self.round).await;
            let took = asked.elapsed().as_secs_f64();
            self.metrics.record(&self.registry.name, &outcome, (self.now)(), took);
            let (next, changed) = match outcome {
                Ok(credentials) => (self.succeeded(&credentials), self.take(credentials).map(Ok)),
                Err(error) => (self.failed(&error), Some(Err(error))),
            };
            if let Some(outcome) = changed
                && self.tell(outcome, &updates).await.is_err()
            {
                return;
            }
            self.wait_until(next).await;
        }
    }

    async fn tell(
        &self,
        outcome: Result<Arc<Credentials>, FetchError>,
        updates: &mpsc::Sender<Update>,
    ) -> Result<(), mpsc::error::SendError<Update>> {
        updates.send(Update { registry: Arc::clone(&self.registry.name), outcome }).await
    }

    /// When to ask next for what is held from the start: a file at once.
    fn resume(&mut self, held: &Credentials) -> Timestamp {
        let now = (self.now)();
        self.registry.source.hold(held);
        let Some(lifetime) = held.lifetime else { return now };
        self.schedule.succeeded(lifetime);
        self.metrics.hold(&self.registry.name, lifetime);
        let next = self.next_refresh(now).unwrap_or(now);
        info!(
            registry = %self.registry.name,
            expires_at = %lifetime.expires_at(),
            next_refresh = %next,
            "took the token from the token cache"
        );
        next
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

    /// Waits until `next`, or until another time if the policy changes meanwhile, or until another
    /// registry of the same identity has got a token.
    async fn wait_until(&mut self, mut next: Timestamp) {
        loop {
            tokio::select! {
                () = sleep_until(next, self.now) => return,
                () = self.registry.source.renewed() => return,
                Ok(()) = self.policy.changed() => {
                    if self.policy.borrow().round != self.round {
                        return;
                    }
                    next = self.next_refresh((self.now)()).unwrap_or(next);
                }
            }
        }
    }

    fn next_refresh(&mut self, now: Timestamp) -> Option<Timestamp> {
        let fraction = self.policy.borrow().at_fraction;
        self.schedule.refresh_at(fraction, now, fastrand::f64())
    }
}
