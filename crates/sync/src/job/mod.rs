//! Jobs: writes to the API server, their order, their failures, and how many run at once.

pub(crate) mod backoff;
pub(crate) mod concurrency;
pub mod failure;
pub(crate) mod queue;
pub mod slot;

use std::{sync::Arc, time::Duration};

use self::{
    failure::{RepeatedFailure, WriteFailure},
    slot::ObjectKey,
};
use crate::{
    desired::manifest::Manifest,
    observed::{
        account::ObservedAccount,
        copy::{ObservedCopy, Replaced, Uid},
    },
};

/// One write to the API server. Its result goes back to the index.
#[derive(Debug, Clone)]
pub struct Job {
    /// The object in the index.
    pub key: ObjectKey,
    /// The object's namespace.
    pub namespace: Arc<str>,
    /// The object's name: of a Secret, or of a ServiceAccount.
    pub name: Arc<str>,
    /// The action.
    pub action: Action,
}

/// The action of a job.
#[derive(Debug, Clone)]
pub enum Action {
    /// Apply a copy.
    Apply(Apply),
    /// Patch the `imagePullSecrets` of a ServiceAccount.
    Patch(AccountPatch),
    /// Delete a copy.
    Delete(Deletion),
}

/// A server-side apply of a copy.
#[derive(Debug, Clone)]
pub struct Apply {
    /// The content.
    pub manifest: Arc<Manifest>,
    /// The Secret that it changes; `None` to create it.
    pub replaces: Option<Replaced>,
    /// Whether this content was written before, and another client has changed it since.
    pub is_repair: bool,
    /// The field manager of the client that has changed it last.
    pub changed_by: Option<Arc<String>>,
}

/// A change of the `imagePullSecrets` of a ServiceAccount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountPatch {
    /// The precondition: the resourceVersion that was observed.
    pub resource_version: u64,
    /// Whether the list exists.
    pub has_list: bool,
    /// The positions in the list to remove, in descending order.
    pub removed: Vec<usize>,
    /// The names to append.
    pub added: Vec<String>,
    /// Which of our names the list has afterwards, as a hash: it distinguishes a repair from a new change.
    pub(crate) names: u32,
    /// Whether the list had these names before, and another client has changed it since.
    pub is_repair: bool,
    /// The field manager of the client that has changed the list last.
    pub changed_by: Option<Arc<String>>,
}

/// The preconditions of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletion {
    /// The UID that was observed.
    pub uid: Uid,
    /// The resourceVersion that was observed: a copy that another client has edited since stays.
    pub resource_version: u64,
}

/// The result of a successful job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// The copy, as the API server returned it.
    Copy(ObservedCopy),
    /// The ServiceAccount, as the API server returned it.
    Account(ObservedAccount),
    /// Nothing: the copy was deleted.
    Deleted,
}

/// The answer of the API server to a job.
pub type JobResult = Result<Written, WriteFailure>;

/// The outcome of a job for its object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobOutcome {
    /// Why the object is not up to date.
    pub failure: Option<Arc<RepeatedFailure>>,
    /// The last of the failures in a row that it has ended.
    pub ended: Option<Arc<RepeatedFailure>>,
    /// Whether the API server has done it, also if its effect was changed on the way.
    pub is_done: bool,
    /// How long the namespace had waited for its first copy, if this was it.
    pub waited: Option<Duration>,
    /// Another client that keeps changing the object.
    pub contest: Option<Contest>,
}

/// Repairs of an object that another client keeps changing, often enough to slow down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contest {
    /// How often it was repaired recently.
    pub repairs: u32,
    /// The field manager of the client, as far as `managedFields` tell.
    pub client: Option<Arc<String>>,
}

/// The priority of a job: all due jobs of one class run before those of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobClass {
    /// Applies.
    Apply,
    /// Patches of ServiceAccounts.
    Patch,
    /// Deletions.
    Delete,
}

impl Action {
    /// The class of the job.
    #[must_use]
    pub fn class(&self) -> JobClass {
        match self {
            Self::Apply(_) => JobClass::Apply,
            Self::Patch(_) => JobClass::Patch,
            Self::Delete(_) => JobClass::Delete,
        }
    }
}
