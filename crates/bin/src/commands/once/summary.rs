//! The summary of a pass, as text or JSON.

use std::fmt::Write;

use ecr_refresher_sync::{
    engine::once::Pass,
    report::{ConflictReason, CopyReport, CopyState, Report},
};
use serde::Serialize;

use super::credentials::FailedRegistries;
use crate::{cli::Output, daemon::StopSignal, output::document, words::plural};

/// The summary of a pass.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Whether nothing was left to do when it ended.
    complete: bool,
    copies: u64,
    written: u64,
    /// The copies that were up to date before.
    unchanged: u64,
    deleted: u64,
    /// The copies that it did not delete because of `prune.limit`.
    held_back: u64,
    /// The copies that it did not come to before it ended.
    not_reached: u64,
    /// The registries that gave no new credentials.
    failed_registries: Vec<FailedRegistry>,
    /// The copies that are not up to date.
    failed: Vec<FailedCopy>,
    /// The ServiceAccounts that do not name their pull Secrets.
    failed_service_accounts: Vec<FailedAccount>,
}

#[derive(Debug, Serialize)]
struct FailedRegistry {
    registry: String,
    reason: &'static str,
    message: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct FailedCopy {
    secret: String,
    namespace: String,
    state: &'static str,
    reason: &'static str,
    message: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FailedAccount {
    service_account: String,
    namespace: String,
    reason: &'static str,
    message: String,
}

impl Summary {
    /// The outcome of the registries; that of the copies follows.
    pub(super) fn new(failed: &FailedRegistries) -> Self {
        let failed = failed.iter().map(|(registry, error)| FailedRegistry {
            registry: registry.to_string(),
            reason: error.reason.as_str(),
            message: error.to_string(),
        });
        Self {
            complete: false,
            copies: 0,
            written: 0,
            unchanged: 0,
            deleted: 0,
            held_back: 0,
            not_reached: 0,
            failed_registries: failed.collect(),
            failed: Vec::new(),
            failed_service_accounts: Vec::new(),
        }
    }

    /// Adds what became of the copies.
    pub(super) fn with(self, pass: Pass) -> Self {
        let Pass { is_complete: complete, written, deleted, held_back, report } = pass;
        let copies = report.copies();
        let failed_service_accounts = failed_accounts(&report);
        let (failed, not_reached) = failed_copies(report, complete);
        let changed = written + failed.len() as u64 + not_reached;
        Self {
            complete,
            copies,
            written,
            // A copy that somebody has changed meanwhile was written twice.
            unchanged: copies.saturating_sub(changed),
            deleted,
            held_back,
            not_reached,
            failed,
            failed_service_accounts,
            ..self
        }
    }

    /// Whether nothing was left to do when it ended.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether everything is up to date.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.complete
            && self.held_back == 0
            && self.failed_registries.is_empty()
            && self.failed.is_empty()
            && self.failed_service_accounts.is_empty()
    }

    /// `stopped` is the signal that has ended it.
    pub(super) fn render(&self, output: Output, stopped: Option<StopSignal>) -> String {
        document(output, self).unwrap_or_else(|| self.text(stopped))
    }

    fn text(&self, stopped: Option<StopSignal>) -> String {
        let mut text = String::new();
        for FailedRegistry { registry, reason, message } in &self.failed_registries {
            // Writing to a String never fails.
            let _ = writeln!(text, "registry {registry}: {reason}: {message}");
        }
        for copy in &self.failed {
            let FailedCopy { secret, namespace, state, reason, message } = copy;
            let reason = if reason.is_empty() { String::new() } else { format!("{reason}: ") };
            let _ = writeln!(text, "{secret} in {namespace}: {state}: {reason}{message}");
        }
        for account in &self.failed_service_accounts {
            let FailedAccount { service_account, namespace, reason, message } = account;
            let _ = writeln!(
                text,
                "ServiceAccount {service_account} in {namespace}: {reason}: {message}"
            );
        }
        if !self.complete {
            let left = match self.not_reached {
                0 => "not everything was done".to_owned(),
                some => format!("{} not reached", plural(some, "copy was", "copies were")),
            };
            let _ = match stopped {
                Some(signal) => writeln!(text, "{left} before it was stopped ({signal})"),
                None => writeln!(text, "{left} before the time was over: increase --timeout"),
            };
        }
        if self.held_back > 0 {
            let copies = plural(self.held_back, "copy is", "copies are");
            let _ = writeln!(
                text,
                "{copies} no longer wanted and not deleted: more than `prune.limit` allows at once"
            );
        }
        let Self { written, unchanged, deleted, failed, .. } = self;
        let copies = plural(self.copies, "copy", "copies");
        let failed = failed.len();
        let _ = writeln!(
            text,
            "{copies}: {written} written, {unchanged} left as they were, {deleted} deleted, {failed} failed"
        );
        text
    }
}

/// The copies that have failed, and the number of those that were not reached.
fn failed_copies(report: Report, is_complete: bool) -> (Vec<FailedCopy>, u64) {
    let (mut failed, mut not_reached) = (Vec::new(), 0);
    for secret in report.secrets {
        for copy in secret.copies.into_iter().filter(|copy| copy.state != CopyState::Fresh) {
            if is_complete || copy.failure.is_some() || copy.state == CopyState::Conflict {
                failed.push(FailedCopy::new(&secret.name, &copy));
            } else {
                not_reached += 1;
            }
        }
    }
    failed.sort_by(|one, other| {
        (&one.secret, &one.namespace).cmp(&(&other.secret, &other.namespace))
    });
    (failed, not_reached)
}

fn failed_accounts(report: &Report) -> Vec<FailedAccount> {
    let failing = report.accounts.iter().flat_map(|account| {
        let failing = account.failing.iter();
        failing.map(move |(namespace, repeated)| FailedAccount {
            service_account: account.name.clone(),
            namespace: namespace.to_string(),
            reason: repeated.failure.reason.as_str(),
            message: repeated.failure.to_string(),
        })
    });
    failing.collect()
}

impl FailedCopy {
    fn new(secret: &str, copy: &CopyReport) -> Self {
        let (reason, message) = match &copy.failure {
            Some(repeated) => (repeated.failure.reason.as_str(), repeated.failure.to_string()),
            None => why(copy),
        };
        Self {
            secret: secret.to_owned(),
            namespace: copy.namespace.to_string(),
            state: copy.state.as_str(),
            reason,
            message,
        }
    }
}

/// Why a copy of which no write failed is not fresh: the reason in a word, and in a sentence.
fn why(copy: &CopyReport) -> (&'static str, String) {
    let message = match (copy.state, &copy.release) {
        (CopyState::Conflict, Some(release)) => {
            format!("the release {release} keeps this Secret: see `takeOver`")
        }
        (CopyState::Conflict, None) => {
            "a foreign Secret has this name: see `onConflict`".to_owned()
        }
        (CopyState::Missing | CopyState::Expired, _) => {
            "its registries gave no credentials".to_owned()
        }
        _ => "it was not written".to_owned(),
    };
    let is_conflict = copy.state == CopyState::Conflict;
    let conflict = || ConflictReason::of(copy.release.as_ref()).as_str();
    (if is_conflict { conflict() } else { "" }, message)
}

#[cfg(test)]
mod tests {
    use ecr_refresher_core::{FetchError, Reason};
    use ecr_refresher_sync::report::{Counts, SecretReport};

    use strum::VariantArray;

    use super::*;

    fn pass(states: &[(&str, CopyState)]) -> Pass {
        let copies = states.iter().map(|&(namespace, state)| CopyReport {
            namespace: namespace.into(),
            state,
            expires_at: None,
            release: None,
            failure: None,
        });
        let mut counts = [0; CopyState::VARIANTS.len()];
        for &(_, state) in states {
            counts[state as usize] += 1;
        }
        let secret = SecretReport {
            name: "ecr-pull".to_owned(),
            counts,
            earliest_expiration: None,
            patterns: Vec::new(),
            conflicts: Counts::new(),
            contested: Counts::new(),
            unwanted: 0,
            unselected: None,
            copies: copies.collect(),
        };
        let report = Report { secrets: vec![secret], ..Report::default() };
        Pass { is_complete: true, written: 1, deleted: 0, held_back: 0, report }
    }

    #[test]
    fn a_pass_after_which_all_is_fresh_is_good() {
        let summary = Summary::new(&FailedRegistries::new()).with(pass(&[("a", CopyState::Fresh)]));
        assert!(summary.is_good());
        assert_eq!(
            summary.text(None),
            "1 copy: 1 written, 0 left as they were, 0 deleted, 0 failed\n"
        );
    }

    #[test]
    fn deletions_that_were_held_back_are_a_failure() {
        let held = Pass { held_back: 30, ..pass(&[("a", CopyState::Fresh)]) };
        let summary = Summary::new(&FailedRegistries::new()).with(held);
        assert!(!summary.is_good());
        assert!(summary.text(None).starts_with("30 copies are no longer wanted and not deleted:"));
    }

    #[test]
    fn each_failed_copy_is_named_with_its_reason() {
        let states =
            [("b", CopyState::Missing), ("c", CopyState::Fresh), ("a", CopyState::Conflict)];
        let summary = Summary::new(&FailedRegistries::new()).with(pass(&states));
        assert!(!summary.is_good());
        let text = summary.text(None);
        assert!(
            text.starts_with(
                "ecr-pull in a: conflict: foreign: a foreign Secret has this name: see `onConflict`\n\
                 ecr-pull in b: missing: its registries gave no credentials\n"
            ),
            "{text}"
        );
        assert!(
            text.ends_with("3 copies: 1 written, 0 left as they were, 0 deleted, 2 failed\n"),
            "{text}"
        );
    }

    #[test]
    fn a_registry_that_failed_is_named_though_all_copies_are_fresh() {
        let error = FetchError::new(Reason::Network, "unreachable");
        let summary =
            Summary::new(&[("main".into(), error)].into()).with(pass(&[("a", CopyState::Fresh)]));
        assert!(!summary.is_good());
        assert!(summary.text(None).starts_with("registry main: network: unreachable\n"));
        let json: serde_json::Value =
            serde_json::from_str(&summary.render(Output::Json, None)).unwrap();
        assert_eq!(json["failedRegistries"][0]["registry"], "main");
        assert_eq!(json["copies"], 1);
    }

    #[test]
    fn a_pass_that_was_cut_off_counts_what_it_did_not_reach_in_one_line() {
        let states =
            [("b", CopyState::Missing), ("c", CopyState::Stale), ("a", CopyState::Conflict)];
        let cut_off = Pass { is_complete: false, ..pass(&states) };
        let summary = Summary::new(&FailedRegistries::new()).with(cut_off);
        assert!(!summary.is_good());
        let text = summary.text(None);
        assert_eq!(text.lines().count(), 3, "{text}");
        let line = "2 copies were not reached before the time was over: increase --timeout\n";
        assert!(text.contains(line), "{text}");
        let text = summary.text(Some(StopSignal::Interrupt));
        assert!(
            text.contains("2 copies were not reached before it was stopped (SIGINT)\n"),
            "{text}"
        );
    }
}
