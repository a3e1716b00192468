//! The failures in a row of one object that is written.

use std::{sync::Arc, time::Duration};

use ecr_refresher_core::clock::Now;

use crate::job::{
    backoff,
    failure::{RepeatedFailure, WriteFailure},
};

/// The last of the failures in a row, and when to try again.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// Shared with every report that shows it.
    pub(super) setback: Arc<RepeatedFailure>,
    /// By the uptime.
    pub(super) retry_at: Duration,
}

impl Failure {
    /// The next failure, after those `before` it. `random` in 0..1 is for the backoff.
    pub(super) fn after(
        before: Option<&Self>,
        failure: WriteFailure,
        now: Now,
        random: f64,
    ) -> Self {
        let count = before.map_or(0, |before| before.setback.count).saturating_add(1);
        let delay = backoff::delay(count, failure.retry_after, random);
        let retry_at = now.uptime.saturating_add(delay);
        Self { setback: Arc::new(RepeatedFailure { failure, count, delay }), retry_at }
    }

    /// Whether what is there stands in the way, rather than a fault.
    pub(super) fn is_conflict(&self) -> bool {
        self.setback.failure.reason.is_conflict()
    }

    /// Whether trying again is of no use, or has been of none.
    pub(super) fn is_for_good(&self, attempts: u32) -> bool {
        !self.setback.failure.reason.may_pass() || self.setback.count >= attempts
    }
}
