//! The pull Secrets.

use std::{collections::HashSet, sync::Arc};

use ecr_refresher_sync::{
    MANAGED_BY,
    desired::{
        allow_list::{AllowList, check_pattern},
        settings::PullSecret,
    },
    release::{RELEASE, Release},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::core::Selector;
use strum::VariantNames;

use super::{
    super::{
        key_path::KeyPath,
        problem::suggest,
        raw::{Operator, RawExpression, RawNamespaces, RawSecret, RawSelector},
        rule::{Rule, Unchecked},
        rules::{AnnotationKey, LabelKey, LabelValue, ObjectName, ReleaseId},
    },
    Validation,
};

/// What all annotations begin with that copies have.
const OWN_PREFIX: &str = "ecr-refresher.io/";
/// GitOps tools track objects by this label, and delete those that are not in their repository.
const INSTANCE: &str = "app.kubernetes.io/instance";

impl Validation<'_> {
    /// `registries` are the names of all registries.
    pub(super) fn secrets(
        &mut self,
        raw: Vec<RawSecret>,
        registries: &[String],
    ) -> Vec<PullSecret> {
        if raw.is_empty() {
            self.report_empty(
                "secrets",
                "there is no pull Secret to write",
                "add one: `secrets: [{name: ecr-pull, namespaces: [\"team-*\"]}]`",
            );
        }
        let mut names = HashSet::new();
        let mut secrets = Vec::new();
        for (index, raw) in raw.into_iter().enumerate() {
            let path = KeyPath::default().key("secrets").index(index);
            if let Some(Unchecked(name)) = &raw.name {
                if !names.insert(name.clone()) {
                    let message = format!("there are two pull Secrets named `{name}`");
                    let help = "names must differ; one pull Secret may have several patterns";
                    self.report(&path.key("name"), message, help);
                }
                if *name == self.token_cache {
                    let message = format!("`{name}` is the name of the token cache");
                    let help = "choose another name: its copy at home would replace the tokens";
                    self.report(&path.key("name"), message, help);
                }
            }
            secrets.extend(self.secret(raw, registries, &path));
        }
        secrets
    }

    fn secret(
        &mut self,
        raw: RawSecret,
        registries: &[String],
        path: &KeyPath,
    ) -> Option<PullSecret> {
        self.labels(&raw, &path.key("labels"));
        self.annotations(&raw, &path.key("annotations"));
        let name = self.required(raw.name, path, "name");
        let accounts = path.key("serviceAccounts");
        let service_accounts = self.service_accounts(raw.service_accounts, &accounts);
        let take_over = self.releases(raw.take_over, &path.key("takeOver"));
        let registries = self.references(raw.registries, registries, &path.key("registries"));
        Some(PullSecret {
            allow_list: self.allow_list(raw.namespaces, &path.key("namespaces"))?,
            name: name?,
            registries,
            service_accounts,
            on_conflict: raw.on_conflict.0,
            take_over,
            labels: raw.labels,
            annotations: raw.annotations,
        })
    }

    /// The registries that a pull Secret names; all of them if it names none.
    fn references(
        &mut self,
        named: Option<Vec<String>>,
        known: &[String],
        path: &KeyPath,
    ) -> Vec<Arc<str>> {
        let Some(named) = named else {
            return known.iter().map(|name| name.as_str().into()).collect();
        };
        if named.is_empty() {
            let help = "leave the key out for all of them";
            self.report(path, "the list of registries is empty", help);
        }
        for (index, name) in named.iter().enumerate() {
            let path = path.index(index);
            if !known.contains(name) {
                // It may be one that is left out, or has no name.
                let lacks = self.origins.lacks(&KeyPath::default().key("registries"));
                if lacks || known.iter().any(String::is_empty) {
                    continue;
                }
                let known: Vec<_> = known.iter().map(String::as_str).collect();
                let message = format!("there is no registry named `{name}`");
                self.report(&path, message, suggest(name, &known));
            } else if named[..index].contains(name) {
                self.report(&path, format!("the registry `{name}` is named twice"), "name it once");
            }
        }
        named.into_iter().map(Into::into).collect()
    }

    fn allow_list(&mut self, raw: RawNamespaces, path: &KeyPath) -> Option<AllowList> {
        if raw.allow.is_empty() {
            self.report(path, "the allow-list is empty", "name a namespace, or \"*\" for all");
            return None;
        }
        let selector = self.selector(raw.selector, &path.key("selector"));
        let allow = if raw.is_list { path.clone() } else { path.key("allow") };
        let valid = self.patterns(&raw.allow, &allow) & self.patterns(&raw.deny, &path.key("deny"));
        let list = AllowList::new(raw.allow, raw.deny, selector?).ok().filter(|_| valid)?;
        let denied = list.denied();
        if denied.len() == list.patterns().len() {
            let message = "the deny-list denies each namespace of the allow-list";
            self.warn(path, message, "deny less, unless all copies are to go");
        } else {
            for index in denied {
                let message =
                    format!("`{}` matches only denied namespaces", list.patterns()[index]);
                self.warn(&allow.index(index), message, "remove it, or what denies it");
            }
        }
        Some(list)
    }

    /// Whether all of these patterns are valid.
    fn patterns(&mut self, patterns: &[String], path: &KeyPath) -> bool {
        let mut valid = true;
        for (index, pattern) in patterns.iter().enumerate() {
            if let Err(problem) = check_pattern(pattern) {
                valid = false;
                let help = better_pattern(pattern).map_or_else(
                    || "globs know `*`, `?`, `[a-z]` and `{a,b}`".to_owned(),
                    |better| format!("did you mean `{better}`?"),
                );
                let message = format!("invalid pattern {pattern:?}: {problem}");
                self.report(&path.index(index), message, help);
            } else if patterns[..index].contains(pattern) {
                let message = format!("the pattern `{pattern}` is there twice");
                self.warn(&path.index(index), message, "remove one of them");
            }
        }
        valid
    }

    fn selector(&mut self, raw: RawSelector, path: &KeyPath) -> Option<Selector> {
        let before = self.problems.len();
        for (key, value) in &raw.match_labels {
            let path = path.key("matchLabels").key(key);
            self.check::<LabelKey>(key, &path);
            self.check::<LabelValue>(value, &path);
        }
        for (index, expression) in raw.match_expressions.iter().enumerate() {
            self.expression(expression, &path.key("matchExpressions").index(index));
        }
        let requirement = |RawExpression { key, operator, values }| {
            Some(LabelSelectorRequirement {
                key: key?.0,
                operator: operator?.0.to_string(),
                values,
            })
        };
        let selector = LabelSelector {
            match_labels: Some(raw.match_labels),
            match_expressions: Some(
                raw.match_expressions.into_iter().filter_map(requirement).collect(),
            ),
        };
        Selector::try_from(selector)
            .inspect_err(|error| self.report(path, error.to_string(), "write it as in Kubernetes"))
            .ok()
            .filter(|_| self.problems.len() == before)
    }

    fn expression(&mut self, expression: &RawExpression, path: &KeyPath) {
        let values = expression.values.as_deref().unwrap_or_default();
        match expression.operator.map(|choice| choice.0) {
            None => {
                let help = suggest("", Operator::VARIANTS);
                self.report_missing(path, "operator", "`operator` is missing".to_owned(), &help);
            }
            Some(Operator::In | Operator::NotIn) if values.is_empty() => {
                self.report(path, "`In` and `NotIn` need `values`", "name at least one");
            }
            Some(Operator::Exists | Operator::DoesNotExist) if !values.is_empty() => {
                let message = "`Exists` and `DoesNotExist` have no `values`";
                self.report(path, message, "leave them out");
            }
            _ => {}
        }
        match &expression.key {
            Some(Unchecked(key)) => drop(self.check::<LabelKey>(key, path)),
            None => {
                self.report_missing(path, "key", "`key` is missing".to_owned(), LabelKey::HELP);
            }
        }
        for value in values {
            self.check::<LabelValue>(value, path);
        }
    }

    /// The ServiceAccounts that name the Secret.
    fn service_accounts(&mut self, raw: Vec<Unchecked<ObjectName>>, path: &KeyPath) -> Vec<String> {
        let mut accounts = Vec::new();
        for (index, account) in raw.into_iter().enumerate() {
            let path = path.index(index);
            let Some(account) = self.value(Some(account), &path) else { continue };
            if accounts.contains(&account) {
                let message = format!("the ServiceAccount `{account}` is named twice");
                self.report(&path, message, "name it once");
            }
            accounts.push(account);
        }
        accounts
    }

    /// The releases whose copies are taken over.
    fn releases(&mut self, raw: Vec<Unchecked<ReleaseId>>, path: &KeyPath) -> Vec<Release> {
        let mut releases = Vec::new();
        for (index, release) in raw.into_iter().enumerate() {
            let path = path.index(index);
            let Some(release) = self.value(Some(release), &path) else { continue };
            if releases.contains(&release) {
                self.report(
                    &path,
                    format!("the release `{release}` is named twice"),
                    "name it once",
                );
            }
            releases.push(release);
        }
        releases
    }

    /// The additional labels of the copies.
    fn labels(&mut self, raw: &RawSecret, path: &KeyPath) {
        for (key, value) in &raw.labels {
            let path = path.key(key);
            self.check::<LabelKey>(key, &path);
            self.check::<LabelValue>(value, &path);
            if key == INSTANCE {
                let help = "GitOps tools would take the copies for their own and delete them";
                self.report(&path, format!("copies must not carry the label `{key}`"), help);
            }
            if key == MANAGED_BY || key == RELEASE {
                let message = format!("the label `{key}` is set by ecr-refresher");
                self.report(&path, message, "leave it out");
            }
        }
    }

    /// The additional annotations of the copies.
    fn annotations(&mut self, raw: &RawSecret, path: &KeyPath) {
        for key in raw.annotations.keys() {
            let path = path.key(key);
            self.check::<AnnotationKey>(key, &path);
            if key.starts_with(OWN_PREFIX) {
                let message = format!("the annotation `{key}` is set by ecr-refresher");
                self.report(&path, message, "leave it out");
            }
        }
    }
}

/// The valid pattern that an invalid one was probably meant to be.
fn better_pattern(pattern: &str) -> Option<String> {
    let bare = pattern.trim_matches(|it: char| it.is_whitespace() || "\"'`“”‘’^$".contains(it));
    let lower = bare.to_lowercase().replace('_', "-").replace(".*", "*");
    let parts: Vec<_> = lower.split(',').map(str::trim).collect();
    let is_list = parts.len() > 1 && !lower.contains('{');
    let better = if is_list { format!("{{{}}}", parts.join(",")) } else { lower };
    check_pattern(&better).is_ok().then_some(better)
}
