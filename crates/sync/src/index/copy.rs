//! One copy: what is known of it, and what it needs.

use std::{sync::Arc, time::Duration};

use ecr_refresher_core::{
    clock::Now,
    planted::{Bug, is_planted},
};
use jiff::{SignedDuration, Timestamp};

use super::failure::Failure;
use crate::{
    desired::{manifest::Manifest, settings::OnConflict},
    job::{
        backoff,
        failure::{RepeatedFailure, WriteFailure},
        queue::Ticket,
    },
    moment::MaybeTime,
    observed::{
        copy::{ObservedCopy, Ownership, Uid},
        tracked::{Lists, Tracked},
    },
    report::CopyState,
};

/// A copy that is made right again is given this long to stay so.
const LATELY: Duration = Duration::from_mins(10);
/// This many times within that it is made right at once.
const AT_ONCE: u8 = 2;
/// A refresh is never put off by more than this share of the life that the old token has left.
const SHARE_OF_REMAINING_LIFE: i32 = 4;
/// No longer life is taken into account by a copy that would lose entries: the longest of a token.
const LONGEST_PATIENCE: SignedDuration = SignedDuration::from_hours(12);

/// What is known of one copy.
#[derive(Debug, Clone, Default)]
pub(super) struct CopyRecord {
    pub(super) wanted: bool,
    /// Whether a foreign Secret stands in its place.
    pub(super) is_in_conflict: bool,
    /// Since when it is wanted, while it has never been seen.
    pub(super) awaited_since: MaybeTime,
    /// Since when it is known not to be wanted.
    unwanted_since: MaybeTime,
    /// Its turn to be written, while it is not as it should be: the earliest that it has had since
    /// then, so that neither newer content nor another date postpones it.
    turn: MaybeTime,
    pub(super) secret: Tracked<ObservedCopy>,
    /// The first bytes of the hash of the content that was written last, 0 before the first write.
    last_written: u32,
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

/// The turns of the copies of an earlier token.
pub(super) struct Spread {
    /// Over how long they are spread, at most.
    pub(super) longest: Duration,
    /// Where in that time this one has its turn, in 0..1.
    pub(super) position: f64,
}

impl Spread {
    /// The turn of a copy that is outdated since now, and works until `deadline`.
    fn turn(&self, deadline: Timestamp, now: Now) -> Duration {
        let left = deadline.duration_since(now.wall).max(SignedDuration::ZERO);
        let share = (left / SHARE_OF_REMAINING_LIFE).as_secs_f64();
        let offset = share.min(self.longest.as_secs_f64()) * self.position;
        now.uptime.saturating_add(Duration::from_secs_f64(offset))
    }
}

/// The turn of a copy that works until `deadline`, and would lose entries: it leaves time for these to
/// arrive, and enough for the write.
fn patient_turn(deadline: Timestamp, now: Now) -> Duration {
    let left = deadline.duration_since(now.wall).clamp(SignedDuration::ZERO, LONGEST_PATIENCE);
    let wait = Duration::try_from(left).unwrap_or_default() * 3 / 4;
    now.uptime.saturating_add(wait)
}

impl CopyRecord {
    /// Notes whether it is wanted.
    pub(super) fn want(&mut self, wanted: bool, now: Now) {
        if wanted && !self.wanted && self.observed().is_none() {
            self.awaited_since = now.uptime.into();
        }
        if self.wanted != wanted {
            self.failure = None;
        }
        if wanted {
            self.unwanted_since = MaybeTime::NONE;
        } else {
            self.awaited_since = MaybeTime::NONE;
            self.turn = MaybeTime::NONE;
            self.unwanted_since = self.unwanted_since.get().unwrap_or(now.uptime).into();
        }
        self.wanted = wanted;
    }

    /// The Secret that is there, as far as is known.
    pub(super) fn observed(&self) -> Option<ObservedCopy> {
        self.secret.get().copied()
    }

    /// Whether a write of it is under way.
    pub(super) fn is_writing(&self) -> bool {
        self.secret.is_writing()
    }

    /// Notes a repair: content that was written before is written again. Returns how many there were of
    /// late, when there are enough to slow down.
    pub(super) fn repaired(&mut self, now: Now) -> Option<u32> {
        let lately = |at: &Duration| now.uptime.saturating_sub(*at) <= LATELY;
        self.repairs =
            self.repaired_at.get().filter(lately).map_or(1, |_| self.repairs.saturating_add(1));
        self.repaired_at = now.uptime.into();
        (self.repairs >= AT_ONCE).then_some(u32::from(self.repairs))
    }

    /// Before when it is not to be made right again: whoever fights over it is not to be outpaced.
    fn patient_until(&self) -> Duration {
        let Some(at) = self.repaired_at.get().filter(|_| self.repairs >= AT_ONCE) else {
            return Duration::ZERO;
        };
        at.saturating_add(backoff::delay(u32::from(self.repairs - AT_ONCE) + 1, None, 1.0))
    }

    /// Whether a write of a manifest is a repair: of content that was written before, and is no longer
    /// there as it was.
    pub(super) fn is_repair(&self, manifest: &Manifest) -> bool {
        self.last_written == manifest.content.prefix()
    }

    /// Notes that a write or a deletion of it is under way.
    pub(super) fn start(&mut self) {
        self.secret.start_write();
    }

    /// Takes the answer to a write of a manifest.
    pub(super) fn written(&mut self, manifest: &Manifest, observed: ObservedCopy, lists: Lists) {
        self.last_written = manifest.content.prefix();
        self.turn = MaybeTime::NONE;
        self.update(|secret| secret.written(observed, lists));
    }

    /// Takes what a list, the watch or an answer says of the Secret.
    pub(super) fn update(&mut self, update: impl FnOnce(&mut Tracked<ObservedCopy>)) {
        let before = self.observed();
        update(&mut self.secret);
        let after = self.observed();
        if before == after {
            return;
        }
        let was_foreign = before.is_some_and(|old| old.ownership == Ownership::Foreign);
        let is_foreign = after.is_some_and(|new| new.ownership == Ownership::Foreign);
        if after.is_none() || (was_foreign && !is_foreign) {
            // What stood in the way is out of the way.
            self.failure.take_if(|failure| failure.is_conflict());
        }
        // The watch may tell of a write before its own answer comes, which ends the wait.
        if after.is_some() && !self.is_writing() {
            self.awaited_since = MaybeTime::NONE;
        }
    }

    /// Notes that the namespace is gone.
    pub(super) fn unwant(&mut self) {
        self.wanted = false;
        self.awaited_since = MaybeTime::NONE;
        self.unwanted_since = MaybeTime::NONE;
        self.turn = MaybeTime::NONE;
        self.failure = None;
        // What comes next under this name is another object.
        (self.last_written, self.repairs, self.repaired_at) = (0, 0, MaybeTime::NONE);
    }

    /// Takes that the machine was suspended for so long, before `now`.
    pub(super) fn suspended(&mut self, duration: Duration, now: Now) {
        if let Some(since) = self.unwanted_since.get() {
            // What was noted after it stays as it is.
            self.unwanted_since = since.saturating_add(duration).min(now.uptime).into();
        }
    }

    /// Forgets all but whether a write is under way.
    pub(super) fn forget(&mut self) {
        let mut secret = std::mem::take(&mut self.secret);
        secret.forget();
        *self = Self { secret, ..Self::default() };
    }

    /// Forgets what this process did about it.
    pub(super) fn stand_by(&mut self) {
        self.secret.end_write();
        self.turn = MaybeTime::NONE;
    }

    /// Notes a failure. `random` in 0..1 is for the backoff.
    pub(super) fn fail(
        &mut self,
        failure: WriteFailure,
        now: Now,
        random: f64,
    ) -> Arc<RepeatedFailure> {
        let failure = Failure::after(self.failure.as_deref(), failure, now, random);
        let setback = Arc::clone(&failure.setback);
        self.failure = Some(Box::new(failure));
        setback
    }

    /// Whether the Secret that is there is ours.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self.observed(), Some(ObservedCopy { ownership: Ownership::Ours { .. }, .. }))
    }

    /// Whether the Secret that is there is somebody else's.
    pub(super) fn is_foreign(&self) -> bool {
        matches!(self.observed(), Some(ObservedCopy { ownership: Ownership::Foreign, .. }))
    }

    /// Whether nothing is lost when this is forgotten.
    pub(super) fn is_forgettable(&self) -> bool {
        self.secret.is_forgettable()
    }

    /// When what is there expires, by what it says.
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        match self.observed()?.ownership {
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
        now: Now,
    ) -> Option<Ticket> {
        if self.observed().is_some_and(|observed| manifest.is_in(observed)) {
            // A write that failed may have been done, as when only its answer was lost.
            self.failure = None;
        }
        let retry_at = self.failure.as_ref().map_or(Duration::ZERO, |failure| failure.retry_at);
        let (turn, deadline) = match self.need(manifest, on_conflict, now.wall) {
            Need::Nothing => {
                self.turn = MaybeTime::NONE;
                return None;
            }
            Need::Refresh(deadline) if manifest.is_complete => {
                (spread.turn(deadline, now), Some(deadline))
            }
            // It may hold entries that this process has not got yet, or has forgotten, and works still.
            Need::Refresh(deadline) => (patient_turn(deadline, now), Some(deadline)),
            // What has failed, perhaps for ever, does not keep others waiting.
            Need::Urgent => (now.uptime, self.failure.as_ref().map(|_| Timestamp::MIN)),
        };
        let turn = self.turn.get().map_or(turn, |earlier| earlier.min(turn));
        self.turn = turn.into();
        // Content that was written before and is there no more: another client may change it again.
        let patient_until = if self.is_repair(manifest) && !is_planted(Bug::RepairsNeverSlowDown) {
            self.patient_until()
        } else {
            Duration::ZERO
        };
        Some(Ticket::new(turn.max(retry_at).max(patient_until), deadline))
    }

    /// When to delete what is there, if that is wanted no more and is ours to delete, and how it
    /// must be then: anything else is somebody's change.
    pub(super) fn plan_deletion(&self, after: Duration) -> Option<(Duration, Uid, u64)> {
        let observed = self.observed()?;
        let is_ours = matches!(observed.ownership, Ownership::Ours { labelled: true, .. });
        if !is_ours && !is_planted(Bug::ForeignDeleted) {
            return None;
        }
        let after = if is_planted(Bug::NoGracePeriod) { Duration::ZERO } else { after };
        let since = self.unwanted_since.get().filter(|_| !self.wanted && !self.is_writing())?;
        let retry_at = self.failure.as_ref().map_or(Duration::ZERO, |failure| failure.retry_at);
        let due = since.saturating_add(after).max(retry_at);
        Some((due, observed.uid?, observed.resource_version))
    }

    /// The state that metrics and people see. Without a manifest, what is there counts by itself.
    pub(super) fn state(&self, manifest: Option<&Manifest>, now: Timestamp) -> CopyState {
        match (self.observed().map(|observed| observed.ownership), &self.failure) {
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
        let Some(observed) = self.observed() else {
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
}
