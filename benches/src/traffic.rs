//! What was asked of the API server in a stretch of time, from its audit log.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use ecr_refresher_tests::control_plane::{AuditLog, Request};

use crate::stage::SECRET;

/// A namespace that is on no list: where single writes go that are measured beside the daemon's.
pub(crate) const ELSEWHERE: &str = "default";

/// The requests of the daemon's ServiceAccount, without those single writes.
pub(crate) struct Traffic(Vec<Request>);

impl Traffic {
    /// What `user` has asked since `log` began. What ended a moment ago is in it.
    pub(crate) fn of(log: &AuditLog, user: &str) -> Result<Self> {
        let mut requests = log.requests_by(user)?;
        requests.retain(|request| !(is_write(request) && request.namespace == ELSEWHERE));
        Ok(Self(requests))
    }

    /// Requests of copies, by their verbs.
    pub(crate) fn copies(&self, verb: &str) -> usize {
        self.0.iter().filter(|request| request.verb == verb && is_of_copies(request)).count()
    }

    /// Lists of namespaces and of Secrets.
    pub(crate) fn lists(&self) -> usize {
        let watched = |resource| resource == "namespaces" || resource == "secrets";
        self.0.iter().filter(|one| one.verb == "list" && watched(one.resource.as_str())).count()
    }

    /// From the first request of these to the answer of the last.
    pub(crate) fn span(&self, counts: fn(&Request) -> bool) -> Result<Duration> {
        let requests = || self.0.iter().filter(|request| counts(request));
        let first = requests().map(|request| request.received).min().context("no request")?;
        let last = requests().map(|request| request.answered).max().context("no request")?;
        Ok(Duration::try_from(last.duration_since(first))?)
    }

    /// All requests there were.
    pub(crate) fn all(&self) -> usize {
        self.0.len()
    }

    /// Writes of copies in the namespaces of which `wanted` says so.
    pub(crate) fn writes_in(&self, wanted: impl Fn(&str) -> bool) -> usize {
        self.0.iter().filter(|one| is_write(one) && wanted(&one.namespace)).count()
    }

    fn by_kind(&self) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for request in &self.0 {
            let Request { verb, resource, subresource, name, .. } = request;
            let kind = match (resource.as_str(), subresource.as_str()) {
                ("", _) => format!("{verb} {}", request.uri),
                ("secrets", _) if !name.is_empty() => format!("{verb} secrets {name}"),
                (resource, "") => format!("{verb} {resource}"),
                (resource, subresource) => format!("{verb} {resource}/{subresource}"),
            };
            *kinds.entry(kind).or_default() += 1;
        }
        kinds
    }

    /// How many requests there were, by what they were, as text.
    pub(crate) fn kinds_text(&self) -> String {
        let kinds = self.by_kind();
        let kinds = kinds.iter().map(|(kind, count)| format!("{count} {kind}"));
        kinds.collect::<Vec<_>>().join(", ")
    }
}

/// Whether it is about one copy. No other name of a Secret begins so. The dry runs that verify the admission
/// policy are about none.
pub(crate) fn is_of_copies(request: &Request) -> bool {
    request.resource == "secrets"
        && !request.is_dry_run()
        && request.name.starts_with(SECRET)
        && !request.namespace.is_empty()
}

/// Whether it writes a copy.
pub(crate) fn is_write(request: &Request) -> bool {
    request.verb == "patch" && is_of_copies(request)
}

/// Whether it writes a copy that was there.
pub(crate) fn is_refresh(request: &Request) -> bool {
    is_write(request) && request.code == 200
}

/// Whether a first rollout begins or goes on with it.
pub(crate) fn is_of_rollout(request: &Request) -> bool {
    is_write(request) || (request.verb == "list" && request.resource == "namespaces")
}
