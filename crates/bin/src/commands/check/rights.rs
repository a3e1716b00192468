//! The rights that a config needs. Pure.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use crate::{config::Config, home::Home};

/// One right in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Right {
    pub(super) verb: &'static str,
    /// The API group; empty for the core group.
    pub(super) group: &'static str,
    pub(super) resource: &'static str,
    /// The one object that it is about; `None` for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// `None` for all namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
}

impl fmt::Display for Right {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, group, resource, name, namespace } = self;
        write!(formatter, "{verb} {resource}")?;
        if !group.is_empty() {
            write!(formatter, ".{group}")?;
        }
        if let Some(name) = name {
            write!(formatter, " named {name}")?;
        }
        match namespace {
            Some(namespace) => write!(formatter, " in {namespace}"),
            None => write!(formatter, " in all namespaces"),
        }
    }
}

/// The mode that needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runs {
    /// The daemon.
    Always,
    /// One pass: without Events, leader election and grace periods.
    Once,
}

/// The rights that a config needs: those that the chart gives in either mode.
pub(super) fn needed(config: &Config, home: &Home, runs: Runs) -> Vec<Right> {
    let everywhere = |verb, group, resource, name: Option<&str>| Right {
        verb,
        group,
        resource,
        name: name.map(str::to_owned),
        namespace: None,
    };
    let at_home = |verb, group, resource, name: Option<&str>| Right {
        namespace: Some(home.namespace.clone()),
        ..everywhere(verb, group, resource, name)
    };
    let always = runs == Runs::Always;
    let mut rights = vec![
        everywhere("list", "", "namespaces", None),
        everywhere("watch", "", "namespaces", None),
    ];
    if always {
        for verb in ["create", "patch"] {
            rights.push(everywhere(verb, "events.k8s.io", "events", None));
        }
    }
    let prunes = config.sync.prune_after.is_some_and(|after| always || after.is_zero());
    let prune: &[&str] = if prunes { &["delete"] } else { &[] };
    for secret in &config.sync.secrets {
        for verb in ["list", "watch", "create", "patch"].iter().chain(prune) {
            rights.push(everywhere(verb, "", "secrets", Some(&secret.name)));
        }
    }
    let accounts = config.sync.secrets.iter().flat_map(|secret| &secret.service_accounts);
    for account in accounts.collect::<BTreeSet<_>>() {
        for verb in ["list", "watch", "patch"] {
            rights.push(everywhere(verb, "", "serviceaccounts", Some(account)));
        }
    }
    let follow: &[&str] = if always { &["list", "watch"] } else { &[] };
    for verb in ["get", "create", "patch"].iter().chain(follow) {
        rights.push(at_home(verb, "", "secrets", Some(&home.token_cache())));
    }
    if always && config.leader_election.is_some() {
        rights.push(at_home("create", "coordination.k8s.io", "leases", None));
        for verb in ["get", "patch"] {
            rights.push(at_home(verb, "coordination.k8s.io", "leases", Some(&home.name)));
        }
    }
    rights
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(extra: &str, runs: Runs) -> Vec<String> {
        let text = format!(
            "registries: [{{ name: main, ecr: {{ region: eu-west-1 }} }}]\n\
             secrets: [{{ name: ecr-pull, namespaces: [a], serviceAccounts: [default] }}]\n{extra}"
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        std::fs::write(&path, text).unwrap();
        let (config, _) = crate::config::load(&path, &ecr_refresher_core::Files::system(), "ours")
            .unwrap_or_else(|error| panic!("{error}"));
        let home = Home { namespace: "home".to_owned(), name: "refresher".to_owned() };
        needed(&config, &home, runs).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_right_is_shown_with_its_object_and_its_namespace() {
        let rights = rights("", Runs::Always);
        for expected in [
            "list namespaces in all namespaces",
            "create events.events.k8s.io in all namespaces",
            "delete secrets named ecr-pull in all namespaces",
            "patch serviceaccounts named default in all namespaces",
            "get secrets named refresher-tokens in home",
            "create leases.coordination.k8s.io in home",
            "patch leases.coordination.k8s.io named refresher in home",
        ] {
            assert!(rights.iter().any(|right| right == expected), "{expected}: {rights:#?}");
        }
    }

    #[test]
    fn what_the_config_turns_off_needs_no_right() {
        let off = "prune: { enabled: false }\nleaderElection: { enabled: false }\n";
        let rights = rights(off, Runs::Always);
        assert!(!rights.iter().any(|right| right.contains("delete") || right.contains("leases")));
    }

    #[test]
    fn one_pass_needs_less() {
        let rights = |extra| rights(extra, Runs::Once);
        let has = |rights: &[String], word: &str| rights.iter().any(|right| right.contains(word));
        let with_grace = rights("");
        for word in ["events", "leases", "delete", "watch secrets named refresher-tokens"] {
            assert!(!has(&with_grace, word), "{with_grace:#?}");
        }
        assert!(has(&with_grace, "get secrets named refresher-tokens in home"));
        assert!(has(&rights("prune: { after: 0s }\n"), "delete secrets named ecr-pull"));
    }
}
