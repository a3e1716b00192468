//! One copy: its state and its needs.

use std::{
    hash::{DefaultHasher, Hasher},
    time::Duration,
};

use ecr_refresher_core::{
    clock::Now,
    planted::{Bug, is_planted},
};
use jiff::{SignedDuration, Timestamp};

use super::{failure::FailureRecord, merge::Record, repairs::Repairs};
use crate::{
    desired::{manifest::Manifest, settings::PullSecret},
    job::{
        Deletion, JobClass,
        queue::{Deadline, Ticket},
    },
    moment::Moment,
    observed::{
        copy::{ObservedCopy, Ownership, Replaced},
        tracked::{Change, Lists, Tracked},
    },
    report::CopyState,
};

/// A refresh is spread over at most this share of the life that the old token has left.
const SHARE_OF_REMAINING_LIFE: i32 = 4;
/// The longest life that counts for a copy that would lose entries: that of a token of ECR.
const LONGEST_LIFE: SignedDuration = SignedDuration::from_hours(12);

/// The state of one copy.
#[derive(Debug, Clone, Default)]
pub(super) struct CopyRecord {
    pub(super) wanted: bool,
    /// Whether a foreign Secret is in its place.
    pub(super) is_in_conflict: bool,
    /// Whether the turn is that of an incomplete document.
    has_incomplete_turn: bool,
    /// Since when it is wanted, while it was never observed; or known to be unwanted.
    since: Option<Moment>,
    /// Its turn to be written while it is out of date: the earliest one, so that newer content does not
    /// postpone it.
    turn: Option<Moment>,
    pub(super) secret: Tracked<ObservedCopy>,
    pub(super) repairs: Repairs,
    /// Boxed, because nearly no copy has one.
    pub(super) failure: Option<Box<FailureRecord>>,
}

// Allocated one by one where there is one pull Secret: musl's allocator takes 16 bytes at a time.
const _: () = assert!(size_of::<CopyRecord>() <= 120);

/// The need of a copy.
enum Need {
    Nothing,
    /// It is missing, damaged or expired.
    Urgent,
    /// It has an older content, which works until then.
    Refresh(Timestamp),
}

/// The turns of copies with an older content.
pub(super) struct Spread {
    /// The longest time that they are spread over.
    pub(super) longest: Duration,
    /// The position of this copy in that time, in 0..1.
    pub(super) position: f64,
}

impl Spread {
    /// The turn of a copy that is out of date since now and works until `deadline`.
    fn turn(&self, deadline: Timestamp, now: Now) -> Duration {
        let left = deadline.duration_since(now.wall).max(SignedDuration::ZERO);
        let share = (left / SHARE_OF_REMAINING_LIFE).as_secs_f64();
        let offset = share.min(self.longest.as_secs_f64()) * self.position;
        now.uptime.saturating_add(Duration::from_secs_f64(offset))
    }
}

/// A namespace's position in a spread, in 0..1: always the same, and even over all namespaces.
pub(super) fn spread_position(namespace: &str) -> f64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(namespace.as_bytes());
    let position = u32::try_from(hasher.finish() >> 32).unwrap_or(u32::MAX);
    f64::from(position) / (f64::from(u32::MAX) + 1.0)
}

/// The turn of a copy that works until `deadline` and would lose entries: late enough for them to
/// arrive, and early enough for the write.
fn incomplete_turn(deadline: Timestamp, now: Now) -> Duration {
    let left = deadline.duration_since(now.wall).clamp(SignedDuration::ZERO, LONGEST_LIFE);
    let wait = Duration::try_from(left).unwrap_or_default() * 3 / 4;
    now.uptime.saturating_add(wait)
}

impl Record for CopyRecord {
    type Value = ObservedCopy;

    fn merge(&mut self, change: Change<ObservedCopy>) {
        self.update(|secret| secret.merge(change));
    }
}

impl CopyRecord {
    /// Records whether it is wanted.
    pub(super) fn want(&mut self, wanted: bool, now: Now) {
        if self.wanted != wanted {
            (self.failure, self.since) = (None, None);
            if wanted && self.observed().is_none() {
                self.since = Some(now.uptime.into());
            }
        }
        if !wanted {
            self.turn = None;
            self.since.get_or_insert(now.uptime.into());
        }
        self.wanted = wanted;
    }

    /// It exists. Returns since when it was awaited, if it was.
    pub(super) fn arrived(&mut self) -> Option<Moment> {
        self.since.take_if(|_| self.wanted)
    }

    /// The namespace is gone. The next one of its name is another object.
    pub(super) fn namespace_gone(&mut self) {
        (self.wanted, self.since) = (false, None);
        (self.turn, self.failure) = (None, None);
        self.repairs = Repairs::default();
    }

    /// The machine was suspended for this time, before `now`.
    pub(super) fn suspended(&mut self, duration: Duration, now: Now) {
        if let Some(since) = self.since.as_mut().filter(|_| !self.wanted) {
            // A later time does not change.
            *since = since.after(duration).min(now.uptime).into();
        }
    }

    /// The pull Secret has left the config. Only a running job is remembered.
    pub(super) fn forget(&mut self) {
        let mut secret = std::mem::take(&mut self.secret);
        secret.forget();
        *self = Self { secret, ..Self::default() };
    }

    /// The pull Secret has another content.
    pub(super) fn content_changed(&mut self) {
        if let Some(failure) = &mut self.failure {
            failure.content_changed();
        }
    }

    /// Another replica may write from now on.
    pub(super) fn end_term(&mut self) {
        self.secret.end_job();
        self.turn = None;
    }

    /// The Secret that was observed.
    pub(super) fn observed(&self) -> Option<&ObservedCopy> {
        self.secret.get()
    }

    /// Whether a job is running for it.
    pub(super) fn has_job(&self) -> bool {
        self.secret.has_job()
    }

    /// The answer to an apply.
    pub(super) fn written(&mut self, observed: ObservedCopy, lists: Lists) {
        self.turn = None;
        self.update(|secret| secret.written(observed, lists));
    }

    /// Changes what was observed, and forgets what that has made obsolete.
    pub(super) fn update(&mut self, update: impl FnOnce(&mut Tracked<ObservedCopy>)) {
        let before = self.observed().cloned();
        update(&mut self.secret);
        let after = self.secret.get();
        if before.as_ref() == after {
            return;
        }
        let is_foreign = |copy: &ObservedCopy| !copy.is_ours();
        let was_foreign = before.as_ref().is_some_and(is_foreign);
        if after.is_none() || (was_foreign && !after.is_some_and(is_foreign)) {
            // The conflict is over.
            self.failure.take_if(|failure| failure.is_conflict());
        }
        if after.and_then(ObservedCopy::other_release).is_some() {
            // The turn was that of a copy of ours, which was more urgent.
            self.turn = None;
        }
        // The watch may show a write before its own answer, which ends the wait.
        if after.is_some() && !self.has_job() {
            self.arrived();
        }
    }

    /// When it must be applied, and with which priority.
    pub(super) fn plan_apply(
        &mut self,
        manifest: &Manifest,
        secret: &PullSecret,
        spread: &Spread,
        now: Now,
    ) -> Option<Ticket> {
        if self.observed().is_some_and(|observed| manifest.is_in(observed)) {
            // A job that failed may have been done, and only its answer lost.
            self.failure = None;
        }
        let (turn, deadline) = match self.need(manifest, secret, now.wall) {
            Need::Nothing => {
                self.turn = None;
                return None;
            }
            Need::Refresh(deadline) if manifest.is_complete => {
                (spread.turn(deadline, now), Deadline::at(deadline))
            }
            // It may have entries that this process does not have yet, or has lost.
            Need::Refresh(deadline) => (incomplete_turn(deadline, now), Deadline::at(deadline)),
            Need::Urgent if self.failure.is_some() => (now.uptime, Deadline::RETRY),
            Need::Urgent => (now.uptime, Deadline::FIRST),
        };
        // An earlier turn was perhaps for a document with all entries.
        let is_earlier_valid = manifest.is_complete || self.has_incomplete_turn;
        let earlier = self.turn.filter(|_| is_earlier_valid);
        let turn = earlier.map_or(turn, |earlier| turn.min(earlier.into()));
        (self.turn, self.has_incomplete_turn) = (Some(turn.into()), !manifest.is_complete);
        let not_before = self.repairs.not_before(manifest.content.short());
        let due = turn.max(self.retry_at()).max(not_before);
        Some(Ticket::new(JobClass::Apply, due, deadline))
    }

    /// Whether it is no longer wanted, and still there.
    pub(super) fn is_left_over(&self) -> bool {
        !self.wanted && self.observed().is_some_and(ObservedCopy::is_deletable)
    }

    /// When it is deleted if it is no longer wanted and may be deleted, and the preconditions.
    pub(super) fn plan_deletion(&self, after: Duration) -> Option<(Duration, Deletion)> {
        let observed = self.observed()?;
        if !observed.is_deletable() && !is_planted(Bug::ForeignDeleted) {
            return None;
        }
        let after = if is_planted(Bug::NoGracePeriod) { Duration::ZERO } else { after };
        let since = self.since.filter(|_| !self.wanted && !self.has_job())?;
        let due = since.after(after).max(self.retry_at());
        let resource_version = observed.resource_version;
        Some((due, Deletion { uid: observed.uid?, resource_version }))
    }

    /// The Secret that an apply changes; `None` to create it. It takes fields over where other managers own
    /// some, or may do so after an apply that was refused for that.
    pub(super) fn replaced(&self) -> Option<Replaced> {
        let observed = self.observed()?;
        let ObservedCopy { uid, resource_version, .. } = observed;
        let was_refused = self.failure.as_ref().is_some_and(|failure| failure.is_conflict());
        let version = (!observed.is_intact() || was_refused).then_some(*resource_version);
        Some(Replaced { uid: (*uid)?, version })
    }

    fn retry_at(&self) -> Duration {
        FailureRecord::retry_at(self.failure.as_deref())
    }

    /// Its state. Without a manifest, an existing copy counts as up to date until it expires.
    pub(super) fn state(&self, manifest: Option<&Manifest>, now: Timestamp) -> CopyState {
        let is_current = || {
            let observed = self.observed();
            manifest.is_none_or(|manifest| observed.is_some_and(|copy| manifest.is_in(copy)))
        };
        let failure = self.failure.as_deref().map(|record| &*record.failure);
        CopyState::of(self.observed(), failure, is_current, now)
    }

    /// Whether Pods cannot pull with it, and no job has tried to change that.
    pub(super) fn is_untried(&self, manifest: Option<&Manifest>, now: Timestamp) -> bool {
        let state = self.state(manifest, now);
        self.failure.is_none() && matches!(state, CopyState::Missing | CopyState::Expired)
    }

    fn need(&self, manifest: &Manifest, secret: &PullSecret, now: Timestamp) -> Need {
        let Some(observed) = self.observed() else {
            return Need::Urgent;
        };
        if !secret.may_replace(&observed.ownership) {
            return Need::Nothing;
        }
        let (expires_at, works) = match observed.ownership {
            Ownership::Foreign => return Need::Urgent,
            // The other release keeps it up to date until all entries are there.
            Ownership::AnotherRelease { expires_at, .. } => (expires_at, !manifest.is_complete),
            Ownership::Ours { expires_at, .. } => (expires_at, observed.is_intact()),
        };
        let expires_at = expires_at.map_or(Timestamp::MAX, Timestamp::from);
        if manifest.is_in(observed) {
            Need::Nothing
        } else if works && expires_at > now {
            Need::Refresh(expires_at)
        } else {
            Need::Urgent
        }
    }
}
