//! The step alone: an engine, a token store and the facts, without I/O.

mod history;
mod term;
mod tokens;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use ecr_refresher_core::{
    Auth, Entry, FetchError, Host, Lifetime, Random, Reason,
    clock::Now,
    ecr::{EcrDefaults, EcrSettings},
    tokens::{CacheDocument, FileEntries, Registry, Token, TokenSource, TokenStore},
};
use jiff::{SignedDuration, Timestamp};
use kube::core::Selector;

use super::step::{Effect, Engine, Facts, Input, StartedJob};
use crate::{
    desired::{
        allow_list::AllowList,
        document::{Document, document},
        manifest::Manifest,
        settings::{OnConflict, PerNamespace, PullSecret, Settings},
    },
    index::event::Event,
    job::{
        Action, Apply, JobClass, JobResult, Written,
        failure::{WriteFailure, WriteReason},
        slot::{SecretSlot, Slot},
    },
    observed::{
        change::Watched,
        copy::{ObservedCopy, Ownership, Replaced, Uid},
        namespace::Namespace,
    },
    release::Release,
};

/// The life of a token of ECR, in seconds.
const LIFE: u64 = 12 * 3600;
/// The grace period, in seconds.
const GRACE: u64 = 600;
/// The name of the pull Secret.
const NAME: &str = "ecr-pull";

/// An engine, and the owners of its facts.
struct Fixture {
    engine: Engine,
    tokens: TokenStore,
    now: Now,
    term: Option<u64>,
    are_namespaces_current: bool,
    /// The running jobs.
    running: Vec<StartedJob>,
    /// The number of the last token, and of the last resourceVersion.
    last: u64,
    /// The version of the file.
    file: u64,
}

impl Fixture {
    /// An engine before its first term. Its pull Secret has the registries `main` (ECR) and `hub` (a
    /// file), for the namespaces of the teams.
    fn new() -> Self {
        let mut fixture = Self {
            engine: Engine::new(settings(&["main", "hub"], "team-*"), release(), 7),
            tokens: TokenStore::new(Random::from_seed(1)),
            now: Now {
                wall: Timestamp::from_second(1_800_000_000).unwrap(),
                uptime: Duration::ZERO,
            },
            term: None,
            are_namespaces_current: true,
            running: Vec::new(),
            last: 0,
            file: 0,
        };
        fixture.tokens.want(registries(), 0.5, fixture.now);
        fixture
    }

    /// An engine in its first term, with both tokens, that has listed a cluster with these namespaces.
    fn leading(namespaces: &[&str]) -> Self {
        let mut fixture = Self::new();
        fixture.lead(1);
        fixture.list_namespaces(namespaces);
        fixture.list_copies(&[]);
        fixture.fetch(|_| true);
        fixture.step(Input::Wake);
        fixture
    }

    fn step(&mut self, input: Input) -> Vec<Effect> {
        let facts = Facts {
            now: self.now,
            term: self.term,
            tokens: &self.tokens,
            are_namespaces_current: self.are_namespaces_current,
        };
        let (started, effects): (Vec<_>, Vec<_>) = self
            .engine
            .step(input, &facts)
            .into_iter()
            .partition(|effect| matches!(effect, Effect::Start(_)));
        if effects.iter().any(|effect| matches!(effect, Effect::CancelJobs)) {
            self.running.clear();
        }
        for effect in started {
            let Effect::Start(started) = effect else { continue };
            assert!(self.term.is_some(), "{started:?} starts outside of a term");
            let is_other = |other: &StartedJob| other.job.key != started.job.key;
            assert!(self.running.iter().all(is_other), "two jobs run for {started:?}");
            self.running.push(started);
        }
        effects
    }

    /// Begins a term: its number is known to the engine at the next step.
    fn lead(&mut self, term: u64) {
        self.term = Some(term);
        self.tokens.begin_term(term, &CacheDocument::default(), self.now);
    }

    fn pass(&mut self, seconds: u64) {
        self.now.uptime += Duration::from_secs(seconds);
        self.now.wall += SignedDuration::from_secs(seconds.cast_signed());
    }

    // Tokens.

    /// Answers all sources that are due, or lets them fail, and writes the token cache.
    fn fetch(&mut self, succeeds: impl Fn(&TokenSource) -> bool) {
        for ask in self.tokens.due(self.now) {
            self.last += 1;
            let answer = match &ask.source {
                source if !succeeds(source) => Err(FetchError::new(Reason::Network, "unreachable")),
                TokenSource::Aws(_) => Ok(ecr_token(self.last, self.now.wall)),
                TokenSource::File(_) => Ok(file_token(self.file)),
            };
            self.tokens.answered(ask.id, answer, self.now);
        }
        let (_, generation) = self.tokens.cache_document();
        self.tokens.cached(generation);
    }

    /// The content that the pull Secret should have by the token store.
    fn desired(&self) -> Manifest {
        let (_, secret) = self.engine.index().secrets().next().unwrap();
        let readings = self.tokens.read(self.now);
        let Document { config, is_complete } = document(secret, &readings).unwrap();
        Manifest { is_complete, ..Manifest::render(secret, &release(), &config).unwrap() }
    }

    // The cluster.

    fn list_namespaces(&mut self, names: &[&str]) {
        self.step(Input::Observed(Event::Namespace(Watched::ListBegun)));
        for name in names {
            let listed = Watched::Listed((*name).to_owned(), active());
            self.step(Input::Observed(Event::Namespace(listed)));
        }
        self.step(Input::Observed(Event::Namespace(Watched::ListEnded)));
    }

    fn copy_event(&mut self, change: Watched<ObservedCopy>) {
        self.step(Input::Observed(Event::Copy { secret: SecretSlot::new(0), change }));
    }

    fn list_copies(&mut self, copies: &[(&str, ObservedCopy)]) {
        self.copy_event(Watched::ListBegun);
        for (name, observed) in copies.iter().cloned() {
            self.copy_event(Watched::Listed(name.to_owned(), observed));
        }
        self.copy_event(Watched::ListEnded);
    }

    // Jobs.

    /// The running jobs: class and namespace.
    fn jobs(&self) -> Vec<(JobClass, &str)> {
        self.running
            .iter()
            .map(|StartedJob { job, .. }| (job.action.class(), &*job.namespace))
            .collect()
    }

    /// Passes the time until a job starts.
    fn wait_for_job(&mut self) {
        self.step(Input::Wake);
        while self.running.is_empty() {
            let due = self.engine.index().next_due(JobClass::Delete).expect("a job is due");
            self.pass(due.saturating_sub(self.now.uptime).as_secs() + 1);
            self.step(Input::Wake);
        }
    }

    fn done(&mut self, started: StartedJob, result: JobResult) -> Vec<Effect> {
        self.step(Input::Done { started, result, took: Duration::ZERO })
    }

    /// The API server does the first running job.
    fn finish(&mut self) -> Vec<Effect> {
        self.last += 1;
        let started = self.running.remove(0);
        let written = match &started.job.action {
            Action::Apply(apply) => Written::Copy(applied(apply, self.last)),
            Action::Delete(_) => Written::Deleted,
            Action::Patch(_) => panic!("there are no ServiceAccounts"),
        };
        self.done(started, Ok(written))
    }

    fn finish_all(&mut self) {
        while !self.running.is_empty() {
            self.finish();
        }
    }
}

/// Settings with one pull Secret of these registries.
fn settings(registries: &[&str], pattern: &str) -> Settings {
    let secret = PullSecret {
        name: NAME.to_owned(),
        registries: registries.iter().map(|&name| name.into()).collect(),
        allow_list: AllowList::new(vec![pattern.to_owned()], vec![], Selector::default()).unwrap(),
        service_accounts: Vec::new(),
        on_conflict: OnConflict::Skip,
        take_over: Vec::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
    };
    Settings {
        secrets: vec![secret],
        spread: Duration::from_mins(5),
        prune_after: Some(Duration::from_secs(GRACE)),
        prune_limit: 0.5,
        concurrency: 32,
        per_namespace: PerNamespace::All,
    }
}

fn registries() -> Vec<Registry> {
    let main = EcrSettings { region: Some("eu-west-1".to_owned()), ..EcrSettings::default() };
    vec![
        Registry::ecr(Arc::from("main"), main, &EcrDefaults::default()),
        Registry::file(Arc::from("hub"), PathBuf::from("/hub.json")),
    ]
}

fn ecr_token(number: u64, now: Timestamp) -> Token {
    let expires_at = now + SignedDuration::from_secs(LIFE.cast_signed());
    Token::Ecr {
        auth: Auth::from_user_and_password("AWS", &number.to_string()).unwrap(),
        lifetime: Lifetime::starting(now, expires_at).unwrap(),
        host: Some(host("123456789012.dkr.ecr.eu-west-1.amazonaws.com")),
    }
}

fn file_token(number: u64) -> Token {
    let auth = Auth::from_user_and_password("me", &number.to_string()).unwrap();
    let usable = [("hub.example.com".to_owned(), Entry::of_auth(&auth))].into();
    Token::File(FileEntries { usable, ..FileEntries::default() })
}

fn host(name: &str) -> Host {
    Host::from_endpoint(name).unwrap()
}

fn release() -> Release {
    Release::new("home", "ours")
}

fn active() -> Namespace {
    Namespace { terminating: false, labels: BTreeMap::new() }
}

/// The Secret after an apply. Its UID is that of the Secret which it replaces, or a new one.
fn applied(apply: &Apply, version: u64) -> ObservedCopy {
    let Manifest { content, expires_at, owned_fields, .. } = *apply.manifest;
    let new = || Uid::parse(&format!("00000000-0000-4000-8000-{version:012x}"));
    ObservedCopy {
        resource_version: version,
        uid: apply.replaces.map(|replaced| replaced.uid).or_else(new),
        ownership: Ownership::Ours {
            content: Some(content),
            expires_at: expires_at.map(Into::into),
            owned_fields: Some(owned_fields),
        },
        changed_by: None,
    }
}

fn failure(reason: WriteReason) -> WriteFailure {
    WriteFailure { reason, message: "no".to_owned(), retry_after: None }
}
