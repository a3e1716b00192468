//! What is known of one object, from a list, a watch, and the answers to our own writes, which may
//! overtake each other. Pure.

use ecr_refresher_core::planted::{Bug, is_planted};

/// An object with a resourceVersion, which grows with each change of it; but after a restore of etcd
/// to an older revision versions begin anew from there.
pub(crate) trait Versioned {
    /// Its resourceVersion as a number; 0 when it is none.
    fn version(&self) -> u64;
}

/// The lists of objects: the number of the one that is under way, or was the last.
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

    /// It has shown all that there is.
    pub(crate) fn end(&mut self) {
        self.is_complete = true;
    }

    /// The number of the list that is under way, or was the last.
    pub(crate) fn number(self) -> u32 {
        self.number
    }

    /// Whether there was a whole list.
    pub(crate) fn is_complete(self) -> bool {
        self.is_complete
    }

    /// Until the next list has ended, nothing is known for sure.
    pub(crate) fn invalidate(&mut self) {
        self.is_complete = false;
    }
}

/// One object.
///
/// - A list always counts, whatever its versions are.
/// - The answer to an own write counts, unless the watch has shown something newer since the write
///   began. Where a list may have missed a deletion, the object counts as missing: a write too many
///   changes nothing, one too few would stay unnoticed.
/// - An event of the watch counts, unless something newer is known.
#[derive(Debug, Clone)]
pub(crate) struct Tracked<T> {
    value: Option<T>,
    /// The number of the list that showed it last.
    listed_in: u32,
    /// The number of the list during or after which a request of ours was answered last.
    answered_in: u32,
    /// The version at which it was deleted during the write that is under way.
    gone_version: u64,
    /// What is older than this was deleted by an own request: the watch may still show it.
    deleted_version: u64,
    is_writing: bool,
    /// Whether the watch or a list has shown anything since the write began.
    has_moved: bool,
    /// Whether a list ended without it during the write that is under way.
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
            is_writing: false,
            has_moved: false,
            was_unlisted: false,
        }
    }
}

impl<T: Versioned> Tracked<T> {
    /// The object, if it is there.
    pub(crate) fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// Whether a write of it is under way.
    pub(crate) fn is_writing(&self) -> bool {
        self.is_writing
    }

    /// Notes that a write of it is under way.
    pub(crate) fn start_write(&mut self) {
        (self.is_writing, self.has_moved, self.was_unlisted) = (true, false, false);
        self.gone_version = 0;
    }

    /// Notes that the write has ended without a known effect, or is no longer waited for.
    pub(crate) fn end_write(&mut self) {
        self.is_writing = false;
    }

    /// Takes what a list shows.
    pub(crate) fn listed(&mut self, value: T, lists: Lists) {
        if self.answered_in == lists.number {
            // The list may have been made before the request was done.
            self.changed(value);
        } else {
            self.deleted_version = 0;
            self.value = Some(value);
            self.has_moved = true;
        }
        self.listed_in = lists.number;
    }

    /// Forgets what the list that has ended did not show, also when a write of it was answered since the
    /// list began: another client may have deleted it before the list was made.
    pub(crate) fn list_ended(&mut self, lists: Lists) {
        if self.listed_in != lists.number && !is_planted(Bug::ListRemovesNothing) {
            self.deleted_version = 0;
            self.value = None;
            self.was_unlisted = self.is_writing;
        }
    }

    /// Takes a change that the watch shows.
    pub(crate) fn changed(&mut self, value: T) {
        let is_old = self.is_newer_than(value.version()) || value.version() < self.deleted_version;
        if !is_old {
            self.value = Some(value);
            self.has_moved = true;
        }
    }

    /// Takes a deletion that the watch shows, at this version.
    pub(crate) fn gone(&mut self, version: u64) {
        if !self.is_newer_than(version) {
            self.gone_version = version;
            self.value = None;
            self.has_moved = true;
        }
    }

    /// Takes the answer to an own write, which ends it.
    pub(crate) fn written(&mut self, value: T, lists: Lists) {
        self.is_writing = false;
        let is_older = self.has_moved && self.is_newer_than(value.version());
        if self.was_unlisted || value.version() < self.gone_version || is_older {
            return;
        }
        self.value = Some(value);
        self.answered_in = lists.number;
        self.deleted_version = 0;
    }

    /// Takes that an own deletion was done, of the object at this version.
    pub(crate) fn deleted(&mut self, version: u64, lists: Lists) {
        self.is_writing = false;
        // What is newer was made by another client since.
        if !self.is_newer_than(version) {
            self.deleted_version = version.saturating_add(1);
            self.answered_in = lists.number;
            self.value = None;
        }
    }

    /// Forgets all but whether a write is under way.
    pub(crate) fn forget(&mut self) {
        *self = Self { is_writing: self.is_writing, ..Self::default() };
    }

    /// Whether nothing is lost when this is forgotten.
    pub(crate) fn is_forgettable(&self) -> bool {
        self.value.is_none() && !self.is_writing
    }

    fn is_newer_than(&self, version: u64) -> bool {
        self.value.as_ref().is_some_and(|known| known.version() > version)
    }
}

#[cfg(test)]
mod tests;
