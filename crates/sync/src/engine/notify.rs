//! Reports what happened to objects: in the log, in the metrics, and as Events.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tracing::{debug, error, info, warn};

use super::{prune::MassPrune, runner::Runner, step::Effect};
use crate::{
    index::conflicts::Conflict,
    job::{
        Action, Apply, Contest, Job, JobClass, JobOutcome,
        failure::{RepeatedFailure, WriteReason},
    },
    report::{
        digest::Topic,
        notice::{Notice, Severity},
    },
};

/// What happened, by the class of the job.
struct Words {
    /// The reasons of Events: of a failure, and of its end.
    failed: &'static str,
    ended: &'static str,
    /// Of one object.
    could_not: &'static str,
    done: &'static str,
    /// Of several.
    could_not_all: &'static str,
    recovered_all: &'static str,
    contested_all: &'static str,
}

impl Words {
    const fn of(class: JobClass) -> Self {
        match class {
            JobClass::Apply => Self {
                failed: "CopyNotWritten",
                ended: "CopyWritten",
                could_not: "could not write the copy",
                done: "wrote the copy",
                could_not_all: "could not write copies",
                recovered_all: "wrote copies that had failed before",
                contested_all: "another client keeps changing copies",
            },
            JobClass::Patch => Self {
                failed: "ServiceAccountNotChanged",
                ended: "ServiceAccountChanged",
                could_not: "could not patch imagePullSecrets",
                done: "patched imagePullSecrets",
                could_not_all: "could not patch the imagePullSecrets of ServiceAccounts",
                recovered_all: "patched imagePullSecrets that had failed before",
                contested_all: "another client keeps changing ServiceAccounts",
            },
            JobClass::Delete => Self {
                failed: "CopyNotDeleted",
                ended: "CopyDeleted",
                could_not: "could not delete the copy",
                done: "deleted the copy, which is no longer wanted",
                could_not_all: "could not delete copies",
                recovered_all: "deleted copies that had failed before",
                contested_all: "another client keeps changing copies",
            },
        }
    }
}

impl Runner {
    pub(super) fn report_effect(&mut self, effect: &Effect) {
        match effect {
            Effect::ReportJob { job, outcome, took } => self.report_job(job, outcome, *took),
            Effect::ReportConflict(conflict) => self.report_conflict(conflict),
            Effect::ReportPrune(prune) => self.report_prune(prune),
            Effect::ReportUnrendered { secret, error } => {
                error!(secret, "the pull Secret could not be rendered: {error}");
            }
            _ => {}
        }
    }

    fn report_job(&mut self, job: &Job, outcome: &JobOutcome, took: Duration) {
        let failed = outcome.failure.as_ref().map(|repeated| repeated.failure.reason);
        match job.action.class() {
            JobClass::Apply => {
                self.written += u64::from(outcome.is_done);
                self.metrics.record_apply(&job.name, failed, took);
                if let Some(waited) = outcome.waited {
                    self.metrics.record_first_copy(waited);
                }
            }
            JobClass::Patch => self.metrics.record_patch(&job.name, failed),
            JobClass::Delete => self.metrics.record_deletion(&job.name, failed),
        }
        if let Some(contest) = &outcome.contest {
            self.report_contest(job, contest);
        }
        match &outcome.failure {
            Some(failure) => self.report_failure(job, failure),
            None => self.log_success(job, outcome.ended.is_some()),
        }
        if let Some(ended) = &outcome.ended {
            self.report_recovery(job, ended);
        }
    }

    /// One line for all objects with the same message.
    fn digest(&mut self, topic: Topic, namespace: &str, name: &str, detail: &str) {
        self.log.add(topic, format!("{namespace}/{name}"), detail, self.clock.uptime());
    }

    fn report_prune(&self, prune: &MassPrune) {
        let MassPrune { unwanted, limit, is_held, is_small } = *prune;
        let (count, all) = (unwanted.count, unwanted.all);
        if is_held {
            let note = format!(
                "{count} of {all} copies are no longer wanted, which is more than `prune.limit` ({limit}) allows \
                 at once, so none is deleted: undo the edit, or raise `prune.limit`"
            );
            warn!(copies = count, "{note}");
            return self.notify(Notice::about_release(&self.release, "PruneHeld", note));
        }
        let Some(due) = unwanted.first_due else {
            return info!("no copy is held back from deletion any more");
        };
        let left = due.saturating_sub(self.clock.uptime());
        let left = SignedDuration::try_from(left).unwrap_or(SignedDuration::MAX);
        let at = self.clock.wall().saturating_add(left).unwrap_or(Timestamp::MAX);
        let copies = if count == 1 { "copy is" } else { "copies are" };
        let note = format!("{count} {copies} no longer wanted; deleting from {at:.0} on");
        info!(copies = count, "{note}");
        if !is_small {
            self.notify(Notice::about_release(&self.release, "MassPrune", note));
        }
    }

    fn report_conflict(&mut self, conflict: &Conflict) {
        let Conflict { secret, namespace, release, is_over } = conflict;
        let topic = |severity, text| Topic {
            severity,
            text,
            by: release.as_ref().map(ToString::to_string),
        };
        if *is_over {
            let note = "the Secret of another owner is no longer in the way";
            debug!(%secret, %namespace, "{note}");
            let text = "Secrets of another owner are no longer in the way";
            self.digest(topic(Severity::Normal, text), namespace, secret, "");
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
        debug!(%secret, %namespace, "{note}");
        let text = "Secrets of another owner are in the way of copies";
        self.digest(topic(Severity::Warning, text), namespace, secret, &note);
        self.notify(Notice::about_secret(Arc::clone(namespace), secret, "ConflictingSecret", note));
    }

    fn report_contest(&mut self, job: &Job, Contest { repairs, client }: &Contest) {
        let Job { name, namespace, .. } = job;
        let (object, reason) = match job.action.class() {
            JobClass::Patch => ("ServiceAccount", "ServiceAccountContested"),
            _ => ("copy", "CopyContested"),
        };
        let client = client.as_ref().map_or("another client", |client| client.as_str());
        let note =
            format!("{client} keeps changing this {object}; repairing it with increasing delay");
        debug!(kind = kind(job), %name, %namespace, repairs, "{note}");
        if repairs.is_power_of_two() {
            let text = Words::of(job.action.class()).contested_all;
            let topic = Topic { severity: Severity::Warning, text, by: Some(client.to_owned()) };
            self.digest(topic, namespace, name, "repairing them with increasing delay");
            self.notify(about(job, reason, note));
        }
    }

    /// `ended` is the last of the failures in a row.
    fn report_recovery(&mut self, job: &Job, ended: &RepeatedFailure) {
        let RepeatedFailure { failure, count, .. } = ended;
        let Job { name, namespace, action, .. } = job;
        let Words { ended, done, recovered_all: text, .. } = Words::of(action.class());
        let note = format!("{done} after {}; the last: {}", failures(*count), failure.reason);
        debug!(kind = kind(job), %name, %namespace, failures = count, "{note}");
        let by = Some(failure.reason.to_string());
        self.digest(Topic { severity: Severity::Normal, text, by }, namespace, name, "");
        self.notify(about(job, ended, note).over());
    }

    fn report_failure(&mut self, job: &Job, repeated: &RepeatedFailure) {
        let RepeatedFailure { failure, count, is_new, delay } = repeated;
        let Job { name, namespace, .. } = job;
        // The watch of the namespaces shows the same soon.
        if failure.reason == WriteReason::NamespaceGone {
            debug!(%name, %namespace, "the namespace is gone: {failure}");
            return;
        }
        let Words { failed, could_not, could_not_all: text, .. } = Words::of(job.action.class());
        let is_patch = job.action.class() == JobClass::Patch;
        debug!(
            secret = (!is_patch).then_some(&**name),
            service_account = is_patch.then_some(&**name),
            %namespace,
            reason = %failure.reason,
            failures = count,
            retry_in_seconds = delay.as_secs(),
            "{could_not}: {failure}"
        );
        if *is_new {
            let by = Some(failure.reason.to_string());
            let topic = Topic { severity: Severity::Warning, text, by };
            self.digest(topic, namespace, name, &failure.message);
        }
        if Notice::is_due(repeated) {
            self.notify(about(job, failed, format!("{could_not}: {}: {failure}", failure.reason)));
        }
    }

    /// `had_failed` says whether a recovery is reported too.
    fn log_success(&mut self, Job { name, namespace, action, .. }: &Job, had_failed: bool) {
        let class = action.class();
        debug!(%name, %namespace, "{}", Words::of(class).done);
        let text = match class {
            _ if had_failed => return,
            JobClass::Apply => return self.digest_repair(namespace, name, action),
            JobClass::Patch => "patched the imagePullSecrets of ServiceAccounts",
            JobClass::Delete => "deleted copies that are no longer wanted",
        };
        let topic = Topic { severity: Severity::Normal, text, by: None };
        self.digest(topic, namespace, name, "");
    }

    fn digest_repair(&mut self, namespace: &str, name: &str, action: &Action) {
        if let Action::Apply(Apply { is_repair: true, changed_by, .. }) = action {
            let by = changed_by.as_ref().map(ToString::to_string);
            let text = "repaired copies that another client had changed";
            self.digest(Topic { severity: Severity::Normal, text, by }, namespace, name, "");
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
