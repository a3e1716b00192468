//! A fixture with which a test of the index is a few lines.

mod accounts;
mod clock;
mod copies;
mod failures;
mod namespaces;
mod properties;
mod prune;
mod races;
mod reconfigure;
mod refresh;
mod report;
mod writes;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use ecr_refresher_core::clock::Now;
use jiff::{SignedDuration, Timestamp};
use kube::core::{Expression, Selector};
use sha2::{Digest, Sha256};

use self::writes::{Deletion, Write, is_forced, is_repair, name_of, names_of};
use super::{Index, conflicts::Conflict, event::Event};
use crate::{
    desired::{
        allow_list::AllowList,
        manifest::Manifest,
        settings::{OnConflict, PerNamespace, PullSecret, Settings},
    },
    job::{
        Action, Job, JobClass, JobOutcome, JobResult, Written,
        failure::{WriteFailure, WriteReason},
        slot::{AccountSlot, SecretSlot, Slot},
    },
    observed::{
        change::Watched,
        copy::{ContentHash, ObservedCopy, Ownership, Replaced, Uid},
        namespace::Namespace,
    },
    release::Release,
    report::{CopyState, Report},
};

/// How long a token of ECR lives, in seconds.
const LIFE: i64 = 12 * 3600;
/// Over how long refreshes are spread, in seconds.
const SPREAD: u64 = 300;
/// The grace period, in seconds.
const GRACE: u64 = 600;
/// How many fields an apply owns.
const FIELDS: u16 = 5;

/// For how long the machine has been up at the start.
const UPTIME: Duration = Duration::from_hours(1);

/// The usual config: one pull Secret.
const TEAMS: &[(&str, &[&str])] = &[("ecr-pull", &["team-*"])];

/// The slot of the first pull Secret.
fn first() -> SecretSlot {
    SecretSlot::new(0)
}

/// An index, the time, and the last resourceVersion of the API server.
struct Fixture {
    settings: Settings,
    index: Index,
    now: Now,
    version: u64,
    manifest: Option<Arc<Manifest>>,
}

impl Fixture {
    /// An index that knows of nothing yet.
    fn new(secrets: &[(&str, &[&str])]) -> Self {
        Self::selecting(secrets, &Selector::default())
    }

    fn selecting(secrets: &[(&str, &[&str])], selector: &Selector) -> Self {
        let settings = settings(secrets, selector);
        Self {
            index: Index::new(&settings, 7),
            settings,
            now: moment(0),
            version: 100,
            manifest: None,
        }
    }

    /// An index that has seen an empty cluster, and has a token.
    fn ready() -> Self {
        let mut fixture = Self::new(TEAMS);
        fixture.list_namespaces(&[]);
        fixture.list_copies(&[]);
        fixture.token("one", LIFE);
        fixture
    }

    /// An index that has written the copies of these namespaces.
    fn with_copies(namespaces: &[&str]) -> Self {
        let mut fixture = Self::ready();
        for namespace in namespaces {
            fixture.namespace(namespace);
        }
        assert_eq!(fixture.write_all().len(), namespaces.len());
        fixture
    }

    /// An index with a copy in `team-a`, because of the label of that namespace.
    fn labelled() -> Self {
        let mut fixture = Self::selecting(TEAMS, &tier_is_prod());
        fixture.list_namespaces(&[]);
        fixture.list_copies(&[]);
        fixture.token("one", LIFE);
        fixture.labelled_namespace("team-a", "prod");
        assert_eq!(fixture.write_all(), ["team-a"]);
        fixture
    }

    /// The same, and the namespace has lost its label now.
    fn unwanted() -> Self {
        let mut fixture = Self::labelled();
        fixture.namespace("team-a");
        fixture
    }

    /// The same cluster, and a daemon that has just started with the same token.
    fn restart(&mut self) {
        self.index = Index::new(&self.settings, 8);
        let manifest = self.manifest.clone().unwrap();
        self.manifest(first(), manifest);
    }

    fn apply(&mut self, event: Event) {
        self.index.apply(event, self.now);
    }

    fn done(&mut self, job: &Job, result: JobResult) -> Option<JobOutcome> {
        self.index.job_done(job, result, self.now)
    }

    /// Follows other settings. Returns whether labels are missing.
    fn configure_all(&mut self, settings: Settings) -> bool {
        self.settings = settings;
        self.index.reconfigure(&self.settings, self.now)
    }

    /// Time passes, by both clocks.
    fn pass(&mut self, seconds: i64) {
        self.now.wall += SignedDuration::from_secs(seconds);
        self.now.uptime += Duration::from_secs(seconds.unsigned_abs());
    }

    /// Time passes until this uptime, by both clocks.
    fn pass_until(&mut self, uptime: Duration) {
        let wait = uptime.saturating_sub(self.now.uptime);
        self.now.uptime += wait;
        self.now.wall += SignedDuration::try_from(wait).unwrap();
    }

    /// The date is set, forwards or backwards.
    fn set_date(&mut self, seconds: i64) {
        self.now.wall += SignedDuration::from_secs(seconds);
    }

    // Namespaces.

    fn namespace_event(&mut self, change: Watched<Namespace>) {
        self.apply(Event::Namespace(change));
    }

    /// The watch shows a namespace.
    fn namespace(&mut self, name: &str) {
        self.namespace_event(Watched::Changed(name.to_owned(), namespace(None)));
    }

    fn labelled_namespace(&mut self, name: &str, tier: &str) {
        self.namespace_event(Watched::Changed(name.to_owned(), namespace(Some(tier))));
    }

    fn terminating_namespace(&mut self, name: &str) {
        self.namespace_event(Watched::Changed(name.to_owned(), terminating()));
    }

    fn namespace_gone(&mut self, name: &str) {
        self.namespace_event(Watched::Gone(name.to_owned(), terminating()));
    }

    fn list_namespaces(&mut self, names: &[&str]) {
        self.namespace_event(Watched::ListBegun);
        for &name in names {
            self.namespace_event(Watched::Listed(name.to_owned(), namespace(None)));
        }
        self.namespace_event(Watched::ListEnded);
    }

    // Copies of the first pull Secret.

    fn copy_event(&mut self, change: Watched<ObservedCopy>) {
        self.apply(Event::Copy { secret: first(), change });
    }

    /// The watch shows a Secret, changed just now.
    fn copy(&mut self, namespace: &str, ownership: Ownership) -> ObservedCopy {
        let observed = self.observed(ownership);
        self.copy_event(Watched::Changed(namespace.to_owned(), observed.clone()));
        observed
    }

    /// The watch shows that a Secret is gone, as it shows it: with the version of its end.
    fn copy_gone(&mut self, namespace: &str) {
        let last = self.observed(Ownership::Foreign);
        self.copy_event(Watched::Gone(namespace.to_owned(), last));
    }

    fn list_copies(&mut self, copies: &[(&str, Ownership)]) {
        self.copy_event(Watched::ListBegun);
        for (name, ownership) in copies.iter().cloned() {
            let observed = self.observed(ownership);
            self.copy_event(Watched::Listed(name.to_owned(), observed));
        }
        self.copy_event(Watched::ListEnded);
    }

    /// A Secret that has just been changed to this.
    fn observed(&mut self, ownership: Ownership) -> ObservedCopy {
        self.version += 1;
        ObservedCopy {
            resource_version: self.version,
            uid: Some(uid()),
            ownership,
            changed_by: None,
        }
    }

    // Tokens.

    /// A new token for all pull Secrets.
    fn token(&mut self, name: &str, life: i64) -> Ownership {
        let manifest = Arc::new(manifest(name, self.now.wall, life));
        let copy = copy_of(&manifest);
        for slot in self.index.secrets.slots() {
            self.manifest(slot, Arc::clone(&manifest));
        }
        copy
    }

    fn manifest(&mut self, secret: SecretSlot, manifest: Arc<Manifest>) {
        self.manifest = Some(Arc::clone(&manifest));
        self.apply(Event::Manifest { secret, manifest });
    }

    fn is_synced(&self) -> bool {
        self.index.is_synced(self.now)
    }

    fn report(&self) -> Report {
        self.index.report(self.now, PerNamespace::All)
    }

    fn state(&self, namespace: &str) -> CopyState {
        let report = self.report();
        let mut copies = report.secrets[0].copies.iter();
        let copy = copies.find(|copy| &*copy.namespace == namespace);
        copy.expect("a copy is wanted").state
    }

    fn entries(&self) -> usize {
        self.index.namespaces.iter().count()
    }
}

/// The moment of this many seconds after the start, by both clocks.
fn moment(seconds: i64) -> Now {
    Now { wall: at(seconds), uptime: UPTIME + Duration::from_secs(seconds.unsigned_abs()) }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn settings(secrets: &[(&str, &[&str])], selector: &Selector) -> Settings {
    let secret = |&(name, patterns): &(&str, &[&str])| {
        let patterns = patterns.iter().map(|&text| text.to_owned()).collect();
        PullSecret {
            name: name.to_owned(),
            registries: vec!["main".into()],
            allow_list: AllowList::new(patterns, vec![], selector.clone()).unwrap(),
            service_accounts: Vec::new(),
            on_conflict: OnConflict::Skip,
            take_over: Vec::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        }
    };
    Settings {
        secrets: secrets.iter().map(secret).collect(),
        spread: Duration::from_secs(SPREAD),
        prune_after: Some(Duration::from_secs(GRACE)),
        prune_limit: 0.5,
        concurrency: 32,
        per_namespace: PerNamespace::All,
    }
}

fn tier_is_prod() -> Selector {
    Expression::Equal("tier".into(), "prod".into()).into()
}

fn namespace(tier: Option<&str>) -> Namespace {
    let labels = tier.map(|tier| ("tier".to_owned(), tier.to_owned()));
    Namespace { terminating: false, labels: labels.into_iter().collect() }
}

fn terminating() -> Namespace {
    Namespace { terminating: true, ..namespace(None) }
}

fn manifest(name: &str, now: Timestamp, life: i64) -> Manifest {
    let hash = Sha256::digest(name);
    Manifest {
        body: Bytes::from_static(b"{}"),
        preconditions_at: 1,
        is_complete: true,
        content: ContentHash::new(
            u64::from_be_bytes(std::array::from_fn(|index| hash[index])),
            FIELDS,
        ),
        expires_at: Some(now + SignedDuration::from_secs(life)),
        owned_fields: FIELDS,
        data_size: 0,
    }
}

/// The Secret after an apply of a manifest.
fn copy_of(manifest: &Manifest) -> Ownership {
    Ownership::Ours {
        content: Some(manifest.content),
        expires_at: manifest.expires_at.map(Into::into),
        owned_fields: Some(manifest.owned_fields),
    }
}

/// A copy after another client has taken over a field.
fn edited(copy: Ownership) -> Ownership {
    match copy {
        Ownership::Ours { content, expires_at, owned_fields } => Ownership::Ours {
            content,
            expires_at,
            owned_fields: owned_fields.map(|owned| owned.saturating_sub(1)),
        },
        Ownership::AnotherRelease { .. } | Ownership::Foreign => copy,
    }
}

/// The UID of every Secret: recreated ones differ by their version here.
fn uid() -> Uid {
    Uid::parse("0a1b2c3d-0000-4e5f-8a9b-00000000000f").unwrap()
}
