//! From the file to the settings of the program. All problems are found at once.

mod identity;
mod registries;
mod secrets;
mod sizes;

use ecr_refresher_sync::desired::settings::{PullSecret, Settings};

use super::{
    Config, LeaderElection,
    key_path::KeyPath,
    origins::Origins,
    problem::{Location, Problem, Problems},
    raw::{RawConfig, RawLeaderElection, RawRegistry, RawSecret},
    rule::{Rule, Unchecked},
};

/// Checks a config and turns it into settings. `token_cache` is the name of the Secret. Returns the warnings
/// too.
pub(super) fn validate(
    raw: RawConfig,
    origins: &Origins<'_>,
    token_cache: String,
    problems: &mut Vec<Problem>,
) -> (Option<Config>, Vec<Problem>) {
    let mut validation = Validation { origins, token_cache, problems, warnings: Vec::new() };
    let config = validation.config(raw);
    (config, validation.warnings)
}

/// Collects problems.
struct Validation<'a> {
    origins: &'a Origins<'a>,
    token_cache: String,
    problems: &'a mut Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Validation<'_> {
    /// `None` only after a problem was reported; the same holds for all parts.
    fn config(&mut self, raw: RawConfig) -> Option<Config> {
        let root = KeyPath::default();
        let name = |registry: &RawRegistry| registry.name.clone().unwrap_or_default();
        let names: Vec<_> = raw.registries.iter().map(name).collect();
        let registries = self.registries(raw.registries);
        let name = |secret: &RawSecret| secret.name.as_ref().map(|it| it.0.clone());
        let secret_names: Vec<_> = raw.secrets.iter().map(name).collect();
        let secrets = self.secrets(raw.secrets, &names);
        self.unused_registries(&names, &secrets);
        self.sizes(&registries, &secrets, &secret_names);
        let at_fraction =
            self.value(raw.refresh.at_fraction, &root.key("refresh").key("atFraction"));
        let spread = self.value(raw.refresh.spread, &root.key("refresh").key("spread"));
        let prune_after = self.value(raw.prune.after, &root.key("prune").key("after"));
        let prune_limit = self.value(raw.prune.limit, &root.key("prune").key("limit"));
        let concurrency =
            self.value(raw.writer.concurrency, &root.key("writer").key("concurrency"));
        let leader_election = self.leader_election(raw.leader_election);
        let listen = self.value(raw.listen, &root.key("listen"));
        Some(Config {
            registries: registries.into(),
            at_fraction: at_fraction?,
            sync: Settings {
                secrets,
                spread: spread?,
                prune_after: prune_after.filter(|_| raw.prune.enabled.unwrap_or(true)),
                prune_limit: prune_limit?,
                concurrency: concurrency?,
                per_namespace: raw.metrics.per_namespace.0,
            },
            leader_election,
            listen: listen?,
            warnings: Problems::default(),
        })
    }

    fn unused_registries(&mut self, names: &[String], secrets: &[PullSecret]) {
        for (index, name) in names.iter().enumerate() {
            let is_used = |secret: &PullSecret| secret.registries.iter().any(|it| **it == **name);
            if !secrets.iter().any(is_used) {
                let path = KeyPath::default().key("registries").index(index).key("name");
                let help = "name it under `registries` of a pull Secret, or remove it";
                self.warn(&path, format!("no pull Secret uses the registry `{name}`"), help);
            }
        }
    }

    fn leader_election(&mut self, raw: RawLeaderElection) -> Option<LeaderElection> {
        let path = KeyPath::default().key("leaderElection");
        let lease_duration = self.value(raw.lease_duration, &path.key("leaseDuration"));
        let renew_deadline = self.value(raw.renew_deadline, &path.key("renewDeadline"));
        let retry_period = self.value(raw.retry_period, &path.key("retryPeriod"));
        let (lease_duration, renew_deadline, retry_period) =
            (lease_duration?, renew_deadline?, retry_period?);
        if !(retry_period < renew_deadline && renew_deadline < lease_duration) {
            self.report(
                &path,
                "a leader must retry its renewal, and stop, before its Lease is over",
                "keep to `retryPeriod` < `renewDeadline` < `leaseDuration`",
            );
        }
        raw.enabled.unwrap_or(true).then_some(LeaderElection {
            lease_duration,
            renew_deadline,
            retry_period,
        })
    }

    /// The valid value, or the default where the file has none. An invalid one is reported.
    fn value<R: Rule>(&mut self, raw: Option<Unchecked<R>>, path: &KeyPath) -> Option<R::Valid> {
        match raw {
            Some(Unchecked(raw)) => self.check::<R>(&raw, path),
            None => R::default().and_then(|default| R::parse(&default)),
        }
    }

    /// The valid value. An invalid one is reported.
    fn check<R: Rule>(&mut self, raw: &R::Raw, path: &KeyPath) -> Option<R::Valid> {
        let valid = R::parse(raw);
        if valid.is_none() {
            let name = R::NAME;
            let message = if R::IS_SECRET {
                format!("this is not a valid {name}")
            } else {
                format!("`{raw}` is not a valid {name}")
            };
            let nearest = R::nearest(raw).map(|nearest| format!("did you mean `{nearest}`?"));
            self.report(path, message, nearest.unwrap_or_else(|| R::HELP.to_owned()));
        }
        valid
    }

    /// The valid value of a key that there must be.
    fn required<R: Rule>(
        &mut self,
        raw: Option<Unchecked<R>>,
        path: &KeyPath,
        key: &str,
    ) -> Option<R::Valid> {
        if raw.is_none() {
            self.report_missing(path, key, format!("`{key}` is missing"), R::HELP);
        }
        self.check::<R>(&raw?.0, &path.key(key))
    }

    /// Records that a key has no value, unless it has one that is left out.
    fn report_missing(&mut self, path: &KeyPath, key: &str, message: String, help: &str) {
        if !self.origins.lacks(&path.key(key)) {
            self.problems.push(Problem::new(self.origins.location(path), message).help(help));
        }
    }

    /// Records a problem of the value at a path. If something of the value is left out, that is reported already
    /// and may be the cause.
    fn report(&mut self, path: &KeyPath, message: impl Into<String>, help: impl Into<String>) {
        if !self.origins.lacks(path) {
            self.problems.push(Problem::new(self.origins.location(path), message).help(help));
        }
    }

    /// Records what may be a problem at run time.
    fn warn(&mut self, path: &KeyPath, message: impl Into<String>, help: impl Into<String>) {
        self.warnings.push(Problem::new(self.origins.location(path), message).help(help));
    }

    /// Records that a list at the top is empty.
    fn report_empty(&mut self, key: &str, message: &str, help: &str) {
        if !self.origins.lacks(&KeyPath::default().key(key)) {
            self.problems.push(Problem::new(Location::File, message).help(help));
        }
    }
}
