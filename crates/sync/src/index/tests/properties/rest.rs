//! How a history ends.

use std::collections::BTreeMap;

use super::{
    config::{Kind, is_match},
    world::World,
    *,
};

/// How long it may take until all is done once nothing goes wrong any more: the longest that
/// anything ever waits, which is the grace.
const LONGEST_WAIT: Duration = Duration::from_secs(GRACE);
/// How long it may take until all is written: a spread, or the longest backoff.
const LONGEST_WAIT_OF_A_WRITE: Duration = Duration::from_secs(SPREAD);

impl World {
    /// Faults stop, all events are delivered, and time passes until nothing is left to do.
    pub(super) fn settle(&mut self) {
        self.cluster.webhook = false;
        self.lead();
        self.take_up_watches();
        self.cluster.list_namespaces();
        for kind in Kind::ALL {
            self.cluster.list_copies(kind);
        }
        let start = self.now.uptime;
        for _ in 0..100 {
            self.deliver_all();
            self.shown.note_unwanted(&self.config, self.now);
            self.start(usize::MAX);
            let took = self.now.uptime.saturating_sub(start);
            assert!(took <= LONGEST_WAIT_OF_A_WRITE || !self.is_writing(), "{took:?}");
            for flight in 0..self.flights.len() {
                self.deal_with(flight, |answer| answer);
            }
            if self.flights.is_empty() {
                let Some(due) = self.index.next() else {
                    assert!(took <= LONGEST_WAIT, "it took {took:?}");
                    return;
                };
                self.pass(due.saturating_sub(self.now.uptime));
            }
            self.answer_all();
        }
        panic!("it does not come to rest");
    }

    /// Each copy is exactly as desired, and known to be so.
    pub(super) fn check_rest(&self) {
        let report = self.index.report(self.now, PerNamespace::All);
        assert_eq!(report.secrets.len(), self.config.kinds().count());
        let mut all_fresh = true;
        for kind in self.config.kinds() {
            assert!(self.cluster.collection(kind).watch.events.is_empty());
            let report = report.secrets.iter().find(|report| report.name == kind.name()).unwrap();
            let copies = report.copies.iter();
            let copies = copies.map(|copy| (copy.namespace.to_string(), copy.state));
            let expected = self.expected(kind);
            all_fresh &= expected.values().all(|&state| state != CopyState::Expired);
            assert_eq!(copies.collect::<BTreeMap<_, _>>(), expected);
            for (pattern, count) in &report.patterns {
                let names = self.cluster.namespaces.keys();
                let matching = names.filter(|name| is_match(pattern, name)).count();
                assert_eq!(*count, matching as u64, "{pattern}");
            }
        }
        assert_eq!(self.index.is_synced(self.now), all_fresh);
        let known = self.index.namespaces.iter().count();
        assert_eq!(known, self.cluster.namespaces.len(), "nothing is kept of what is gone");
    }

    /// The states of the copies of a pull Secret, after a look at the cluster.
    fn expected(&self, kind: Kind) -> BTreeMap<String, CopyState> {
        let manifest = &self.manifests[kind as usize];
        let adopts = self.config.get(kind).unwrap().on_conflict == OnConflict::Adopt;
        let expired = manifest.expires_at.unwrap() <= self.now.wall;
        let mut expected = BTreeMap::new();
        for (&name, namespace) in &self.cluster.namespaces {
            let there = self.cluster.secret(kind, name).map(|secret| secret.observed.ownership);
            if namespace.terminating {
                continue;
            }
            if !self.config.allows(kind, name, namespace) {
                let is_ours = matches!(there, Some(Ownership::Ours { owned_fields: Some(_), .. }));
                assert!(!is_ours || !self.config.prunes, "{name} is not to have a copy");
                continue;
            }
            let state = if there == Some(Ownership::Foreign) && !adopts {
                CopyState::Conflict
            } else {
                assert_eq!(there, Some(copy_of(manifest)), "{name}");
                if expired { CopyState::Expired } else { CopyState::Fresh }
            };
            expected.insert(name.to_owned(), state);
        }
        expected
    }

    /// Nothing is done any more, however the time passes and whatever is listed again.
    pub(super) fn check_peace(&mut self) {
        for (seconds, date) in [(0, 0), (0, 2 * LIFE), (0, -4 * LIFE), (2 * LIFE, 0)] {
            self.pass(Duration::from_secs(seconds.unsigned_abs()));
            self.set_date(date, true);
            let _ = self.index.reconfigure(&self.config.settings(), self.now);
            self.relist_namespaces();
            self.cluster.list_namespaces();
            for kind in Kind::ALL {
                self.relist_copies(kind);
                self.cluster.list_copies(kind);
            }
            self.deliver_all();
            assert_eq!(self.index.next(), None);
        }
    }
}
