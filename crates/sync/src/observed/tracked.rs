//! The state of one object by lists, a watch, and the answers to own jobs, in any order. Pure.

use ecr_refresher_core::planted::{Bug, is_planted};

/// An object with a resourceVersion, which grows with each change; after a restore of etcd to an older
/// revision, versions continue from there.
pub(crate) trait Versioned {
    /// The resourceVersion as a number; 0 if it is not a number.
    fn version(&self) -> u64;
}

/// The lists of one collection: the number of the current or last one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lists {
    number: u32,
    is_complete: bool,
}

impl Lists {
    /// A list begins.
    pub(crate) fn begin(&mut self) {
        self.number = self.number.wrapping_add(1);
    }

    /// A list is complete.
    pub(crate) fn end(&mut self) {
        self.is_complete = true;
    }

    /// The number of the current or last list.
    pub(crate) fn number(self) -> u32 {
        self.number
    }

    /// Whether there was a complete list.
    pub(crate) fn is_complete(self) -> bool {
        self.is_complete
    }

    /// Until the next list is complete, absence is not known.
    pub(crate) fn invalidate(&mut self) {
        self.is_complete = false;
    }
}

/// A change of one object in a list or a watch.
#[derive(Debug)]
pub(crate) enum Change<T> {
    /// It is in the list.
    Listed(T, Lists),
    /// The list is complete.
    ListEnded(Lists),
    /// It was created or changed.
    Changed(T),
    /// It was deleted; this was its last state.
    Gone(T),
}

/// One object.
///
/// - A list always counts, whatever its versions are.
/// - The answer to an own job counts, unless the watch has shown something newer since the job
///   began. If a list may have missed a deletion, the object counts as missing: a write too many
///   changes nothing, a write too few would stay unnoticed.
/// - An event of the watch counts, unless something newer is known.
#[derive(Debug, Clone)]
pub(crate) struct Tracked<T> {
    value: Option<T>,
    /// The number of the list that showed it last.
    listed_in: u32,
    /// The number of the list during or after which an own job was answered last.
    answered_in: u32,
    /// The version at which it was deleted during the running job.
    gone_version: u64,
    /// Older versions were deleted by an own job: the watch may still show them.
    deleted_version: u64,
    has_job: bool,
    /// Whether the watch or a list has shown anything since the job began.
    has_moved: bool,
    /// Whether a list ended without it during the running job.
    was_unlisted: bool,
}

impl<T> Default for Tracked<T> {
    fn default() -> Self {
        Self {
            value: None,
            listed_in: 0,
            answered_in: 0,
            gone_version: 0,
            deleted_version: 0,
            has_job: false,
            has_moved: false,
            was_unlisted: false,
        }
    }
}

impl<T: Versioned> Tracked<T> {
    /// The object, if it exists.
    pub(crate) fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// Whether a job is running for it.
    pub(crate) fn has_job(&self) -> bool {
        self.has_job
    }

    /// A job starts.
    pub(crate) fn start_job(&mut self) {
        (self.has_job, self.has_moved, self.was_unlisted) = (true, false, false);
        self.gone_version = 0;
    }

    /// The job has ended without a known effect, or its result no longer counts.
    pub(crate) fn end_job(&mut self) {
        self.has_job = false;
    }

    /// Merges what a list or the watch shows.
    pub(crate) fn merge(&mut self, change: Change<T>) {
        match change {
            Change::Listed(value, lists) => self.listed(value, lists),
            Change::ListEnded(lists) => self.list_ended(lists),
            Change::Changed(value) => self.changed(value),
            Change::Gone(last) => self.gone(last.version()),
        }
    }

    fn listed(&mut self, value: T, lists: Lists) {
        if self.answered_in == lists.number {
            // The list may be older than the job's effect.
            self.changed(value);
        } else {
            self.deleted_version = 0;
            self.value = Some(value);
            self.has_moved = true;
        }
        self.listed_in = lists.number;
    }

    /// An object that the list did not show is gone, even if a job was answered since the list began:
    /// another client may have deleted it before.
    fn list_ended(&mut self, lists: Lists) {
        if self.listed_in != lists.number && !is_planted(Bug::ListRemovesNothing) {
            self.deleted_version = 0;
            self.value = None;
            self.was_unlisted = self.has_job;
        }
    }

    fn changed(&mut self, value: T) {
        let is_old = self.is_newer_than(value.version()) || value.version() < self.deleted_version;
        if !is_old {
            self.value = Some(value);
            self.has_moved = true;
        }
    }

    fn gone(&mut self, version: u64) {
        if !self.is_newer_than(version) {
            self.gone_version = version;
            self.value = None;
            self.has_moved = true;
        }
    }

    /// The job has written this.
    pub(crate) fn written(&mut self, value: T, lists: Lists) {
        self.has_job = false;
        let is_older = self.has_moved && self.is_newer_than(value.version());
        if self.was_unlisted || value.version() < self.gone_version || is_older {
            return;
        }
        self.value = Some(value);
        self.answered_in = lists.number;
        self.deleted_version = 0;
    }

    /// The job has deleted the object that had this version.
    pub(crate) fn deleted(&mut self, version: u64, lists: Lists) {
        self.has_job = false;
        // A newer one was created by another client since.
        if !self.is_newer_than(version) {
            self.deleted_version = version.saturating_add(1);
            self.answered_in = lists.number;
            self.value = None;
        }
    }

    /// Forgets all but the running job.
    pub(crate) fn forget(&mut self) {
        *self = Self { has_job: self.has_job, ..Self::default() };
    }

    /// Whether it holds nothing that is worth keeping.
    pub(crate) fn is_forgettable(&self) -> bool {
        self.value.is_none() && !self.has_job
    }

    fn is_newer_than(&self, version: u64) -> bool {
        self.value.as_ref().is_some_and(|known| known.version() > version)
    }
}

#[cfg(test)]
mod tests;
