//! Whatever happens, and in whichever order it is heard of: nothing is written that must not be,
//! and in the end all is as it is to be.

use std::{collections::BTreeMap, sync::LazyLock};

use proptest::{collection::vec, prelude::*};

use super::{
    model::{Cluster, Connection, refused},
    *,
};

static SETTINGS: LazyLock<Settings> = LazyLock::new(|| settings(TEAMS, &tier_is_prod()));
const NAMES: [&str; 4] = ["team-a", "team-b", "team-c", "other"];

/// What can happen.
#[derive(Debug, Clone)]
enum Step {
    MakeNamespace(&'static str, Tier),
    TerminateNamespace(&'static str),
    RemoveNamespace(&'static str),
    MakeForeign(&'static str),
    DeleteSecret(&'static str),
    Edit(&'static str),
    Strip(&'static str),
    Webhook(bool),
    Token,
    HearOfNamespace,
    HearOfCopy,
    RelistNamespaces,
    RelistCopies,
    ListNamespaces,
    ListCopies,
    StartWrites(usize),
    /// The API server does what it is asked.
    Do(usize),
    /// It does it, and its answer is lost.
    DoInSilence(usize),
    Refuse(usize, WriteReason),
    Answer(usize),
    Pass(i64),
}

type Tier = Option<&'static str>;

/// A step, from two numbers: many strategies in one are slow to draw from.
fn step() -> impl Strategy<Value = Step> {
    (0..80_u8, 0..36_usize).prop_map(|(kind, any)| {
        let name = NAMES[any % NAMES.len()];
        let tier = [Some("prod"), Some("prod"), Some("dev"), None][any / 4 % 4];
        let flight = any % 3;
        match kind {
            0..6 => Step::MakeNamespace(name, tier),
            6 => Step::TerminateNamespace(name),
            7..9 => Step::RemoveNamespace(name),
            9 => Step::MakeForeign(name),
            10..12 => Step::DeleteSecret(name),
            12 => Step::Edit(name),
            13 => Step::Strip(name),
            14 => Step::Webhook(any % 2 == 0),
            15..17 => Step::Token,
            17..28 => Step::HearOfNamespace,
            28..39 => Step::HearOfCopy,
            39 => Step::RelistNamespaces,
            40 => Step::RelistCopies,
            41..44 => Step::ListNamespaces,
            44..47 => Step::ListCopies,
            47..53 => Step::StartWrites(1 + any % 3),
            53..60 => Step::Do(flight),
            60..62 => Step::DoInSilence(flight),
            62..65 => Step::Refuse(any / 9, WriteReason::ALL[any % 9]),
            65..75 => Step::Answer(flight),
            _ => Step::Pass([0, 1, 60, 3600, LIFE][any % 5]),
        }
    })
}

/// A write under way; with an outcome once the API server has dealt with it.
struct Flight {
    name: &'static str,
    write: Write,
    outcome: Option<Outcome>,
}

/// The cluster, the index, and what the index has been told.
struct World {
    cluster: Cluster,
    index: Index,
    now: Timestamp,
    tokens: u32,
    manifest: Option<Manifest>,
    flights: Vec<Flight>,
    told_namespaces: BTreeMap<String, Namespace>,
    listed_namespaces: BTreeMap<String, Namespace>,
    /// The last that was told of each Secret by a watch or an answer, with its version.
    told_copies: BTreeMap<String, (u64, Option<Ownership>)>,
    listed_copies: Vec<String>,
    copies_known: bool,
}

impl World {
    fn new() -> Self {
        Self {
            cluster: Cluster::default(),
            index: Index::new(&SETTINGS, 7),
            now: at(0),
            tokens: 0,
            manifest: None,
            flights: Vec::new(),
            told_namespaces: BTreeMap::new(),
            listed_namespaces: BTreeMap::new(),
            told_copies: BTreeMap::new(),
            listed_copies: Vec::new(),
            copies_known: false,
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::MakeNamespace(name, tier) => self.cluster.put_namespace(name, namespace(tier)),
            Step::TerminateNamespace(name) => self.cluster.terminate_namespace(name),
            Step::RemoveNamespace(name) => self.cluster.remove_namespace(name),
            Step::MakeForeign(name) => self.cluster.make_foreign(name),
            Step::DeleteSecret(name) => self.cluster.delete_secret(name),
            Step::Edit(name) => self.cluster.edit(name),
            Step::Strip(name) => self.cluster.strip(name),
            Step::Webhook(on) => self.cluster.webhook = on,
            Step::Token => self.token(),
            Step::HearOfNamespace => drop(self.hear_of_namespace()),
            Step::HearOfCopy => drop(self.hear_of_copy()),
            Step::RelistNamespaces => self.relist_namespaces(),
            Step::RelistCopies => self.relist_copies(),
            Step::ListNamespaces => self.cluster.list_namespaces(),
            Step::ListCopies => self.cluster.list_copies(),
            Step::StartWrites(count) => self.start_writes(count),
            Step::Do(flight) => self.deal_with(flight, Cluster::apply),
            Step::DoInSilence(flight) => self.deal_with(flight, |cluster, name, write| {
                cluster.apply(name, write);
                refused(WriteReason::Timeout)
            }),
            Step::Refuse(flight, reason) => self.deal_with(flight, |_, _, _| refused(reason)),
            Step::Answer(flight) => self.answer(flight),
            Step::Pass(seconds) => self.now += SignedDuration::from_secs(seconds),
        }
    }

    fn token(&mut self) {
        self.tokens += 1;
        let manifest = manifest(&format!("token {}", self.tokens), self.now, LIFE);
        self.manifest = Some(manifest.clone());
        let manifest = Arc::new(manifest);
        self.apply(Event::Manifest { secret: 0, manifest });
    }

    fn apply(&mut self, event: Event) {
        self.index.apply(event, self.now);
    }

    // What is told.

    fn hear_of_namespace(&mut self) -> Option<()> {
        let (_, event) = self.cluster.namespace_watch.events.pop_front()?;
        match &event {
            Watched::ListBegun => {}
            Watched::Listed(name, namespace) => {
                self.listed_namespaces.insert(name.clone(), namespace.clone());
                self.told_namespaces.insert(name.clone(), namespace.clone());
            }
            Watched::ListEnded => self.told_namespaces = self.listed_namespaces.clone(),
            Watched::Changed(name, namespace) => {
                self.told_namespaces.insert(name.clone(), namespace.clone());
            }
            Watched::Gone(name, _) => drop(self.told_namespaces.remove(name)),
        }
        self.apply(Event::Namespace(event));
        Some(())
    }

    fn relist_namespaces(&mut self) {
        self.cluster.namespace_watch.relist();
        self.listed_namespaces.clear();
        self.apply(Event::Namespace(Watched::ListBegun));
    }

    fn hear_of_copy(&mut self) -> Option<()> {
        let (version, change) = self.cluster.copy_watch.events.pop_front()?;
        match &change {
            Watched::ListBegun => {}
            Watched::Listed(name, observed) => {
                self.listed_copies.push(name.clone());
                self.told_of_copy(name, observed.resource_version, Some(observed.ownership));
            }
            Watched::ListEnded => {
                self.copies_known = true;
                let missing = |name: &&str| !self.listed_copies.iter().any(|listed| listed == name);
                for name in NAMES.into_iter().filter(missing).collect::<Vec<_>>() {
                    self.told_of_copy(name, version, None);
                }
            }
            Watched::Changed(name, observed) => {
                self.told_of_copy(name, observed.resource_version, Some(observed.ownership));
            }
            Watched::Gone(name, last) => self.told_of_copy(name, last.resource_version, None),
        }
        self.apply(Event::Copy { secret: 0, change });
        Some(())
    }

    fn relist_copies(&mut self) {
        // No write overtakes both its answer and the loss of the watch: see `Cluster::touched`.
        self.answer_all();
        self.cluster.relist_copies();
        self.listed_copies.clear();
        let change = Watched::ListBegun;
        self.apply(Event::Copy { secret: 0, change });
    }

    fn told_of_copy(&mut self, name: &str, version: u64, ownership: Option<Ownership>) {
        let told = self.told_copies.entry(name.to_owned()).or_default();
        if version >= told.0 {
            *told = (version, ownership);
        }
    }

    // Writes.

    fn start_writes(&mut self, count: usize) {
        for _ in 0..count {
            let Some(write) = self.index.next_write(self.now) else {
                return;
            };
            self.check(&write);
            let name = NAMES.into_iter().find(|&name| name == &*write.namespace);
            self.flights.push(Flight { name: name.unwrap(), write, outcome: None });
        }
    }

    /// A write is only for what the index was told to want, and only where it does not know better.
    fn check(&self, write: &Write) {
        let name = &*write.namespace;
        let manifest = self.manifest.as_ref().unwrap();
        assert!(self.copies_known, "{name}: nothing is known to be missing");
        assert_eq!(write.manifest.content, manifest.content, "{name}");
        assert!(self.told_namespaces.get(name).is_some_and(|namespace| is_wanted(name, namespace)));
        assert!(self.flights.iter().all(|flight| flight.name != name), "{name} is under way");

        let there = self.told_copies.get(name).and_then(|told| told.1);
        assert_ne!(there, Some(Ownership::Foreign), "{name} is foreign");
        assert_ne!(there, Some(copy_of(manifest)), "{name} is fresh");
        assert_eq!(write.force, there.is_some(), "{name}");
    }

    fn deal_with(
        &mut self,
        flight: usize,
        how: impl FnOnce(&mut Cluster, &'static str, &Write) -> Outcome,
    ) {
        if let Some(flight) = self.flights.get_mut(flight)
            && flight.outcome.is_none()
        {
            let old = self.cluster.secrets.get(flight.name).copied();
            flight.outcome = Some(how(&mut self.cluster, flight.name, &flight.write));
            if old.is_some_and(|old| old.observed.ownership == Ownership::Foreign) {
                let untouched = self.cluster.secrets.get(flight.name).copied() == old;
                assert!(untouched || flight.write.force, "{} was foreign", flight.name);
            }
        }
    }

    fn answer(&mut self, flight: usize) {
        if self.flights.get(flight).is_none_or(|flight| flight.outcome.is_none()) {
            return;
        }
        let Flight { name, write, outcome } = self.flights.remove(flight);
        let outcome = outcome.unwrap();
        if let Outcome::Written(observed) = outcome {
            self.told_of_copy(name, observed.resource_version, Some(observed.ownership));
        }
        self.apply(Event::Written { write, outcome });
    }

    fn answer_all(&mut self) {
        for flight in (0..self.flights.len()).rev() {
            self.answer(flight);
        }
    }

    // The end.

    /// Faults stop, everything is heard of, and time passes until there is nothing left to do.
    fn settle(&mut self) {
        self.cluster.webhook = false;
        if self.cluster.namespace_watch.connection == Connection::Lost {
            self.relist_namespaces();
        }
        if self.cluster.copy_watch.connection == Connection::Lost {
            self.relist_copies();
        }
        self.cluster.list_namespaces();
        self.cluster.list_copies();
        for _ in 0..100 {
            while self.hear_of_namespace().is_some() || self.hear_of_copy().is_some() {}
            self.start_writes(usize::MAX);
            for flight in 0..self.flights.len() {
                self.deal_with(flight, Cluster::apply);
            }
            if self.flights.is_empty() {
                let Some(due) = self.index.next_due() else {
                    return;
                };
                self.now = self.now.max(due);
            }
            self.answer_all();
        }
        panic!("it does not come to rest");
    }

    fn check_rest(&self) {
        assert!(self.cluster.copy_watch.events.is_empty());
        let manifest = self.manifest.as_ref().unwrap();
        let expired = manifest.expires_at.unwrap() <= self.now;
        let fresh = if expired { CopyState::Expired } else { CopyState::Fresh };
        let mut expected = BTreeMap::new();
        for (&name, namespace) in &self.cluster.namespaces {
            if is_wanted(name, namespace) {
                let there = self.cluster.secrets.get(name).map(|secret| secret.observed.ownership);
                let state = if there == Some(Ownership::Foreign) {
                    CopyState::Conflict
                } else {
                    assert_eq!(there, Some(copy_of(manifest)), "{name}");
                    fresh
                };
                expected.insert(name.to_owned(), state);
            }
        }
        let report = self.index.report(self.now, true);
        let copies = report.secrets[0].copies.iter();
        let copies = copies.map(|copy| (copy.namespace.to_string(), copy.state));
        assert_eq!(copies.collect::<BTreeMap<_, _>>(), expected);

        let teams = self.cluster.namespaces.keys().filter(|name| name.starts_with("team-"));
        assert_eq!(report.secrets[0].patterns[0].1, teams.count() as u64);
        assert_eq!(report.synced, !expired || expected.values().all(|&state| state != fresh));
        let known = self.index.namespaces.iter().count();
        assert_eq!(known, self.cluster.namespaces.len(), "nothing is kept of what is gone");
    }
}

fn is_wanted(name: &str, namespace: &Namespace) -> bool {
    let prod = namespace.labels.get("tier").is_some_and(|tier| tier == "prod");
    name.starts_with("team-") && prod && !namespace.terminating
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_history_ends_with_exact_copies_and_in_peace(steps in vec(step(), 0..200)) {
        let mut world = World::new();
        world.token();
        world.relist_namespaces();
        world.relist_copies();
        for step in &steps {
            world.take(step);
        }
        world.settle();
        world.check_rest();
    }
}
