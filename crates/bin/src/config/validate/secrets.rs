//! The pull Secrets.

use std::{collections::HashSet, sync::Arc};

use ecr_refresher_sync::{
    MANAGED_BY,
    desired::{allow_list::AllowList, settings::PullSecret},
    release::{RELEASE, Release},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::core::Selector;

use super::{
    super::{
        key_path::KeyPath,
        problem::suggest,
        raw::{Operator, RawExpression, RawNamespaces, RawSecret, RawSelector},
        rule::Unchecked,
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
            self.report_file(
                "there is no pull Secret to write",
                "add one: `secrets: [{name: ecr-pull, namespaces: [\"team-*\"]}]`",
            );
        }
        let mut names = HashSet::new();
        let mut secrets = Vec::new();
        for (index, raw) in raw.into_iter().enumerate() {
            let path = KeyPath::default().key("secrets").index(index);
            if !names.insert(raw.name.0.clone()) {
                let message = format!("there are two pull Secrets named `{}`", raw.name.0);
                let help = "names must differ; one pull Secret may have several patterns";
                self.report(&path.key("name"), message, help);
            }
            if raw.name.0 == self.token_cache {
                let message = format!("`{}` is the name of the token cache", raw.name.0);
                let help = "choose another name: its copy at home would replace the tokens";
                self.report(&path.key("name"), message, help);
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
        let name = self.value(Some(raw.name), &path.key("name"));
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
        let selector = self.selector(raw.selector, &path.key("selector"))?;
        AllowList::new(raw.allow, raw.deny, selector)
            .inspect_err(|error| {
                let list = match (raw.is_list, error.denied) {
                    (true, _) => path.clone(),
                    (false, denied) => path.key(if denied { "deny" } else { "allow" }),
                };
                let help = "globs know `*`, `?`, `[a-z]` and `{a,b}`";
                self.report(&list.index(error.index), error.to_string(), help);
            })
            .ok()
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
        let requirement = |RawExpression { key, operator, values }| LabelSelectorRequirement {
            key,
            operator: operator.0.to_string(),
            values,
        };
        let selector = LabelSelector {
            match_labels: Some(raw.match_labels),
            match_expressions: Some(raw.match_expressions.into_iter().map(requirement).collect()),
        };
        Selector::try_from(selector)
            .inspect_err(|error| self.report(path, error.to_string(), "write it as in Kubernetes"))
            .ok()
            .filter(|_| self.problems.len() == before)
    }

    fn expression(&mut self, expression: &RawExpression, path: &KeyPath) {
        let values = expression.values.as_deref().unwrap_or_default();
        match expression.operator.0 {
            Operator::In | Operator::NotIn if values.is_empty() => {
                self.report(path, "`In` and `NotIn` need `values`", "name at least one");
            }
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                let message = "`Exists` and `DoesNotExist` have no `values`";
                self.report(path, message, "leave them out");
            }
            _ => {}
        }
        self.check::<LabelKey>(&expression.key, path);
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
