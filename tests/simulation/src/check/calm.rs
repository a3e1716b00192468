//! What must hold after a time without faults.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    copies::{cached, entries, is_applied_by, is_ours, password, release},
    neighbour::is_neighbours,
    truth::Facts,
};
use crate::{
    api::{Key, Kind, Server},
    plan::{ACCOUNTS, SECRETS},
    replica::{HOME, NAME},
};

/// Checks all copies and ServiceAccounts; returns the problems.
#[must_use]
pub fn check(server: &Server, facts: &Facts, prunes: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let cache = server.get(Kind::Secret, HOME, &format!("{NAME}-tokens"));
    let cache: BTreeSet<_> = cache.as_ref().map(cached).into_iter().flatten().collect();
    for (secret, name) in SECRETS.iter().enumerate() {
        let plan = &facts.plan().secrets[secret];
        let mut hosts = facts.plan().ecr_hosts(secret);
        if facts.plan().uses_file(secret) {
            hosts.extend(facts.hub_hosts());
        }
        let wanted: BTreeSet<_> = facts.wanted(secret).into_iter().collect();
        let mut contents = BTreeMap::<String, usize>::new();
        for namespace in &wanted {
            let copy = server.get(Kind::Secret, namespace, name);
            let label = plan.label.then_some("prod");
            match copy {
                None => wrong.push(format!("{name} in {namespace} is missing")),
                Some(copy) if !is_ours(&copy) && (!plan.adopts || is_neighbours(&copy)) => {}
                // Its type cannot be changed in place.
                Some(copy) if copy["type"] != "kubernetes.io/dockerconfigjson" => {}
                Some(copy) => {
                    *contents.entry(copy["data"][".dockerconfigjson"].to_string()).or_default() +=
                        1;
                    let problems = problems(&copy, &hosts, label, &cache, facts);
                    wrong.extend(
                        problems.into_iter().map(|it| format!("{name} in {namespace}: {it}")),
                    );
                }
            }
            wrong.extend(account_problems(server, namespace, name, plan.accounts));
        }
        if contents.len() > 1 && !facts.is_refreshing() {
            wrong.push(format!("the copies of {name} differ: {:?}", contents.values()));
        }
        if prunes && facts.plan().prunes && plan.present {
            let left = server.all(Kind::Secret).filter(|(key, it)| is_left(key, name, it, &wanted));
            wrong.extend(
                left.map(|(key, _)| format!("{key:?} is no longer wanted and still there")),
            );
        }
    }
    wrong
}

fn is_left(key: &Key, name: &str, secret: &Value, wanted: &BTreeSet<String>) -> bool {
    key.name == name && !wanted.contains(&key.namespace) && is_applied_by(secret, &release())
}

fn problems(
    copy: &Value,
    hosts: &BTreeSet<String>,
    label: Option<&str>,
    cache: &BTreeSet<String>,
    facts: &Facts,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let entries = entries(copy);
    let found: BTreeSet<_> = entries.keys().cloned().collect();
    if found != *hosts {
        wrong.push(format!("it has the hosts {found:?} instead of {hosts:?}"));
    }
    for (host, entry) in &entries {
        if !facts.is_alive(entry) {
            wrong.push(format!("the token of {host} has expired or is none: {entry}"));
        } else if password(entry).is_some() && !cache.contains(entry) && !facts.is_refreshing() {
            wrong.push(format!("the token of {host} is not that of the token cache: {entry}"));
        }
    }
    if copy["metadata"]["labels"]["example.com/tier"].as_str() != label {
        wrong.push(format!("its labels are {}", copy["metadata"]["labels"]));
    }
    wrong
}

/// The accounts that should name a pull Secret.
fn account_problems(
    server: &Server,
    namespace: &str,
    secret: &str,
    accounts: usize,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let copy = server.get(Kind::Secret, namespace, secret);
    for account in ACCOUNTS[accounts] {
        let Some(found) = server.get(Kind::ServiceAccount, namespace, account) else { continue };
        let names = found["imagePullSecrets"].as_array().into_iter().flatten();
        let count = names.filter(|it| it["name"] == secret).count();
        if copy.as_ref().is_some_and(is_ours) && count != 1 {
            wrong
                .push(format!("the account {account} in {namespace} names {secret} {count} times"));
        }
    }
    wrong
}
