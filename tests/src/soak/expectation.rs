//! What the copies should hold now, and since when. Pure: the time is passed in.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::config::{Config, SECRETS};

/// The time that the daemon gets for what changes: the reload of the config, a write and its spread.
pub(super) const GRACE: SignedDuration = SignedDuration::from_secs(8);
/// The time after a fault until the daemon works as before: a watch waits up to 10 s.
const SETTLE: SignedDuration = SignedDuration::from_secs(12);
/// The longest time that any series of faults puts a change off: two storms, each with its lull.
const LONGEST: SignedDuration = SignedDuration::from_secs(45);
/// The time until a watch notices a connection that is silent without an end: 64 s.
pub(super) const SILENCE: SignedDuration = SignedDuration::from_secs(64);

/// A copy: its namespace and its pull Secret.
pub(super) type CopyId = (String, &'static str);

/// What a fault keeps the daemon from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Getting tokens that it does not have.
    Aws,
    /// Seeing and writing copies.
    Cluster,
}

#[derive(Debug)]
struct Disturbance {
    start: Timestamp,
    /// `None` while it lasts.
    over: Option<Timestamp>,
    reach: Reach,
    is_long: bool,
}

/// What should be there.
#[derive(Debug, Default)]
pub(super) struct Expectation {
    config: Config,
    /// The namespaces, and whether the selector selects them.
    namespaces: BTreeMap<String, bool>,
    /// Since when each copy is wanted, or was last changed by a tenant.
    copies: BTreeMap<CopyId, Wanted>,
    /// Since when a copy is not wanted that was.
    unwanted: BTreeMap<CopyId, Timestamp>,
    /// How often a tenant has changed each copy.
    tamperings: BTreeMap<CopyId, u32>,
    /// Since when each host is wanted, and what could keep the daemon from it.
    hosts: BTreeMap<(&'static str, String), (Timestamp, Reach)>,
    disturbances: Vec<Disturbance>,
}

#[derive(Clone, Copy, Debug)]
struct Wanted {
    since: Timestamp,
    tampered: bool,
}

/// What one copy should hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    /// From when on nothing that it holds may go.
    pub(super) settled: Timestamp,
    /// From when on it must exist.
    pub(super) due: Timestamp,
    /// Whether a tenant has changed it last, so that anything may be in it until it is due.
    pub(super) tampered: bool,
    pub(super) hosts: BTreeMap<String, ExpectedHost>,
}

/// One host of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExpectedHost {
    /// From when on its entry may not go.
    pub(super) settled: Timestamp,
    /// From when on it must hold a token that lives.
    pub(super) due: Timestamp,
}

impl Expectation {
    /// The config from `now` on. Remove what it no longer wants *before* the
    /// daemon can know it, and add the rest afterwards.
    pub(super) fn set_config(&mut self, config: Config, now: Timestamp) {
        let before = std::mem::replace(&mut self.config, config);
        self.update(before, now);
    }

    /// A namespace is there, and whether it has the label of the selector.
    pub(super) fn set_namespace(&mut self, name: &str, is_selected: bool, now: Timestamp) {
        self.namespaces.insert(name.to_owned(), is_selected);
        self.update(self.config, now);
    }

    /// A namespace goes.
    pub(super) fn remove_namespace(&mut self, name: &str, now: Timestamp) {
        self.namespaces.remove(name);
        self.update(self.config, now);
        self.unwanted.retain(|(namespace, _), _| namespace != name);
    }

    /// A tenant changes a copy. To be called before and after it.
    pub(super) fn tamper(&mut self, copy: &CopyId, now: Timestamp) {
        if let Some(wanted) = self.copies.get_mut(copy) {
            *wanted = Wanted { since: now, tampered: true };
            *self.tamperings.entry(copy.clone()).or_default() += 1;
        }
    }

    /// One of the copies that tenants have changed least: a copy that is changed often is repaired
    /// with a delay.
    pub(super) fn least_tampered(&self, pick: u32) -> Option<CopyId> {
        let count = |copy: &CopyId| self.tamperings.get(copy).copied().unwrap_or_default();
        let least = self.copies.keys().map(count).min()?;
        let candidates: Vec<_> = self.copies.keys().filter(|copy| count(copy) == least).collect();
        let index = usize::try_from(pick).ok()? % candidates.len();
        candidates.get(index).map(|copy| (*copy).clone())
    }

    /// A fault begins. Returns what [`Expectation::end`] takes.
    pub(super) fn begin(&mut self, reach: Reach, now: Timestamp) -> usize {
        self.disturbances.push(Disturbance { start: now, over: None, reach, is_long: false });
        self.disturbances.len() - 1
    }

    /// A fault ends.
    pub(super) fn end(&mut self, disturbance: usize, now: Timestamp) {
        if let Some(disturbance) = self.disturbances.get_mut(disturbance) {
            disturbance.over = Some(now + SETTLE);
        }
    }

    /// Connections were silenced without an end.
    pub(super) fn forget_connections(&mut self, now: Timestamp) {
        self.disturbances.push(Disturbance {
            start: now,
            over: Some(now + SILENCE + SETTLE),
            reach: Reach::Cluster,
            is_long: true,
        });
    }

    /// The token cache goes: a replica that begins to lead now needs AWS for any write.
    pub(super) fn delete_token_cache(&mut self) {
        for disturbance in self.disturbances.iter_mut().filter(|at| at.over.is_none()) {
            disturbance.reach = Reach::Cluster;
        }
    }

    /// The namespaces, and whether the selector selects them.
    pub(super) fn namespaces(&self) -> &BTreeMap<String, bool> {
        &self.namespaces
    }

    pub(super) fn config(&self) -> Config {
        self.config
    }

    /// The copies that should not be there, because they were not wanted before `since` already.
    pub(super) fn unwanted(&self, since: Timestamp) -> BTreeSet<CopyId> {
        let long = self.unwanted.iter().filter(|(_, from)| **from <= since);
        long.map(|(copy, _)| copy.clone()).collect()
    }

    /// All copies that are wanted.
    pub(super) fn copies(&self) -> BTreeMap<CopyId, Expected> {
        let expected = |(copy, wanted): (&CopyId, &Wanted)| {
            let Wanted { since, tampered } = *wanted;
            let hosts = self.hosts.iter().filter(|((secret, _), _)| *secret == copy.1);
            let hosts = hosts.map(|((_, host), (host_since, reach))| {
                let newest = since.max(*host_since);
                let of_copy = self.due(since, Reach::Cluster);
                let of_host = self.due(*host_since, *reach);
                let expected = ExpectedHost { settled: newest + GRACE, due: of_copy.max(of_host) };
                (host.clone(), expected)
            });
            let expected = Expected {
                settled: since + GRACE,
                due: self.due(since, Reach::Cluster),
                tampered,
                hosts: hosts.collect(),
            };
            (copy.clone(), expected)
        };
        self.copies.iter().map(expected).collect()
    }

    /// When a change of that time must be in force, by the faults that were in the way.
    fn due(&self, since: Timestamp, reach: Reach) -> Timestamp {
        let mut due = since + GRACE;
        let mut longest = since + LONGEST;
        for disturbance in &self.disturbances {
            let counts = reach == Reach::Aws || disturbance.reach == Reach::Cluster;
            let over = disturbance.over.unwrap_or(Timestamp::MAX);
            if counts && disturbance.start <= due && over > since {
                due = due.max(over);
                if disturbance.is_long {
                    longest = longest.max(over + GRACE);
                }
            }
        }
        due.min(longest)
    }

    /// Works out anew what is wanted, where the config was another one before.
    fn update(&mut self, before: Config, now: Timestamp) {
        let mut hosts = BTreeMap::new();
        let mut copies = BTreeMap::new();
        for secret in SECRETS {
            for host in self.config.hosts(secret) {
                // A registry that comes new needs AWS as well.
                let reach = if before.has_source(&host) { Reach::Cluster } else { Reach::Aws };
                let key = (secret, host);
                let since = self.hosts.get(&key).copied().unwrap_or((now, reach));
                hosts.insert(key, since);
            }
            for (namespace, is_selected) in &self.namespaces {
                let copy = (namespace.clone(), secret);
                if self.config.wants(secret, namespace, *is_selected) {
                    let new = Wanted { since: now, tampered: false };
                    let wanted = self.copies.get(&copy).copied().unwrap_or(new);
                    self.unwanted.remove(&copy);
                    copies.insert(copy, wanted);
                } else if self.copies.contains_key(&copy) {
                    self.unwanted.insert(copy, now);
                }
            }
        }
        self.hosts = hosts;
        self.copies = copies;
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{EXTRA, PULL, host};
    use super::super::fault::Edit;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn one_namespace() -> Expectation {
        let mut expectation = Expectation::default();
        expectation.set_namespace("soak-team-a", false, at(0));
        expectation
    }

    fn copy(expectation: &Expectation) -> Expected {
        expectation.copies()[&("soak-team-a".to_owned(), PULL)].clone()
    }

    #[test]
    fn a_copy_is_due_a_moment_after_it_is_wanted() {
        let mut expectation = one_namespace();
        assert_eq!(expectation.copies().len(), 1);
        assert_eq!(copy(&expectation).due, at(0) + GRACE);
        expectation.set_namespace("soak-team-a", true, at(100));
        assert_eq!(copy(&expectation).due, at(0) + GRACE);
        let extra = &expectation.copies()[&("soak-team-a".to_owned(), EXTRA)];
        assert_eq!(extra.due, at(100) + GRACE);
    }

    #[test]
    fn a_fault_in_that_time_puts_it_off_and_a_later_one_does_not() {
        let mut expectation = one_namespace();
        let fault = expectation.begin(Reach::Cluster, at(5));
        assert_eq!(copy(&expectation).due, at(0) + LONGEST);
        expectation.end(fault, at(12));
        assert_eq!(copy(&expectation).due, at(12) + SETTLE);
        expectation.begin(Reach::Cluster, at(30));
        assert_eq!(copy(&expectation).due, at(12) + SETTLE);
    }

    #[test]
    fn no_series_of_faults_puts_it_off_for_ever() {
        let mut expectation = one_namespace();
        for start in (0..200).step_by(10) {
            let fault = expectation.begin(Reach::Cluster, at(start));
            expectation.end(fault, at(start + 5));
        }
        assert_eq!(copy(&expectation).due, at(0) + LONGEST);
    }

    #[test]
    fn aws_puts_off_the_host_of_a_new_registry_and_not_that_of_a_known_one() {
        let mut expectation = one_namespace();
        expectation.set_config(Config { edit: Some(Edit::RemoveRegistry) }, at(50));
        assert_eq!(copy(&expectation).hosts.len(), 1);
        expectation.set_config(Config::default(), at(60));
        let fault = expectation.begin(Reach::Aws, at(61));
        expectation.end(fault, at(70));
        expectation.tamper(&("soak-team-a".to_owned(), PULL), at(60));
        let removed = copy(&expectation);
        assert_eq!(removed.due, at(60) + GRACE);
        assert_eq!(removed.hosts[&host("us-east-1")].due, at(70) + SETTLE);
        assert_eq!(removed.hosts[&host("eu-west-1")].due, at(60) + GRACE);
        expectation.set_config(Config { edit: Some(Edit::DropRegistry) }, at(150));
        expectation.set_config(Config::default(), at(160));
        expectation.begin(Reach::Aws, at(161));
        assert_eq!(copy(&expectation).hosts[&host("us-east-1")].due, at(160) + GRACE);
    }

    #[test]
    fn a_connection_that_is_silent_for_good_puts_it_off_until_that_is_noticed() {
        let mut expectation = one_namespace();
        expectation.forget_connections(at(1));
        assert_eq!(copy(&expectation).due, at(1) + SILENCE + SETTLE);
    }

    #[test]
    fn a_copy_that_is_wanted_again_is_due_again() {
        let mut expectation = Expectation::default();
        expectation.set_namespace("soak-wide-a", false, at(0));
        expectation.set_config(Config { edit: Some(Edit::Narrow) }, at(10));
        assert_eq!(expectation.copies().len(), 0);
        assert_eq!(expectation.unwanted(at(10)).len(), 1);
        expectation.set_config(Config::default(), at(20));
        assert_eq!(expectation.unwanted(at(20)).len(), 0);
        let copies = expectation.copies();
        assert_eq!(copies[&("soak-wide-a".to_owned(), PULL)].due, at(20) + GRACE);
    }
}
