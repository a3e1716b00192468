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
    state: State<T>,
    /// The number of the list that showed it last.
    listed_in: u32,
    /// The number of the list during or after which an own job was answered last.
    answered_in: u32,
    /// Boxed, because nearly no object has one.
    job: Option<Box<RunningJob>>,
}

#[derive(Debug, Clone)]
enum State<T> {
    Present(T),
    Absent {
        /// Older versions were deleted by an own job: the watch may still show them.
        deleted_version: u64,
    },
}

/// The observations since a job began.
#[derive(Debug, Clone, Default)]
struct RunningJob {
    /// The version at which the object was deleted.
    gone_version: u64,
    /// Whether the watch or a list has shown anything.
    has_moved: bool,
    /// Whether a list ended without the object.
    was_unlisted: bool,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self::Absent { deleted_version: 0 }
    }
}

impl<T> Default for Tracked<T> {
    fn default() -> Self {
        Self { state: State::default(), listed_in: 0, answered_in: 0, job: None }
    }
}

impl<T: Versioned> Tracked<T> {
    /// The object, if it exists.
    pub(crate) fn get(&self) -> Option<&T> {
        match &self.state {
            State::Present(value) => Some(value),
            State::Absent { .. } => None,
        }
    }

    /// Whether a job is running for it.
    pub(crate) fn has_job(&self) -> bool {
        self.job.is_some()
    }

    /// A job starts.
    pub(crate) fn start_job(&mut self) {
        self.job = Some(Box::default());
    }

    /// The job has ended without a known effect, or its result no longer counts.
    pub(crate) fn end_job(&mut self) {
        self.job = None;
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
            self.moved(State::Present(value));
        }
        self.listed_in = lists.number;
    }

    /// An object that the list did not show is gone, even if a job was answered since the list began:
    /// another client may have deleted it before.
    fn list_ended(&mut self, lists: Lists) {
        if self.listed_in != lists.number && !is_planted(Bug::ListRemovesNothing) {
            self.state = State::default();
            self.job.iter_mut().for_each(|job| job.was_unlisted = true);
        }
    }

    fn changed(&mut self, value: T) {
        let is_old = match &self.state {
            State::Present(known) => known.version() > value.version(),
            State::Absent { deleted_version } => value.version() < *deleted_version,
        };
        if !is_old {
            self.moved(State::Present(value));
        }
    }

    fn gone(&mut self, version: u64) {
        if !self.is_newer_than(version) {
            self.job.iter_mut().for_each(|job| job.gone_version = version);
            let deleted_version = match self.state {
                State::Present(_) => 0,
                State::Absent { deleted_version } => deleted_version,
            };
            self.moved(State::Absent { deleted_version });
        }
    }

    fn moved(&mut self, state: State<T>) {
        self.state = state;
        self.job.iter_mut().for_each(|job| job.has_moved = true);
    }

    /// The job has written this.
    pub(crate) fn written(&mut self, value: T, lists: Lists) {
        // Nothing is known of the time since an answer that is late was asked for.
        let late = RunningJob { has_moved: true, ..RunningJob::default() };
        let RunningJob { gone_version, has_moved, was_unlisted } =
            self.job.take().map_or(late, |job| *job);
        let is_older = has_moved && self.is_newer_than(value.version());
        if was_unlisted || value.version() < gone_version || is_older {
            return;
        }
        self.state = State::Present(value);
        self.answered_in = lists.number;
    }

    /// The job has deleted the object that had this version.
    pub(crate) fn deleted(&mut self, version: u64, lists: Lists) {
        self.job = None;
        // A newer one was created by another client since.
        if !self.is_newer_than(version) {
            self.state = State::Absent { deleted_version: version.saturating_add(1) };
            self.answered_in = lists.number;
        }
    }

    /// Forgets all but the running job.
    pub(crate) fn forget(&mut self) {
        *self = Self { job: self.job.take(), ..Self::default() };
    }

    /// Whether it holds nothing that is worth keeping.
    pub(crate) fn is_forgettable(&self) -> bool {
        self.get().is_none() && self.job.is_none()
    }

    fn is_newer_than(&self, version: u64) -> bool {
        self.get().is_some_and(|known| known.version() > version)
    }
}

#[cfg(test)]
mod tests;
