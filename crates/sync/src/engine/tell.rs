//! Tells of how writes ended: in the log, and as notices.

use std::sync::Arc;

use tracing::{debug, info, warn};

use super::{Engine, writes::Kind};
use crate::{
    job::failure::{RepeatedFailure, WriteReason},
    report::notice::Notice,
};

impl Engine {
    /// Tells of foreign Secrets that stand where a copy is wanted, once of each.
    pub(super) fn tell_of_conflicts(&mut self) {
        if self.term.is_none() {
            return;
        }
        for (secret, namespace) in self.index.take_conflicts() {
            let note = "a foreign Secret of that name is there and is left alone: delete it, deny the \
                        namespace, or set `onConflict: adopt`";
            warn!(secret, %namespace, "{note}");
            self.notice(Notice::about_secret(namespace, &secret, "ConflictingSecret", note));
        }
    }

    /// Tells of somebody who fights over a copy.
    pub(super) fn tell_of_contest(&self, secret: &str, namespace: &Arc<str>, repairs: u32) {
        let note = "somebody keeps changing or deleting the copy: its repairs slow down";
        warn!(secret, %namespace, repairs, "{note}");
        if repairs.is_power_of_two() {
            self.notice(Notice::about_secret(Arc::clone(namespace), secret, "CopyContested", note));
        }
    }

    /// Tells of a failure.
    pub(super) fn tell_of_setback(
        &self,
        kind: Kind,
        name: &str,
        namespace: &Arc<str>,
        setback: &RepeatedFailure,
    ) {
        let RepeatedFailure { failure, count, delay } = setback;
        // It is on its way out, and its watch will tell.
        if failure.reason == WriteReason::NamespaceGone {
            debug!(name, %namespace, "the namespace is gone: {failure}");
            return;
        }
        let (reason, what) = match kind {
            Kind::Write => ("CopyNotWritten", "the copy was not written"),
            Kind::Link => ("ServiceAccountNotChanged", "its imagePullSecrets were not changed"),
            Kind::Deletion => ("CopyNotDeleted", "the copy was not deleted"),
        };
        let is_link = kind == Kind::Link;
        warn!(
            secret = (!is_link).then_some(name),
            service_account = is_link.then_some(name),
            %namespace,
            reason = %failure.reason,
            failures = count,
            retry_in_seconds = delay.as_secs_f64(),
            "{what}: {failure}"
        );
        if Notice::is_due(setback) {
            self.notice(Notice {
                kind: if is_link { "ServiceAccount" } else { "Secret" },
                namespace: Arc::clone(namespace),
                name: name.to_owned(),
                reason,
                note: format!("{what}: {}: {failure}", failure.reason),
            });
        }
    }

    fn notice(&self, notice: Notice) {
        if let Some(notices) = &self.notices {
            notices.tell(notice);
        }
    }
}

/// Tells of a write that was done.
pub(super) fn tell_of_success(kind: Kind, name: &str, namespace: &str) {
    match kind {
        Kind::Write => debug!(secret = name, namespace, "wrote the copy"),
        Kind::Link => info!(service_account = name, namespace, "changed its imagePullSecrets"),
        Kind::Deletion => {
            info!(secret = name, namespace, "deleted the copy, which is wanted no more");
        }
    }
}
