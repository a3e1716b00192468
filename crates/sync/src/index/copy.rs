//! One copy: what is known of it, and what it needs.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::failure::{Failure, Setback};
use crate::{
    CopyState, Manifest, Observed, OnConflict, Ownership, Uid, WriteFailure, backoff,
    maybe_time::MaybeTime, queue::Ticket,
};

/// A copy that is made right again is given this long to stay so.
const LATELY: SignedDuration = SignedDuration::from_mins(10);
/// This many times within that it is made right at once.
const AT_ONCE: u8 = 2;
/// A refresh is never put off by more than this share of the life that the old token has left.
const SHARE_OF_REMAINING_LIFE: i32 = 4;

/// What is known of one copy.
#[derive(Debug, Clone, Default)]
pub(super) struct CopyRecord {
    pub(super) wanted: bool,
    pub(super) in_flight: bool,
    /// Whether a foreign Secret stands in its place.
    pub(super) is_in_conflict: bool,
    /// Since when it is wanted, while it has never been seen.
    pub(super) awaited_since: MaybeTime,
    /// Since when it is known not to be wanted.
    unwanted_since: MaybeTime,
    /// The list of the copies in which it was seen last.
    epoch: u8,
    pub(super) observed: Option<Observed>,
    /// The resourceVersion at which its Secret went during the write that is under way.
    gone_at: u64,
    /// What is older than this was deleted: the watch may tell of it still, until the next list.
    outlived: u64,
    /// How often it had to be made right, each time soon after the last, and when that was.
    repairs: u8,
    repaired_at: MaybeTime,
    /// Boxed, because there is none for nearly all copies.
    pub(super) failure: Option<Box<Failure>>,
}

/// How what is there compares to what is to be there.
enum Need {
    Nothing,
    /// It is not there, damaged or expired.
    Urgent,
    /// It holds the credentials of an earlier token, until then.
    Refresh(Timestamp),
}

/// When a copy of an earlier token is replaced.
pub(super) struct Spread {
    /// From when on they all are.
    pub(super) since: Timestamp,
    /// Over how long, at most.
    pub(super) longest: Duration,
    /// Where in that time this one has its turn, in 0..1.
    pub(super) place: f64,
}

impl Spread {
    /// The turn of a copy that works until `deadline`.
    fn due(&self, deadline: Timestamp) -> Timestamp {
        let left = deadline.duration_since(self.since).max(SignedDuration::ZERO);
        let share = (left / SHARE_OF_REMAINING_LIFE).as_secs_f64();
        let offset = share.min(self.longest.as_secs_f64()) * self.place;
        let offset = SignedDuration::from_secs_f64(offset);
        self.since.saturating_add(offset).unwrap_or(self.since)
    }
}

impl CopyRecord {
    /// Notes whether it is wanted.
    pub(super) fn want(&mut self, wanted: bool, now: Timestamp) {
        if wanted && !self.wanted && self.observed.is_none() {
            self.awaited_since = now.into();
        }
        if self.wanted != wanted {
            self.failure = None;
        }
        if wanted {
            self.unwanted_since = MaybeTime::NONE;
        } else {
            self.awaited_since = MaybeTime::NONE;
            self.unwanted_since = self.unwanted_since.get().unwrap_or(now).into();
        }
        self.wanted = wanted;
    }

    /// Notes a write of what was missing, damaged or expired. Returns how often that has happened of
    /// late, when it is often enough to slow down.
    pub(super) fn repaired(&mut self, now: Timestamp) -> Option<u32> {
        let lately = |at: &Timestamp| now.duration_since(*at) <= LATELY;
        self.repairs =
            self.repaired_at.get().filter(lately).map_or(0, |_| self.repairs.saturating_add(1));
        self.repaired_at = now.into();
        (self.repairs >= AT_ONCE).then_some(u32::from(self.repairs))
    }

    /// Before when it is not to be made right again: whoever fights over it is not to be outpaced.
    fn patient_until(&self) -> Timestamp {
        let Some(at) = self.repaired_at.get().filter(|_| self.repairs >= AT_ONCE) else {
            return Timestamp::MIN;
        };
        let delay = backoff::delay(u32::from(self.repairs - AT_ONCE) + 1, None, 1.0);
        at.saturating_add(delay).unwrap_or(Timestamp::MAX)
    }

    /// Notes that a write of it is under way.
    pub(super) fn start(&mut self) {
        self.in_flight = true;
        self.gone_at = 0;
    }

    /// Takes in what a list shows.
    pub(super) fn list(&mut self, observed: Observed, epoch: u8) {
        // A write may have ended since the list began; what it returned is newer than the list.
        if self.epoch == epoch {
            self.change(observed);
        } else {
            self.outlived = 0;
            self.observe(observed);
        }
        self.epoch = epoch;
    }

    /// Forgets what the list that ended now did not show.
    pub(super) fn end_list(&mut self, epoch: u8) {
        if self.epoch != epoch {
            self.outlived = 0;
            if self.observed.is_some() {
                self.lose();
            }
        }
    }

    /// Takes in a change, unless it is older than what is known already.
    pub(super) fn change(&mut self, observed: Observed) {
        if !self.is_newer_than(observed) && observed.resource_version >= self.outlived {
            self.observe(observed);
        }
    }

    /// Takes in that the Secret whose last state was `last` is gone.
    pub(super) fn vanish(&mut self, last: Observed) {
        if !self.is_newer_than(last) {
            self.gone_at = last.resource_version;
            self.lose();
        }
    }

    /// Takes in what a write returned, unless the watch has shown the end of it already.
    pub(super) fn written(&mut self, observed: Observed, epoch: u8) {
        if observed.resource_version >= self.gone_at {
            self.change(observed);
            self.epoch = epoch;
        }
    }

    /// Notes that the namespace is gone.
    pub(super) fn unwant(&mut self) {
        self.wanted = false;
        self.awaited_since = MaybeTime::NONE;
        self.unwanted_since = MaybeTime::NONE;
        self.failure = None;
    }

    /// Keeps nothing that lies in the future of a clock that was set back to `now`.
    pub(super) fn set_back(&mut self, now: Timestamp) {
        for time in [&mut self.awaited_since, &mut self.unwanted_since, &mut self.repaired_at] {
            *time = time.get().map_or(MaybeTime::NONE, |time| time.min(now).into());
        }
        if let Some(failure) = &mut self.failure {
            failure.set_back(now);
        }
    }

    /// Forgets all but whether a write is under way.
    pub(super) fn forget(&mut self) {
        *self = Self { in_flight: self.in_flight, ..Self::default() };
    }

    /// Forgets what this process did about it.
    pub(super) fn stand_by(&mut self) {
        self.in_flight = false;
        self.failure = None;
    }

    /// Notes a failure. `random` in 0..1 is for the backoff.
    pub(super) fn fail(
        &mut self,
        failure: WriteFailure,
        now: Timestamp,
        random: f64,
    ) -> Arc<Setback> {
        let failure = Failure::after(self.failure.as_deref(), failure, now, random);
        let setback = Arc::clone(&failure.setback);
        self.failure = Some(Box::new(failure));
        setback
    }

    /// Whether what is there works still, and is only to be replaced by something newer.
    pub(super) fn is_refresh(&self, manifest: &Manifest, now: Timestamp) -> bool {
        matches!(self.need(manifest, OnConflict::Skip, now), Need::Refresh(_))
    }

    /// Whether the Secret that is there is ours.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self.observed, Some(Observed { ownership: Ownership::Ours { .. }, .. }))
    }

    /// Whether the Secret that is there is somebody else's.
    pub(super) fn is_foreign(&self) -> bool {
        matches!(self.observed, Some(Observed { ownership: Ownership::Foreign, .. }))
    }

    /// Whether nothing is lost when this is forgotten.
    pub(super) fn is_forgettable(&self) -> bool {
        self.observed.is_none() && !self.in_flight
    }

    /// When what is there expires, by what it says.
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        match self.observed?.ownership {
            Ownership::Ours { expires_at, .. } => expires_at,
            Ownership::Foreign => None,
        }
    }

    /// The place in the queue that the copy needs, if any.
    pub(super) fn plan(
        &mut self,
        manifest: &Manifest,
        on_conflict: OnConflict,
        spread: &Spread,
        now: Timestamp,
    ) -> Option<Ticket> {
        if self.observed.is_some_and(|observed| manifest.is_in(observed)) {
            // A write that failed may have been done, as when only its answer was lost.
            self.failure = None;
        }
        let retry_at = self.failure.as_ref().map_or(Timestamp::MIN, |failure| failure.retry_at);
        match self.need(manifest, on_conflict, now) {
            Need::Nothing => None,
            Need::Urgent => {
                let due = retry_at.max(self.patient_until()).max(now);
                // Whoever has failed, perhaps for ever, does not keep others waiting.
                Some(Ticket::new(due, self.failure.as_ref().map(|_| Timestamp::MIN)))
            }
            Need::Refresh(deadline) => {
                Some(Ticket::new(spread.due(deadline).max(retry_at), Some(deadline)))
            }
        }
    }

    /// When to delete what is there, if that is wanted no more and is ours to delete, and how it
    /// must be then: anything else is somebody's change.
    pub(super) fn plan_deletion(&self, after: Duration) -> Option<(Timestamp, Uid, u64)> {
        let observed = self.observed?;
        let Ownership::Ours { labelled: true, .. } = observed.ownership else { return None };
        let since = self.unwanted_since.get().filter(|_| !self.wanted && !self.in_flight)?;
        let retry_at = self.failure.as_ref().map_or(Timestamp::MIN, |failure| failure.retry_at);
        let due = since.saturating_add(after).unwrap_or(Timestamp::MAX).max(retry_at);
        Some((due, observed.uid?, observed.resource_version))
    }

    /// Takes in that it was deleted in that state.
    pub(super) fn deleted(&mut self, resource_version: u64, epoch: u8) {
        self.failure = None;
        // What is newer was made by somebody since.
        if self.observed.is_none_or(|known| known.resource_version <= resource_version) {
            self.outlived = resource_version.saturating_add(1);
            self.epoch = epoch;
            self.observed = None;
        }
    }

    /// The state that metrics and people see. Without a manifest, what is there counts by itself.
    pub(super) fn state(&self, manifest: Option<&Manifest>, now: Timestamp) -> CopyState {
        match (self.observed.map(|observed| observed.ownership), &self.failure) {
            // Also one that is to be adopted, until it is.
            (Some(Ownership::Foreign), _) => CopyState::Conflict,
            (_, Some(failure)) if failure.is_conflict() => CopyState::Conflict,
            (_, Some(_)) => CopyState::Failed,
            (None, _) => CopyState::Missing,
            (Some(Ownership::Ours { expires_at: Some(at), .. }), _) if at <= now => {
                CopyState::Expired
            }
            _ => match manifest.map(|manifest| self.need(manifest, OnConflict::Skip, now)) {
                Some(Need::Urgent | Need::Refresh(_)) => CopyState::Stale,
                Some(Need::Nothing) | None => CopyState::Fresh,
            },
        }
    }

    /// Whether Pods cannot pull with it, and nothing was done about that yet.
    pub(super) fn is_untried(&self, manifest: Option<&Manifest>, now: Timestamp) -> bool {
        let state = self.state(manifest, now);
        self.failure.is_none() && matches!(state, CopyState::Missing | CopyState::Expired)
    }

    fn need(&self, manifest: &Manifest, on_conflict: OnConflict, now: Timestamp) -> Need {
        let Some(observed) = self.observed else {
            return Need::Urgent;
        };
        let Ownership::Ours { expires_at, owned_fields, .. } = observed.ownership else {
            return match on_conflict {
                OnConflict::Skip => Need::Nothing,
                OnConflict::Adopt => Need::Urgent,
            };
        };
        let expires_at = expires_at.unwrap_or(Timestamp::MAX);
        if manifest.is_in(observed) {
            Need::Nothing
        } else if owned_fields == manifest.owned_fields && expires_at > now {
            Need::Refresh(expires_at)
        } else {
            Need::Urgent
        }
    }

    fn observe(&mut self, observed: Observed) {
        let was_foreign = self.observed.is_some_and(|old| old.ownership == Ownership::Foreign);
        if was_foreign && observed.ownership != Ownership::Foreign {
            self.failure.take_if(|failure| failure.is_conflict());
        }
        self.observed = Some(observed);
        // The watch may tell of a write before its own answer comes, which ends the wait.
        if !self.in_flight {
            self.awaited_since = MaybeTime::NONE;
        }
    }

    fn lose(&mut self) {
        self.observed = None;
        // What stood in the way is out of the way.
        self.failure.take_if(|failure| failure.is_conflict());
    }

    fn is_newer_than(&self, other: Observed) -> bool {
        self.observed.is_some_and(|known| known.resource_version > other.resource_version)
    }
}
