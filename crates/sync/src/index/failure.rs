//! The failures in a row of one object.

use std::{sync::Arc, time::Duration};

use ecr_refresher_core::clock::Now;

use crate::job::{
    JobOutcome, backoff,
    failure::{RepeatedFailure, WriteFailure, WriteReason},
};

/// The last of the failures in a row, and when the job is tried again.
#[derive(Debug, Clone)]
pub(super) struct FailureRecord {
    /// Shared with every report that shows it.
    pub(super) failure: Arc<RepeatedFailure>,
    /// By the uptime.
    retry_at: Duration,
}

impl FailureRecord {
    /// Records how a job ended, also in its outcome: with a failure, or without one, which ends the row.
    /// `random` in 0..1 is for the backoff.
    pub(super) fn record(
        record: &mut Option<Box<Self>>,
        outcome: &mut JobOutcome,
        failure: Option<WriteFailure>,
        now: Now,
        random: f64,
    ) {
        let previous = record.take().map(|previous| previous.failure);
        let Some(failure) = failure else {
            outcome.ended = previous;
            return;
        };
        let count = previous.as_ref().map_or(0, |previous| previous.count).saturating_add(1);
        let is_new = previous.is_none_or(|previous| previous.failure.reason != failure.reason);
        let delay = backoff::delay(count, failure.retry_after, random);
        let retry_at = now.uptime.saturating_add(delay);
        let failure = Arc::new(RepeatedFailure { failure, count, is_new, delay });
        *record = Some(Box::new(Self { failure: Arc::clone(&failure), retry_at }));
        outcome.failure = Some(failure);
    }

    /// When a job may be tried, by the uptime: at once if none has failed.
    pub(super) fn retry_at(record: Option<&Self>) -> Duration {
        record.map_or(Duration::ZERO, |record| record.retry_at)
    }

    /// Whether the existing Secret is the cause, and not a fault.
    pub(super) fn is_conflict(&self) -> bool {
        self.failure.failure.reason.is_conflict()
    }

    /// The object has changed, and the cause may be gone. Of several jobs in a row that came too late, only
    /// the first is repeated at once: another client may change the object all the time.
    pub(super) fn object_changed(record: &mut Option<Box<Self>>) {
        let is_race = |record: &Self| record.failure.failure.reason == WriteReason::Changed;
        match record {
            Some(race) if is_race(race) && race.failure.count > 1 => {}
            Some(race) if is_race(race) => race.retry_at = Duration::ZERO,
            _ => *record = None,
        }
    }

    /// The content has changed. If it was the cause, the next attempt does not wait.
    pub(super) fn content_changed(&mut self) {
        if self.failure.failure.reason == WriteReason::TooLarge {
            self.retry_at = Duration::ZERO;
        }
    }

    /// Whether another attempt is not worth waiting for. After a first conflict it is: a copy of ours that
    /// another client has changed meanwhile is then taken back.
    pub(super) fn is_final(&self, attempts: u32) -> bool {
        let RepeatedFailure { failure, count, .. } = &*self.failure;
        let is_first_conflict = failure.reason.is_conflict() && *count == 1;
        let may_end = failure.reason.is_temporary() || is_first_conflict;
        !may_end || *count >= attempts
    }
}
