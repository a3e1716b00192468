//! What must hold between two releases with the same pull Secret.

use serde_json::Value;

use super::{
    copies::{is_applied_by, is_kept_by, is_ours, release},
    truth::Facts,
};
use crate::{
    api::{Kind, Server, Write},
    plan::SECRETS,
    replica::{NEIGHBOUR, NEIGHBOUR_HOME},
};

/// The ID of the neighbour.
fn neighbour() -> String {
    format!("{NEIGHBOUR_HOME}/{NEIGHBOUR}")
}

/// Whether the neighbour keeps a Secret, and the product does not.
#[must_use]
pub fn is_neighbours(secret: &Value) -> bool {
    is_kept_by(secret, &neighbour()) && !is_ours(secret)
}

impl Facts {
    /// Checks that neither release writes or deletes what the other one keeps.
    pub(super) fn check_releases(&mut self, write: &Write<'_>, caller: &str) {
        let Write { key, before: Some(before), after, .. } = write else { return };
        if key.kind != Kind::Secret || !SECRETS.contains(&key.name.as_str()) {
            return;
        }
        let (own, other) =
            if caller == NEIGHBOUR { (neighbour(), release()) } else { (release(), neighbour()) };
        if is_kept_by(before, &other) && !is_kept_by(before, &own) {
            self.violation(format!("{caller} writes {key:?}, which {other} keeps"));
        }
        if after.is_none() && !is_applied_by(before, &own) {
            self.violation(format!("{caller} deletes {key:?}, which it has not applied"));
        }
    }
}

/// Checks the copies of the neighbour after a time without faults; returns the problems.
#[must_use]
pub fn check_calm(server: &Server, facts: &Facts) -> Vec<String> {
    let mut wrong = Vec::new();
    for number in 0..10 {
        let namespace = format!("team-{number}");
        let exists = facts.has_namespace(&namespace);
        let copy = server.get(Kind::Secret, &namespace, SECRETS[0]);
        let is_wanted = (3..=6).contains(&number) && exists;
        match copy {
            None if is_wanted => wrong.push(format!("the neighbour has no copy in {namespace}")),
            Some(copy)
                if is_neighbours(&copy)
                    && is_applied_by(&copy, &neighbour())
                    && !is_wanted
                    && exists =>
            {
                wrong.push(format!("the neighbour has left its copy in {namespace}"));
            }
            _ => {}
        }
    }
    wrong
}
