//! What may never be seen in a copy. Pure: observations and expectations go in, violations come out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::Timestamp;

use super::{
    expectation::{CopyId, Expected},
    observation::{Entry, Observation, Seen, Token},
};

/// The problem of a copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Problem {
    /// There is no copy where one is due.
    NoCopy,
    /// The copy has no entry for a host that is due.
    NoEntry,
    /// An entry is due, and holds no token of that host.
    NoToken,
    /// An entry is due, and its token has expired.
    Expired,
    /// The token is older than one that was there before.
    Older,
    /// An entry that was there, valid and wanted, is gone.
    Vanished,
    /// A Secret that is not the daemon's was changed.
    ForeignChanged,
    /// There is a copy in a namespace that is on no list.
    Intruder,
}

/// Something that was seen and should not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Violation {
    pub(super) copy: CopyId,
    /// Empty for what is about the whole copy.
    pub(super) host: String,
    pub(super) problem: Problem,
    /// What was seen, in words.
    pub(super) seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { copy: (namespace, secret), host, problem, seen } = self;
        write!(f, "{problem:?} in the copy {namespace}/{secret}")?;
        if !host.is_empty() {
            write!(f, ", host {host}")?;
        }
        write!(f, ": {seen}")
    }
}

/// The Secrets that are not the daemon's: what each is, where it must not change, or `None` where
/// there must be none.
pub(super) type Foreign = BTreeMap<CopyId, Option<String>>;

/// The rules, and what they remember of the observations so far.
#[derive(Debug, Default)]
pub(super) struct Rules {
    foreign: Foreign,
    /// When the newest token that each copy ever held for each host was issued.
    newest: BTreeMap<(CopyId, String), Timestamp>,
    /// When each copy last had an entry that was valid, and until when its token lives.
    valid: BTreeMap<(CopyId, String), (Timestamp, Timestamp)>,
    /// The violations of the last observation: each counts once, however long it lasts.
    lasting: BTreeSet<(CopyId, String, Problem)>,
}

impl Rules {
    pub(super) fn new(foreign: Foreign) -> Self {
        Self { foreign, ..Self::default() }
    }

    /// Checks an observation. Returns the violations that the last one did not have.
    pub(super) fn check(
        &mut self,
        observation: &Observation,
        expected: &BTreeMap<CopyId, Expected>,
    ) -> Vec<Violation> {
        let mut violations = self.check_foreign(observation);
        for (copy, expected) in expected {
            let seen = observation.secrets.get(copy);
            self.check_copy(copy, seen, expected, observation.at, &mut violations);
        }
        let key = |violation: &Violation| {
            (violation.copy.clone(), violation.host.clone(), violation.problem.clone())
        };
        let lasting = violations.iter().map(key).collect();
        let before = std::mem::replace(&mut self.lasting, lasting);
        violations.retain(|violation| !before.contains(&key(violation)));
        violations
    }

    fn check_foreign(&self, observation: &Observation) -> Vec<Violation> {
        let mut violations = Vec::new();
        for (copy, wanted) in &self.foreign {
            let found = observation.secrets.get(copy).map(|seen| &seen.resource_version);
            if found != wanted.as_ref() {
                let problem = match wanted {
                    Some(_) => Problem::ForeignChanged,
                    None => Problem::Intruder,
                };
                let seen = format!("its resourceVersion is {found:?}, and was {wanted:?}");
                let (copy, host) = (copy.clone(), String::new());
                violations.push(Violation { copy, host, problem, seen });
            }
        }
        violations
    }

    fn check_copy(
        &mut self,
        copy: &CopyId,
        seen: Option<&Seen>,
        expected: &Expected,
        at: Timestamp,
        violations: &mut Vec<Violation>,
    ) {
        let mut add = |host: &str, problem, seen: String| {
            let (copy, host) = (copy.clone(), host.to_owned());
            violations.push(Violation { copy, host, problem, seen });
        };
        if seen.is_none() && expected.due <= at {
            add("", Problem::NoCopy, format!("it was due at {:.1}", expected.due));
        }
        for (host, due) in &expected.hosts {
            let key = (copy.clone(), host.clone());
            let entry = seen.and_then(|seen| seen.hosts.get(host));
            let token = entry.copied().and_then(Entry::token);
            if let Some((valid_at, expires_at)) = self.valid.remove(&key)
                && token.is_none()
                && valid_at >= due.settled
                && expires_at > at
            {
                let seen = format!("it was there at {valid_at:.1}, good until {expires_at:.1}");
                add(host, Problem::Vanished, seen);
            }
            if due.due <= at
                && let Some((problem, seen)) = problem_of(seen, entry.copied(), at)
            {
                add(host, problem, seen);
            }
            let Some(token) = token else { continue };
            self.valid.insert(key.clone(), (at, token.expires_at));
            // A tenant may write anything, until it is made right.
            if expected.tampered && at < expected.due {
                continue;
            }
            let newest = self.newest.entry(key).or_insert(token.issued_at);
            if token.issued_at < *newest {
                let seen = format!(
                    "its token was issued at {:.3}, and one of {newest:.3} was there",
                    token.issued_at
                );
                add(host, Problem::Older, seen);
            }
            *newest = token.issued_at.max(*newest);
        }
    }
}

/// The problem of an entry that is due.
fn problem_of(
    seen: Option<&Seen>,
    entry: Option<Entry>,
    at: Timestamp,
) -> Option<(Problem, String)> {
    match (seen, entry) {
        // That is a problem of the copy.
        (None, _) => None,
        (Some(seen), None) => {
            let hosts: Vec<_> = seen.hosts.keys().collect();
            Some((Problem::NoEntry, format!("it has {hosts:?}")))
        }
        (Some(_), Some(Entry::Unknown)) => {
            Some((Problem::NoToken, "it is not a token of that host".to_owned()))
        }
        (Some(_), Some(Entry::Issued(token))) => (token.expires_at <= at).then(|| {
            let Token { issued_at, expires_at } = token;
            let seen = format!("its token of {issued_at:.1} expired at {expires_at:.1}");
            (Problem::Expired, seen)
        }),
    }
}

#[cfg(test)]
mod tests;
