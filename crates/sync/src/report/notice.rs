//! Notices that are published as Events of their objects.

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::debug;

use crate::{
    job::failure::{RepeatedFailure, WriteReason},
    release::Release,
};

/// A problem of an object, or its end. It never contains a secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Notice {
    /// The object's kind, of the API version `v1`.
    pub kind: &'static str,
    /// The object's namespace.
    pub namespace: Arc<str>,
    /// The object's name.
    pub name: String,
    /// The reason, in one word.
    pub reason: &'static str,
    /// The message.
    pub note: String,
    /// Whether it is a problem.
    pub severity: Severity,
}

/// The type of an Event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr)]
pub enum Severity {
    /// A problem is over.
    Normal,
    /// A problem.
    Warning,
}

/// Sends notices. It never waits: a notice too many is dropped; the metrics still count it.
#[derive(Debug, Clone)]
pub struct Notices(mpsc::Sender<Notice>);

impl Notices {
    /// Notices for the receiver of this channel.
    #[must_use]
    pub fn new(sender: mpsc::Sender<Notice>) -> Self {
        Self(sender)
    }

    /// Sends a notice.
    pub fn send(&self, notice: Notice) {
        if let Err(error) = self.0.try_send(notice) {
            debug!("dropped an Event: {error}");
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
        Self { kind: "Secret", namespace, name, reason, note, severity: Severity::Warning }
    }

    /// A notice about what belongs to no namespace but home: it is about the token cache.
    #[must_use]
    pub fn about_release(release: &Release, reason: &'static str, note: impl Into<String>) -> Self {
        Self::about_secret(release.namespace().into(), &release.token_cache(), reason, note)
    }

    /// The same for a problem that is over.
    #[must_use]
    pub fn over(self) -> Self {
        Self { severity: Severity::Normal, ..self }
    }

    /// Whether a failure is worth a notice: they become rarer with each failure in a row, until the reason
    /// changes.
    pub(crate) fn is_due(repeated: &RepeatedFailure) -> bool {
        let is_gone = repeated.failure.reason == WriteReason::NamespaceGone;
        !is_gone && (repeated.is_new || repeated.count.is_power_of_two())
    }
}
