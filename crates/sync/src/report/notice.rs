//! What is to be seen as an Event, by those who look at the object that it is about.

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::debug;

use crate::job::failure::{RepeatedFailure, WriteReason};

/// Something that went wrong with an object. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Notice {
    /// The object's kind, of the API version `v1`.
    pub kind: &'static str,
    /// The object's namespace.
    pub namespace: Arc<str>,
    /// The object's name.
    pub name: String,
    /// What happened, in a word.
    pub reason: &'static str,
    /// What happened, in a sentence.
    pub note: String,
}

/// Where notices go. It never waits: what is too much is left out, and is in the metrics still.
#[derive(Debug, Clone)]
pub struct Notices(mpsc::Sender<Notice>);

impl Notices {
    /// Notices for who listens at the other end.
    #[must_use]
    pub fn new(sender: mpsc::Sender<Notice>) -> Self {
        Self(sender)
    }

    /// Tells of something.
    pub fn tell(&self, notice: Notice) {
        if let Err(error) = self.0.try_send(notice) {
            debug!("an Event is left out: {error}");
        }
    }
}

impl Notice {
    /// A notice about a Secret.
    #[must_use]
    pub fn about_secret(
        namespace: Arc<str>,
        name: &str,
        reason: &'static str,
        note: impl Into<String>,
    ) -> Self {
        let (name, note) = (name.to_owned(), note.into());
        Self { kind: "Secret", namespace, name, reason, note }
    }

    /// Whether a failure is worth a notice: in a row of failures they become rare.
    pub(crate) fn is_due(setback: &RepeatedFailure) -> bool {
        let reason = setback.failure.reason;
        setback.count.is_power_of_two() && reason != WriteReason::NamespaceGone
    }
}
