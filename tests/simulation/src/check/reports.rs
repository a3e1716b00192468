//! What a replica says of itself, compared with the truth.

use std::collections::BTreeMap;

use super::{copies::is_ours, truth::Facts};
use crate::{
    api::{Kind, Server},
    plan::SECRETS,
};

/// Compares the metrics of a replica with the truth; returns what differs.
#[must_use]
pub fn check(metrics: &str, leads: bool, server: &Server, facts: &Facts) -> Vec<String> {
    let mut wrong = Vec::new();
    let value = |series: &str| -> f64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(series));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
    };
    let mut expect = |series: &str, expected: f64| {
        let found = value(series);
        if (found - expected).abs() > 0.001 {
            wrong.push(format!("{series} is {found} instead of {expected}"));
        }
    };
    expect("ecr_refresher_leader", f64::from(u8::from(leads)));
    expect("ecr_refresher_config_last_reload_successful", 1.0);
    for (secret, name) in SECRETS.iter().enumerate() {
        let mut states = BTreeMap::from([("fresh", 0), ("conflict", 0)]);
        for namespace in facts.wanted(secret) {
            let Some(copy) = server.get(Kind::Secret, &namespace, name) else { continue };
            let is_of_type = copy["type"] == "kubernetes.io/dockerconfigjson";
            let state = if is_ours(&copy) && is_of_type { "fresh" } else { "conflict" };
            *states.entry(state).or_default() += 1;
        }
        for (state, count) in states {
            let series = format!("ecr_refresher_copies{{secret=\"{name}\",state=\"{state}\"}}");
            if state == "fresh" && facts.is_refreshing() {
                continue;
            }
            let expected = if leads && facts.plan().secrets[secret].present { count } else { 0 };
            expect(&series, f64::from(expected));
        }
    }
    wrong
}
