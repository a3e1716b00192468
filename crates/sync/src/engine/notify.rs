//! Reports what happened to single objects: in the log, in the metrics, and as Events.

use std::{sync::Arc, time::Duration};

use tracing::{debug, error, info, warn};

use super::{runner::Runner, step::Effect};
use crate::{
    index::conflicts::Conflict,
    job::{
        Contest, Job, JobClass, JobOutcome,
        failure::{RepeatedFailure, WriteReason},
    },
    report::notice::{Notice, Severity},
};

impl Runner {
    pub(super) fn report_effect(&self, effect: &Effect) {
        match effect {
            Effect::ReportJob { job, outcome, took } => self.report_job(job, outcome, *took),
            Effect::ReportConflict(conflict) => self.report_conflict(conflict),
            Effect::ReportUnrendered { secret, error } => {
                error!(secret, "the pull Secret could not be rendered: {error}");
            }
            _ => {}
        }
    }

    fn report_job(&self, job: &Job, outcome: &JobOutcome, took: Duration) {
        let failed = outcome.failure.as_ref().map(|repeated| repeated.failure.reason);
        match job.action.class() {
            JobClass::Apply => {
                self.metrics.record_apply(&job.name, failed, took);
                if let Some(waited) = outcome.waited {
                    self.metrics.record_first_copy(waited);
                }
            }
            JobClass::Patch => self.metrics.record_patch(&job.name, failed),
            JobClass::Delete => {}
        }
        if let Some(contest) = &outcome.contest {
            self.report_contest(job, contest);
        }
        match &outcome.failure {
            Some(failure) => self.report_failure(job, failure),
            None => log_success(job),
        }
        if let Some(ended) = &outcome.ended {
            self.report_recovery(job, ended);
        }
    }

    fn report_conflict(&self, conflict: &Conflict) {
        let Conflict { secret, namespace, release, is_over } = conflict;
        if *is_over {
            let note = "the Secret of another owner is no longer in the way";
            info!(%secret, %namespace, "{note}");
            let namespace = Arc::clone(namespace);
            let notice = Notice::about_secret(namespace, secret, "ConflictEnded", note);
            return self.notify(notice.over());
        }
        let note = match release {
            Some(release) => format!(
                "another_release: the release {release} keeps the Secret of this name, and it is not \
                 changed: take the namespace off one of the two lists, or set `takeOver: [{release}]`"
            ),
            None => {
                "a Secret of another owner has this name and is not changed: delete it, deny the \
                     namespace, or set `onConflict: adopt`"
                    .to_owned()
            }
        };
        warn!(%secret, %namespace, "{note}");
        self.notify(Notice::about_secret(Arc::clone(namespace), secret, "ConflictingSecret", note));
    }

    fn report_contest(&self, job: &Job, Contest { repairs, client }: &Contest) {
        let Job { name, namespace, .. } = job;
        let (object, reason) = match job.action.class() {
            JobClass::Patch => ("ServiceAccount", "ServiceAccountContested"),
            _ => ("copy", "CopyContested"),
        };
        let client = client.as_ref().map_or("another client", |client| client.as_str());
        let note =
            format!("{client} keeps changing this {object}; repairing it with increasing delay");
        warn!(kind = kind(job), %name, %namespace, repairs, "{note}");
        if repairs.is_power_of_two() {
            self.notify(about(job, reason, note));
        }
    }

    /// `ended` is the last of the failures in a row.
    fn report_recovery(&self, job: &Job, ended: &RepeatedFailure) {
        let RepeatedFailure { failure, count, .. } = ended;
        let Job { name, namespace, action, .. } = job;
        let (reason, what) = match action.class() {
            JobClass::Apply => ("CopyWritten", "wrote the copy"),
            JobClass::Patch => ("ServiceAccountChanged", "patched imagePullSecrets"),
            JobClass::Delete => ("CopyDeleted", "deleted the copy"),
        };
        let note = format!("{what} after {}; the last: {}", failures(*count), failure.reason);
        debug!(kind = kind(job), %name, %namespace, failures = count, "{note}");
        self.notify(about(job, reason, note).over());
    }

    fn report_failure(&self, job: &Job, repeated: &RepeatedFailure) {
        let RepeatedFailure { failure, count, delay, .. } = repeated;
        let Job { name, namespace, .. } = job;
        // The watch of the namespaces shows the same soon.
        if failure.reason == WriteReason::NamespaceGone {
            debug!(%name, %namespace, "the namespace is gone: {failure}");
            return;
        }
        let (reason, what) = match job.action.class() {
            JobClass::Apply => ("CopyNotWritten", "could not write the copy"),
            JobClass::Patch => ("ServiceAccountNotChanged", "could not patch imagePullSecrets"),
            JobClass::Delete => ("CopyNotDeleted", "could not delete the copy"),
        };
        let is_patch = job.action.class() == JobClass::Patch;
        warn!(
            secret = (!is_patch).then_some(&**name),
            service_account = is_patch.then_some(&**name),
            %namespace,
            reason = %failure.reason,
            failures = count,
            retry_in_seconds = delay.as_secs_f64(),
            "{what}: {failure}"
        );
        if Notice::is_due(repeated) {
            self.notify(about(job, reason, format!("{what}: {}: {failure}", failure.reason)));
        }
    }

    fn notify(&self, notice: Notice) {
        if let Some(notices) = &self.notices {
            notices.send(notice);
        }
    }
}

/// A notice of a problem of a job's object.
fn about(job: &Job, reason: &'static str, note: String) -> Notice {
    let (namespace, name) = (Arc::clone(&job.namespace), job.name.to_string());
    Notice { kind: kind(job), namespace, name, reason, note, severity: Severity::Warning }
}

fn kind(job: &Job) -> &'static str {
    if job.action.class() == JobClass::Patch { "ServiceAccount" } else { "Secret" }
}

fn failures(count: u32) -> String {
    if count == 1 { "1 failure".to_owned() } else { format!("{count} failures") }
}

fn log_success(Job { name, namespace, action, .. }: &Job) {
    match action.class() {
        JobClass::Apply => debug!(secret = %name, %namespace, "wrote the copy"),
        JobClass::Patch => info!(service_account = %name, %namespace, "patched imagePullSecrets"),
        JobClass::Delete => {
            info!(secret = %name, %namespace, "deleted the copy, which is no longer wanted");
        }
    }
}
