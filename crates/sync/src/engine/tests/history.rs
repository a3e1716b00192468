//! Random histories: whatever happens, and in whatever order, the copies are right in the end.

use std::collections::VecDeque;

use ecr_refresher_core::{Credentials, tokens::Reading};
use proptest::{collection::vec, prelude::*};

use super::*;

const NAMESPACES: [&str; 3] = ["team-a", "team-b", "other"];
/// Settings that an edit switches between.
const CONFIGS: [(&[&str], &str); 4] = [
    (&["main", "hub"], "team-*"),
    (&["main"], "team-*"),
    (&["hub"], "*"),
    (&["main", "hub"], "other"),
];

/// One thing that happens.
#[derive(Debug, Clone, Copy)]
enum Change {
    CreateNamespace(&'static str),
    DeleteNamespace(&'static str),
    /// A tenant deletes the Secret, or edits it.
    DeleteSecret(&'static str),
    EditSecret(&'static str),
    /// The watches deliver so many events.
    Deliver(usize),
    /// The API server answers a job: it does it, does it but the answer is lost, or refuses it.
    Do(usize),
    Lose(usize),
    Refuse(usize),
    /// The due token sources answer; with `false` they fail.
    Fetch {
        aws: bool,
        file: bool,
    },
    EditFile,
    Configure(usize),
    Lead,
    StandBy,
    Pass(u64),
    SetDate(i64),
}

fn change() -> impl Strategy<Value = Change> {
    let name = || prop::sample::select(&NAMESPACES[..]);
    let seconds = prop::sample::select(&[1, 10, 60, 300, GRACE, LIFE / 2, LIFE][..]);
    let date = prop::sample::select(&[20, -20, 3600, -3600, 43_200, -43_200][..]);
    prop_oneof![
        3 => name().prop_map(Change::CreateNamespace),
        1 => name().prop_map(Change::DeleteNamespace),
        1 => name().prop_map(Change::DeleteSecret),
        1 => name().prop_map(Change::EditSecret),
        6 => (1..4_usize).prop_map(Change::Deliver),
        6 => (0..3_usize).prop_map(Change::Do),
        1 => (0..3_usize).prop_map(Change::Lose),
        1 => (0..3_usize).prop_map(Change::Refuse),
        4 => any::<(bool, bool)>().prop_map(|(aws, file)| Change::Fetch { aws, file }),
        1 => Just(Change::EditFile),
        3 => (0..CONFIGS.len()).prop_map(Change::Configure),
        1 => Just(Change::Lead),
        1 => Just(Change::StandBy),
        4 => seconds.prop_map(Change::Pass),
        1 => date.prop_map(Change::SetDate),
    ]
}

/// A cluster, its watches, and the engine.
struct World {
    fixture: Fixture,
    config: usize,
    terms: u64,
    namespaces: Vec<&'static str>,
    secrets: BTreeMap<&'static str, ObservedCopy>,
    /// The events that the watches have not delivered yet.
    events: VecDeque<Event>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            fixture: Fixture::new(),
            config: 0,
            terms: 0,
            namespaces: Vec::new(),
            secrets: BTreeMap::new(),
            events: VecDeque::new(),
        };
        world.list();
        world
    }

    fn step(&mut self, input: Input) {
        let before: Vec<_> = self.fixture.running.iter().map(|it| it.job.key).collect();
        let effects = self.fixture.step(input);
        for started in self.fixture.running.iter().filter(|it| !before.contains(&it.job.key)) {
            if let Action::Delete(_) = started.job.action {
                assert!(self.fixture.are_namespaces_current, "{started:?}");
            }
        }
        if effects.iter().any(|effect| matches!(effect, Effect::ListOutdated)) {
            self.list();
        }
    }

    /// Lists everything again.
    fn list(&mut self) {
        self.fixture.are_namespaces_current = false;
        self.events.clear();
        let listed = |&name: &&str| Event::Namespace(Watched::Listed(name.to_owned(), active()));
        self.events.push_back(Event::Namespace(Watched::ListBegun));
        self.events.extend(self.namespaces.iter().map(listed));
        self.events.push_back(Event::Namespace(Watched::ListEnded));
        self.copy_event(Watched::ListBegun);
        for (name, observed) in self.secrets.clone() {
            self.copy_event(Watched::Listed(name.to_owned(), observed));
        }
        self.copy_event(Watched::ListEnded);
    }

    fn copy_event(&mut self, change: Watched<ObservedCopy>) {
        self.events.push_back(Event::Copy { secret: SecretSlot::new(0), change });
    }

    fn deliver(&mut self) -> bool {
        let Some(event) = self.events.pop_front() else { return false };
        if matches!(event, Event::Namespace(Watched::ListEnded)) {
            self.fixture.are_namespaces_current = true;
        }
        self.step(Input::Observed(event));
        true
    }

    fn take(&mut self, change: Change) {
        match change {
            Change::CreateNamespace(name) if !self.namespaces.contains(&name) => {
                self.namespaces.push(name);
                let event = Event::Namespace(Watched::Changed(name.to_owned(), active()));
                self.events.push_back(event);
            }
            Change::DeleteNamespace(name) if self.namespaces.contains(&name) => {
                self.delete_secret(name);
                self.namespaces.retain(|other| *other != name);
                let event = Event::Namespace(Watched::Gone(name.to_owned(), active()));
                self.events.push_back(event);
            }
            Change::DeleteSecret(name) => self.delete_secret(name),
            Change::EditSecret(name) => self.edit_secret(name),
            Change::Deliver(count) => {
                let _ = (0..count).all(|_| self.deliver());
            }
            Change::Do(job) => self.answer(job, |_, result| result),
            Change::Lose(job) => self.answer(job, |_, _| Err(failure(WriteReason::Timeout))),
            Change::Refuse(job) if job < self.fixture.running.len() => {
                let started = self.fixture.running.remove(job);
                let result = Err(failure(WriteReason::ServerError));
                self.step(Input::Done { started, result, took: Duration::ZERO });
            }
            Change::CreateNamespace(_) | Change::DeleteNamespace(_) | Change::Refuse(_) => {}
            Change::Fetch { aws, file } => {
                let succeeds = |source: &TokenSource| match source {
                    TokenSource::Aws(_) => aws,
                    TokenSource::File(_) => file,
                };
                self.fixture.fetch(succeeds);
                self.step(Input::Wake);
            }
            Change::EditFile => self.fixture.file += 1,
            Change::Configure(config) => self.configure(config),
            Change::Lead => self.lead(),
            Change::StandBy => {
                self.fixture.term = None;
                self.step(Input::Wake);
            }
            Change::Pass(seconds) => {
                self.fixture.pass(seconds);
                self.step(Input::Wake);
            }
            Change::SetDate(seconds) => {
                self.fixture.now.wall += SignedDuration::from_secs(seconds);
                self.step(Input::Wake);
            }
        }
    }

    fn configure(&mut self, config: usize) {
        let (registries, pattern) = CONFIGS[config];
        self.config = config;
        self.step(Input::Configure(Box::new(settings(registries, pattern))));
    }

    fn lead(&mut self) {
        if self.fixture.term.is_none() {
            self.terms += 1;
            self.fixture.lead(self.terms);
            self.step(Input::Wake);
        }
    }

    fn version(&mut self) -> u64 {
        self.fixture.last += 1;
        self.fixture.last
    }

    fn delete_secret(&mut self, name: &'static str) {
        let resource_version = self.version();
        if let Some(last) = self.secrets.remove(name) {
            let last = ObservedCopy { resource_version, ..last };
            self.copy_event(Watched::Gone(name.to_owned(), last));
        }
    }

    fn put_secret(&mut self, name: &'static str, observed: ObservedCopy) {
        self.secrets.insert(name, observed.clone());
        self.copy_event(Watched::Changed(name.to_owned(), observed));
    }

    /// A tenant changes the data: the API server moves that field to the tenant.
    fn edit_secret(&mut self, name: &'static str) {
        let resource_version = self.version();
        let Some(old) = self.secrets.get(name).cloned() else { return };
        let Ownership::Ours { content, expires_at, .. } = old.ownership else { return };
        let ownership = Ownership::Ours { content, expires_at, owned_fields: Some(1) };
        self.put_secret(name, ObservedCopy { resource_version, ownership, ..old });
    }

    /// The API server carries out a job.
    fn carry_out(&mut self, started: &StartedJob) -> JobResult {
        let version = self.version();
        let name = NAMESPACES.into_iter().find(|&name| name == &*started.job.namespace).unwrap();
        let old = self.secrets.get(name).cloned();
        match &started.job.action {
            Action::Apply(_) if !self.namespaces.contains(&name) => {
                Err(failure(WriteReason::NamespaceGone))
            }
            Action::Apply(apply) => {
                let is_edited = |old: &ObservedCopy| {
                    matches!(old.ownership, Ownership::Ours { owned_fields: Some(1), .. })
                };
                let is_there = |Replaced { uid, version }: Replaced| {
                    old.as_ref().is_some_and(|old| {
                        old.uid == Some(uid) && version.is_none_or(|it| it == old.resource_version)
                    })
                };
                if apply.replaces.is_some_and(|replaced| !is_there(replaced)) {
                    return Err(failure(WriteReason::Changed));
                }
                let is_forced = apply.replaces.is_some_and(|replaced| replaced.version.is_some());
                if !is_forced && old.as_ref().is_some_and(is_edited) {
                    return Err(failure(WriteReason::Owned));
                }
                let new = applied(apply, version);
                let observed = ObservedCopy { uid: old.map_or(new.uid, |old| old.uid), ..new };
                self.put_secret(name, observed.clone());
                Ok(Written::Copy(observed))
            }
            Action::Delete(deletion) => {
                let Some(old) = old else { return Ok(Written::Deleted) };
                if (old.uid, old.resource_version)
                    != (Some(deletion.uid), deletion.resource_version)
                {
                    return Err(failure(WriteReason::Changed));
                }
                self.delete_secret(name);
                Ok(Written::Deleted)
            }
            Action::Patch(_) => panic!("there are no ServiceAccounts"),
        }
    }

    fn answer(&mut self, job: usize, and: impl FnOnce(&StartedJob, JobResult) -> JobResult) {
        if job < self.fixture.running.len() {
            let started = self.fixture.running.remove(job);
            let result = self.carry_out(&started);
            let result = and(&started, result);
            self.step(Input::Done { started, result, took: Duration::ZERO });
        }
    }

    /// No more faults: time passes until nothing is left to do.
    fn settle(&mut self) {
        self.lead();
        for _ in 0..200 {
            while self.deliver() {}
            self.fixture.fetch(|_| true);
            self.step(Input::Wake);
            while !self.fixture.running.is_empty() {
                self.answer(0, |_, result| result);
            }
            let due = self.fixture.engine.index().next_due(JobClass::Delete);
            let wait = due.map(|due| due.saturating_sub(self.fixture.now.uptime));
            if wait.is_none() && self.are_tokens_alive() && self.events.is_empty() {
                return;
            }
            let seconds = wait.map_or(1, |wait| wait.as_secs() + 1);
            self.fixture.pass(seconds.min(60));
        }
        panic!("the engine does not come to rest");
    }

    fn are_tokens_alive(&self) -> bool {
        let is_alive = |reading: &Reading| match reading {
            Reading::Held(Credentials { lifetime, .. }) => {
                lifetime.is_none_or(|lifetime| !lifetime.is_expired(self.fixture.now.wall))
            }
            Reading::NotYet | Reading::Failed => false,
        };
        self.fixture.tokens.read(self.fixture.now).values().all(is_alive)
    }

    fn check(&self) {
        let desired = self.fixture.desired();
        let (_, pattern) = CONFIGS[self.config];
        for &name in &self.namespaces {
            let is_allowed = match pattern {
                "*" => true,
                "team-*" => name.starts_with("team-"),
                exact => exact == name,
            };
            let ownership = self.secrets.get(name).map(|secret| secret.ownership.clone());
            let expected = Ownership::Ours {
                content: Some(desired.content),
                expires_at: desired.expires_at.map(Into::into),
                owned_fields: Some(desired.owned_fields),
            };
            assert_eq!(ownership, is_allowed.then_some(expected), "{name}");
        }
        assert!(desired.expires_at.is_none_or(|expiry| expiry > self.fixture.now.wall));
    }
}

/// `PROPTEST_CASES` raises the number.
fn cases() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(1_000), failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn every_history_ends_with_the_newest_content_in_each_wanted_copy(
        changes in vec(change(), 0..150)
    ) {
        let mut world = World::new();
        for change in changes {
            world.take(change);
        }
        world.settle();
        world.check();
    }
}
