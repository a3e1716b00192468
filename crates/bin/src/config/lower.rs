//! From what the file says to what the program uses. All that is wrong is found in one go.

use std::{collections::HashSet, sync::Arc, time::Duration};

use ecr_refresher_core::{ecr::EcrSettings, is_account};
use ecr_refresher_sync::{
    AllowList, CONTENT_HASH, EXPIRES_AT, MANAGED_BY, OnConflict, PerNamespace, PullSecret, Settings,
};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;

use super::{
    Config, RegistrySettings, SourceSettings,
    names::{is_label_value, is_qualified_name, is_subdomain},
    problem::{Place, Problem, suggest},
    raw::{
        RawConfig, RawEcr, RawNamespaces, RawOnConflict, RawOperator, RawPerNamespace, RawPrune,
        RawRefresh, RawRegistry, RawSecret, RawSelector,
    },
    yaml::Tree,
};

/// A token is replaced at half its life, unless the config says otherwise.
const AT_FRACTION: f64 = 0.5;
/// The copies of a new token are written over this time, unless the config says otherwise.
const SPREAD: Duration = Duration::from_mins(5);
/// Beyond this a spread would reach into the last part of a token's 12 hours.
const LONGEST_SPREAD: Duration = Duration::from_hours(1);
/// A copy that is wanted no more is deleted after this, unless the config says otherwise.
const PRUNE_AFTER: Duration = Duration::from_mins(10);
/// How many writes may be under way, unless the config says otherwise.
const CONCURRENCY: u64 = 32;
/// More connections than this gain nothing from one API server.
const MOST_CONCURRENCY: u64 = 256;
/// Where metrics and probes are served, unless the config says otherwise.
const LISTEN: &str = "0.0.0.0:8080";
/// GitOps tools take what carries this label for theirs, and delete it.
const INSTANCE: &str = "app.kubernetes.io/instance";

/// Checks a config and turns it into settings.
pub(super) fn lower(raw: RawConfig, tree: &Tree) -> Result<Config, Vec<Problem>> {
    let mut lowering = Lowering { tree, problems: Vec::new() };
    let registries = lowering.registries(raw.registries);
    let names: Vec<_> = registries.iter().map(|registry| &*registry.name).collect();
    let secrets = lowering.secrets(raw.secrets, &names);
    let (at_fraction, spread) = lowering.refresh(&raw.refresh);
    let prune_after = lowering.prune(&raw.prune);
    let concurrency = lowering.concurrency(raw.writer.concurrency.unwrap_or(CONCURRENCY));
    let text = raw.listen.as_deref().unwrap_or(LISTEN);
    let listen = text.parse().map_err(|_| {
        lowering.report(
            &["listen"],
            format!("`{text}` is no address to listen at"),
            "write it as `0.0.0.0:8080`",
        );
    });
    match listen {
        Ok(listen) if lowering.problems.is_empty() => Ok(Config {
            registries: registries.into(),
            at_fraction,
            sync: Settings {
                secrets,
                spread,
                prune_after,
                concurrency,
                per_namespace: match raw.metrics.per_namespace {
                    RawPerNamespace::Off => PerNamespace::Off,
                    RawPerNamespace::Failing => PerNamespace::Failing,
                    RawPerNamespace::All => PerNamespace::All,
                },
            },
            listen,
        }),
        _ => Err(lowering.problems),
    }
}

/// Collects what is wrong.
struct Lowering<'a> {
    tree: &'a Tree,
    problems: Vec<Problem>,
}

impl Lowering<'_> {
    fn report(&mut self, path: &[&str], message: impl Into<String>, help: impl Into<String>) {
        let path: Vec<_> = path.iter().map(|&key| key.to_owned()).collect();
        self.problems.push(Problem::new(self.tree.place(&path), message).help(help));
    }

    fn registries(&mut self, raw: Vec<RawRegistry>) -> Vec<RegistrySettings> {
        if raw.is_empty() {
            self.problems.push(
                Problem::new(Place::File, "there is no registry to get credentials from")
                    .help("the least is `registries: [{name: main, ecr: {region: eu-west-1}}]`"),
            );
        }
        let mut names = HashSet::new();
        let mut registries = Vec::new();
        for (index, raw) in raw.into_iter().enumerate() {
            let index = index.to_string();
            let path = ["registries", &index];
            if raw.name.is_empty() {
                self.report(&path, "the registry's `name` is empty", "give it one of its own");
            }
            if !names.insert(raw.name.clone()) {
                let message = format!("there are two registries named `{}`", raw.name);
                self.report(&[path[0], path[1], "name"], message, "names must differ");
            }
            let source = match (raw.ecr, raw.file) {
                (Some(ecr), None) => SourceSettings::Ecr(self.ecr(ecr, &index)),
                (None, Some(file)) => SourceSettings::File(file.path),
                (both, _) => {
                    let number = if both.is_some() { "two kinds" } else { "no kind" };
                    let message = format!("the registry `{}` has {number}", raw.name);
                    self.report(&path, message, "give it exactly one of `ecr` and `file`");
                    continue;
                }
            };
            registries.push(RegistrySettings { name: raw.name.into(), source });
        }
        registries
    }

    fn ecr(&mut self, raw: RawEcr, registry: &str) -> EcrSettings {
        let path = ["registries", registry, "ecr"];
        if let Some(region) = &raw.region
            && (region.is_empty()
                || !region
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'))
        {
            let message = format!("`{region}` is no AWS region");
            self.report(&[&path[..], &["region"]].concat(), message, "write it as `eu-west-1`");
        }
        for (index, account) in raw.accounts.iter().enumerate() {
            if !is_account(account) {
                let message = format!("`{account}` is no AWS account");
                let index = index.to_string();
                self.report(
                    &[&path[..], &["accounts", &index]].concat(),
                    message,
                    "write its 12 digits, in quotes",
                );
            }
        }
        if let Some(url) = &raw.endpoint_url
            && !is_http_url(url)
        {
            let message = format!("`{url}` is no URL of an endpoint");
            self.report(
                &[&path[..], &["endpointUrl"]].concat(),
                message,
                "write it as `https://HOST` or `http://HOST:PORT`",
            );
        }
        EcrSettings { region: raw.region, accounts: raw.accounts, endpoint_url: raw.endpoint_url }
    }

    fn secrets(&mut self, raw: Vec<RawSecret>, registries: &[&str]) -> Vec<PullSecret> {
        if raw.is_empty() {
            self.problems.push(
                Problem::new(Place::File, "there is no pull Secret to write")
                    .help("the least is `secrets: [{name: ecr-pull, namespaces: [\"team-*\"]}]`"),
            );
        }
        let mut names = HashSet::new();
        let mut secrets = Vec::new();
        for (index, raw) in raw.into_iter().enumerate() {
            let index = index.to_string();
            let path = ["secrets", &index, "name"];
            if !is_subdomain(&raw.name) {
                let message = format!("`{}` cannot name a Secret", raw.name);
                self.report(&path, message, "use lower-case letters, digits, `-` and `.`");
            }
            if !names.insert(raw.name.clone()) {
                let message = format!("there are two pull Secrets named `{}`", raw.name);
                self.report(&path, message, "names must differ; one may have several patterns");
            }
            self.marks(&raw, &index);
            let references = self.references(raw.registries, registries, &index);
            if let Some(allow_list) = self.allow_list(raw.namespaces, &index) {
                secrets.push(PullSecret {
                    name: raw.name,
                    registries: references,
                    allow_list,
                    on_conflict: match raw.on_conflict {
                        RawOnConflict::Skip => OnConflict::Skip,
                        RawOnConflict::Adopt => OnConflict::Adopt,
                    },
                    labels: raw.labels,
                    annotations: raw.annotations,
                });
            }
        }
        secrets
    }

    /// The registries that a pull Secret names; all of them if it names none.
    fn references(
        &mut self,
        named: Option<Vec<String>>,
        known: &[&str],
        secret: &str,
    ) -> Vec<Arc<str>> {
        let Some(named) = named else {
            return known.iter().map(|&name| name.into()).collect();
        };
        if named.is_empty() {
            let path = ["secrets", secret, "registries"];
            let help = "leave the key out for all of them";
            self.report(&path, "the list of registries is empty", help);
        }
        let mut references: Vec<Arc<str>> = Vec::new();
        for (index, name) in named.iter().enumerate() {
            let index = index.to_string();
            let path = ["secrets", secret, "registries", &index];
            if !known.contains(&name.as_str()) {
                let message = format!("there is no registry named `{name}`");
                self.report(&path, message, suggest(name, known));
            } else if references.iter().any(|other| **other == **name) {
                self.report(&path, format!("the registry `{name}` is named twice"), "name it once");
            } else {
                references.push(name.as_str().into());
            }
        }
        references
    }

    fn allow_list(&mut self, raw: RawNamespaces, secret: &str) -> Option<AllowList> {
        let base = ["secrets", secret, "namespaces"];
        if raw.allow.is_empty() {
            self.report(&base, "the allow-list is empty", "name a namespace, or \"*\" for all");
            return None;
        }
        let selector = self.selector(raw.selector, secret)?;
        match AllowList::new(raw.allow, raw.deny, selector) {
            Ok(list) => Some(list),
            Err(error) => {
                let index = error.index.to_string();
                let path = match (raw.is_list, error.denied) {
                    (true, _) => vec![index.as_str()],
                    (false, denied) => vec![if denied { "deny" } else { "allow" }, &index],
                };
                let help = "globs know `*`, `?`, `[a-z]` and `{a,b}`";
                self.report(&[&base[..], &path].concat(), error.to_string(), help);
                None
            }
        }
    }

    fn selector(&mut self, raw: RawSelector, secret: &str) -> Option<Selector> {
        let base = ["secrets", secret, "namespaces", "selector"];
        let before = self.problems.len();
        for (key, value) in &raw.match_labels {
            self.label(key, value, &[&base[..], &["matchLabels", key]].concat());
        }
        for (index, expression) in raw.match_expressions.iter().enumerate() {
            let index = index.to_string();
            let path = [&base[..], &["matchExpressions", &index]].concat();
            let values = expression.values.as_deref().unwrap_or_default();
            let wants_values = matches!(expression.operator, RawOperator::In | RawOperator::NotIn);
            if wants_values && values.is_empty() {
                self.report(&path, "`In` and `NotIn` want `values`", "name at least one");
            }
            if !wants_values && !values.is_empty() {
                self.report(
                    &path,
                    "`Exists` and `DoesNotExist` want no `values`",
                    "leave them out",
                );
            }
            for value in values.iter().map(String::as_str).chain([""]) {
                self.label(&expression.key, value, &path);
            }
        }
        let selector = LabelSelector {
            match_labels: Some(raw.match_labels),
            match_expressions: Some(raw.match_expressions.into_iter().map(Into::into).collect()),
        };
        match Selector::try_from(selector) {
            Ok(selector) if self.problems.len() == before => Some(selector),
            Ok(_) => None,
            Err(error) => {
                self.report(&base, error.to_string(), "write it as in Kubernetes");
                None
            }
        }
    }

    /// The extra labels and annotations of the copies.
    fn marks(&mut self, raw: &RawSecret, secret: &str) {
        for (key, value) in &raw.labels {
            let path = ["secrets", secret, "labels", key];
            self.label(key, value, &path);
            if key == INSTANCE {
                let help = "GitOps tools would take the copies for theirs and delete them";
                self.report(&path, format!("copies must not carry the label `{key}`"), help);
            }
            if key == MANAGED_BY {
                self.report(
                    &path,
                    format!("the label `{key}` marks the copies as ours"),
                    "leave it out",
                );
            }
        }
        for key in raw.annotations.keys() {
            let path = ["secrets", secret, "annotations", key];
            if !is_qualified_name(&key.to_lowercase()) {
                self.report(
                    &path,
                    format!("`{key}` cannot be the key of an annotation"),
                    "write it as `example.com/key`",
                );
            }
            if key == EXPIRES_AT || key == CONTENT_HASH {
                self.report(&path, format!("the annotation `{key}` is ours"), "leave it out");
            }
        }
    }

    fn label(&mut self, key: &str, value: &str, path: &[&str]) {
        if !is_qualified_name(key) {
            self.report(
                path,
                format!("`{key}` cannot be the key of a label"),
                "write it as `tier` or `example.com/tier`",
            );
        }
        if !is_label_value(value) {
            self.report(
                path,
                format!("`{value}` cannot be the value of a label"),
                "use letters, digits, `-`, `_` and `.`, at most 63",
            );
        }
    }

    fn refresh(&mut self, raw: &RawRefresh) -> (f64, Duration) {
        let at_fraction = raw.at_fraction.unwrap_or(AT_FRACTION);
        if !(0.05..=0.95).contains(&at_fraction) {
            let message = format!("`{at_fraction}` is no fraction of a life to refresh at");
            self.report(
                &["refresh", "atFraction"],
                message,
                "choose one from 0.05 to 0.95; 0.5 is usual",
            );
        }
        let spread = match raw.spread.as_deref().map(parse_duration) {
            None => Some(SPREAD),
            Some(spread) => spread.filter(|&spread| spread <= LONGEST_SPREAD),
        };
        if spread.is_none() {
            let message = format!(
                "`{}` is no time to spread writes over",
                raw.spread.as_deref().unwrap_or_default()
            );
            self.report(
                &["refresh", "spread"],
                message,
                "choose one from `0s` to `1h`, such as `5m`",
            );
        }
        (at_fraction, spread.unwrap_or(SPREAD))
    }

    /// After how long what is wanted no more is deleted; `None` for never.
    fn prune(&mut self, raw: &RawPrune) -> Option<Duration> {
        let after = raw.after.as_deref().map_or(Some(PRUNE_AFTER), parse_duration);
        if after.is_none() {
            let text = raw.after.as_deref().unwrap_or_default();
            let message = format!("`{text}` is no time to wait before a copy is deleted");
            self.report(&["prune", "after"], message, "choose one such as `10m`");
        }
        after.filter(|_| raw.enabled.unwrap_or(true))
    }

    fn concurrency(&mut self, concurrency: u64) -> usize {
        if !(1..=MOST_CONCURRENCY).contains(&concurrency) {
            let message = format!("{concurrency} writes cannot be under way at once");
            let help = format!("choose 1 to {MOST_CONCURRENCY}; {CONCURRENCY} is usual");
            self.report(&["writer", "concurrency"], message, help);
        }
        usize::try_from(concurrency).unwrap_or(usize::MAX)
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    text.parse::<SignedDuration>().ok()?.try_into().ok()
}

fn is_http_url(text: &str) -> bool {
    text.parse::<hyper::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some()
    })
}
