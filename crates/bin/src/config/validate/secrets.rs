//! The pull Secrets.

use std::{collections::HashSet, sync::Arc};

use ecr_refresher_sync::{
    CONTENT_HASH, EXPIRES_AT, MANAGED_BY,
    desired::{
        allow_list::AllowList,
        settings::{OnConflict, PullSecret},
    },
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;

use super::{
    super::{
        names::{is_label_value, is_qualified_name, is_subdomain},
        problem::suggest,
        raw::{RawNamespaces, RawOnConflict, RawOperator, RawSecret, RawSelector},
    },
    Lowering,
};

/// GitOps tools take what carries this label for theirs, and delete it.
const INSTANCE: &str = "app.kubernetes.io/instance";
/// The remedy for a name that is no DNS subdomain.
const SUBDOMAIN_HELP: &str = "use lower-case letters, digits, `-` and `.`";

impl Lowering<'_> {
    pub(super) fn secrets(&mut self, raw: Vec<RawSecret>, registries: &[&str]) -> Vec<PullSecret> {
        if raw.is_empty() {
            self.report_file(
                "there is no pull Secret to write",
                "the least is `secrets: [{name: ecr-pull, namespaces: [\"team-*\"]}]`",
            );
        }
        let mut names = HashSet::new();
        let mut secrets = Vec::new();
        for (index, raw) in raw.into_iter().enumerate() {
            let index = index.to_string();
            let path = ["secrets", &index, "name"];
            if !is_subdomain(&raw.name) {
                let message = format!("`{}` cannot name a Secret", raw.name);
                self.report(&path, message, SUBDOMAIN_HELP);
            }
            if !names.insert(raw.name.clone()) {
                let message = format!("there are two pull Secrets named `{}`", raw.name);
                self.report(&path, message, "names must differ; one may have several patterns");
            }
            self.marks(&raw, &index);
            self.service_accounts(&raw.service_accounts, &index);
            let references = self.references(raw.registries, registries, &index);
            if let Some(allow_list) = self.allow_list(raw.namespaces, &index) {
                secrets.push(PullSecret {
                    name: raw.name,
                    registries: references,
                    allow_list,
                    service_accounts: raw.service_accounts,
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

    /// The ServiceAccounts that name the Secret.
    fn service_accounts(&mut self, accounts: &[String], secret: &str) {
        for (index, account) in accounts.iter().enumerate() {
            let position = index.to_string();
            let path = ["secrets", secret, "serviceAccounts", &position];
            if !is_subdomain(account) {
                let message = format!("`{account}` cannot name a ServiceAccount");
                self.report(&path, message, SUBDOMAIN_HELP);
            } else if accounts[..index].contains(account) {
                let message = format!("the ServiceAccount `{account}` is named twice");
                self.report(&path, message, "name it once");
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
}
