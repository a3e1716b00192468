//! What is wanted against what is there. Pure: events and the time go in, writes come out.

pub mod accounts;
mod apply_namespace;
mod conflicts;
mod copy;
pub mod event;
mod failure;
mod namespaces;
pub mod prune;
pub mod reconfigure;
mod state;
mod survey;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use ecr_refresher_core::{
    clock::Now,
    planted::{Bug, is_planted},
};

use self::{
    accounts::AccountName,
    copy::Spread,
    namespaces::{Namespaces, Presence},
    reconfigure::{account_names, label_keys},
};
pub use self::{
    accounts::{AccountKey, Link},
    prune::Deletion,
    reconfigure::Changes,
};
use crate::{
    desired::{
        manifest::Manifest,
        settings::{OnConflict, PullSecret, Settings},
    },
    index::event::{Event, Outcome},
    job::{
        failure::{RepeatedFailure, WriteFailure, WriteReason},
        queue::{Queue, Ticket},
    },
    moment::MaybeTime,
    observed::{
        change::Watched,
        copy::{ObservedCopy, Uid},
        tracked::{Lists, Tracked},
    },
};

/// One copy: a pull Secret in a namespace, both by their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CopyKey {
    namespace: u32,
    secret: u32,
}

/// A write that is due. Its [`Outcome`] must be fed back.
#[derive(Debug, Clone)]
pub struct Write {
    /// The copy.
    pub key: CopyKey,
    /// The namespace that it goes to.
    pub namespace: Arc<str>,
    /// The pull Secret's place in the index.
    pub secret: usize,
    /// What is to be there.
    pub manifest: Arc<Manifest>,
    /// The Secret whose fields are taken over from other managers: what is there already and is ours,
    /// or is to be adopted. Where none is known, a foreign Secret is refused by the API server and not
    /// lost; and so is one that has replaced the known one meanwhile.
    pub replaces: Option<Uid>,
    /// Whether this content was written before, and is no longer there as it was.
    pub is_repair: bool,
}

/// What the end of a [`Write`] means for its copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Why the copy is not as it is to be.
    pub failure: Option<Arc<RepeatedFailure>>,
    /// How long the namespace had waited for its first copy, if this was it.
    pub waited: Option<Duration>,
    /// How often the copy had to be made right of late, when that is often: somebody fights over it.
    pub contested: Option<u32>,
}

/// The state of every copy, and the queue of writes.
#[derive(Debug)]
pub struct Index {
    /// By their places; a place is empty when its pull Secret has left the config.
    secrets: Vec<Option<SecretState>>,
    /// The empty places, by the names of the pull Secrets that had them last.
    former_places: HashMap<String, usize>,
    /// By their places too.
    accounts: Vec<Option<AccountName>>,
    namespaces: Namespaces,
    namespace_lists: Lists,
    queue: Queue<CopyKey>,
    deletions: Queue<CopyKey>,
    links: Queue<AccountKey>,
    /// Conflicts that nobody has been told of.
    conflicts: Vec<CopyKey>,
    prune_after: Option<Duration>,
    spread: Duration,
    /// The labels of namespaces that count, and are kept.
    label_keys: BTreeSet<String>,
    /// Those of them that not all namespaces have been seen with.
    missing_keys: BTreeSet<String>,
    random: fastrand::Rng,
}

/// A pull Secret, and what is known about it.
#[derive(Debug)]
struct SecretState {
    secret: PullSecret,
    manifest: Option<Arc<Manifest>>,
    lists: Lists,
    /// How many namespaces each pattern matches.
    matched: Vec<u64>,
}

impl Index {
    /// An index that knows of nothing yet. `seed` decides on all jitter.
    #[must_use]
    pub fn new(settings: &Settings, seed: u64) -> Self {
        let accounts = account_names(settings);
        Self {
            secrets: settings.secrets.iter().map(SecretState::new).map(Some).collect(),
            former_places: HashMap::new(),
            namespaces: Namespaces::new(settings.secrets.len(), accounts.len()),
            accounts: accounts.into_iter().map(AccountName::new).map(Some).collect(),
            namespace_lists: Lists::default(),
            queue: Queue::new(),
            deletions: Queue::new(),
            links: Queue::new(),
            conflicts: Vec::new(),
            prune_after: settings.prune_after,
            spread: settings.spread,
            label_keys: label_keys(settings),
            missing_keys: BTreeSet::new(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Takes in something that happened. Returns what it means for a copy when its write has ended.
    pub fn apply(&mut self, event: Event, now: Now) -> Option<Ended> {
        match event {
            Event::Namespace(change) => self.apply_namespace(change, now),
            Event::Copy { secret, change } => self.apply_copy(secret, change, now),
            Event::Manifest { secret, manifest } => self.apply_manifest(secret, manifest, now),
            Event::Written { write, outcome } => return self.apply_written(&write, outcome, now),
            Event::Deleted { deletion, failure } => {
                return self.apply_deleted(&deletion, failure, now);
            }
            Event::Account { account, change } => self.apply_account(account, change, now),
            Event::Linked { link, outcome } => return self.apply_linked(&link, outcome, now),
        }
        None
    }

    /// Takes out the write that goes first at `now`.
    pub fn next_write(&mut self, now: Now) -> Option<Write> {
        while let Some(key) = self.queue.pop(now.uptime) {
            let secret = key.secret as usize;
            let Some(state) = self.state(secret) else { continue };
            let adopts = state.secret.on_conflict == OnConflict::Adopt;
            let manifest = state.manifest.clone();
            let Some((entry, manifest)) = self.namespaces.get_mut(key.namespace).zip(manifest)
            else {
                continue;
            };
            let namespace = Arc::clone(&entry.name);
            let copy = &mut entry.copies[secret];
            let is_repair = copy.is_repair(&manifest);
            let known = copy.observed().filter(|_| copy.is_ours() || adopts);
            let replaces = known.and_then(|observed| observed.uid);
            copy.start();
            return Some(Write { key, namespace, secret, manifest, replaces, is_repair });
        }
        None
    }

    /// When there is a write or a deletion to take out, by the uptime: `None` for not before another
    /// event.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        let due = [self.queue.next_due(), self.links.next_due(), self.deletions.next_due()];
        due.into_iter().flatten().min()
    }

    fn states(&self) -> impl Iterator<Item = (usize, &SecretState)> {
        let states = self.secrets.iter().enumerate();
        states.filter_map(|(place, state)| state.as_ref().map(|state| (place, state)))
    }

    fn state(&self, secret: usize) -> Option<&SecretState> {
        self.secrets.get(secret)?.as_ref()
    }

    fn state_mut(&mut self, secret: usize) -> Option<&mut SecretState> {
        self.secrets.get_mut(secret)?.as_mut()
    }

    fn apply_copy(&mut self, secret: usize, change: Watched<ObservedCopy>, now: Now) {
        let Some(state) = self.state_mut(secret) else { return };
        match change {
            Watched::ListBegun => state.lists.begin(),
            Watched::Listed(namespace, observed) => {
                let lists = state.lists;
                self.copy_seen(secret, &namespace, now, |copy| copy.listed(observed, lists));
            }
            Watched::ListEnded => {
                state.lists.end();
                let lists = state.lists;
                for id in self.namespaces.ids_where(|_| true) {
                    if let Some(entry) = self.namespaces.get_mut(id) {
                        entry.copies[secret].update(|copy| copy.list_ended(lists));
                    }
                    self.namespaces.forget_if_empty(id);
                }
                self.reconsider_secret(secret, now);
            }
            Watched::Changed(namespace, observed) => {
                self.copy_seen(secret, &namespace, now, |copy| copy.changed(observed));
            }
            Watched::Gone(namespace, last) => {
                let version = last.resource_version;
                self.copy_seen(secret, &namespace, now, |copy| copy.gone(version));
            }
        }
    }

    fn copy_seen(
        &mut self,
        secret: usize,
        namespace: &str,
        now: Now,
        update: impl FnOnce(&mut Tracked<ObservedCopy>),
    ) {
        let id = self.namespaces.intern(namespace);
        if let Some(entry) = self.namespaces.get_mut(id) {
            entry.copies[secret].update(update);
        }
        self.reconsider(key(id, secret), now);
        self.namespaces.forget_if_empty(id);
    }

    fn apply_manifest(&mut self, secret: usize, manifest: Arc<Manifest>, now: Now) {
        let Some(state) = self.state_mut(secret) else { return };
        let is_same = |known: &Arc<Manifest>| {
            known.content == manifest.content && known.is_complete == manifest.is_complete
        };
        if !state.manifest.as_ref().is_some_and(is_same) {
            state.manifest = Some(manifest);
            self.reconsider_secret(secret, now);
        }
    }

    fn apply_written(&mut self, write: &Write, outcome: Outcome, now: Now) -> Option<Ended> {
        let Write { key, secret, .. } = *write;
        let random = self.random.f64();
        let copy = &mut self.namespaces.get_mut(key.namespace)?.copies[secret];
        let Some(SecretState { lists, .. }) = self.secrets.get(secret)? else {
            // It has left the config meanwhile.
            copy.secret.end_write();
            self.namespaces.forget_if_empty(key.namespace);
            return None;
        };
        let (mut waited, mut contested) = (None, None);
        let failure = match outcome {
            Outcome::Written(observed) => {
                let since = copy.awaited_since.take();
                waited = since.map(|since| now.uptime.saturating_sub(since));
                copy.written(&write.manifest, observed, *lists);
                contested = write.is_repair.then(|| copy.repaired(now)).flatten();
                (!write.manifest.is_in(observed)).then(altered_on_the_way)
            }
            Outcome::Failed(failure) => {
                if !is_planted(Bug::FailedWriteStaysUnderWay) {
                    copy.secret.end_write();
                }
                // Done all the same, as when only the answer was lost: nobody waits any more.
                if copy.observed().is_some() {
                    copy.awaited_since = MaybeTime::NONE;
                }
                Some(failure)
            }
        };
        let failure = if let Some(failure) = failure {
            Some(copy.fail(failure, now, random))
        } else {
            copy.failure = None;
            None
        };
        self.reconsider(key, now);
        self.namespaces.forget_if_empty(key.namespace);
        Some(Ended { failure, waited, contested })
    }

    fn reconsider_secret(&mut self, secret: usize, now: Now) {
        for id in self.namespaces.ids_where(|entry| entry.presence.is_there()) {
            self.reconsider(key(id, secret), now);
        }
    }

    fn reconsider_namespace(&mut self, namespace: u32, now: Now) {
        for secret in 0..self.secrets.len() {
            self.reconsider(key(namespace, secret), now);
        }
    }

    /// Puts a copy in the queue if it is due, or takes it out.
    fn reconsider(&mut self, key: CopyKey, now: Now) {
        match self.plan(key, now) {
            Some(ticket) => self.queue.schedule(key, ticket),
            None => self.queue.cancel(key),
        }
        self.note_conflict(key);
        self.reconsider_deletion(key);
        self.reconsider_accounts(key.namespace, now);
    }

    fn plan(&mut self, key: CopyKey, now: Now) -> Option<Ticket> {
        let entry = self.namespaces.get_mut(key.namespace)?;
        let state = self.secrets.get(key.secret as usize)?.as_ref()?;
        let copy = entry.copies.get_mut(key.secret as usize)?;
        // Before the first list of the copies nothing is known to be missing.
        let is_known = entry.presence == Presence::Active && state.lists.is_complete();
        if !is_known || !copy.wanted || copy.is_writing() {
            return None;
        }
        let SecretState { secret, manifest, .. } = state;
        let spread = Spread { longest: self.spread, position: spread_position(&entry.name) };
        copy.plan(manifest.as_deref()?, secret.on_conflict, &spread, now)
    }
}

impl SecretState {
    fn new(secret: &PullSecret) -> Self {
        Self {
            matched: vec![0; secret.allow_list.patterns().len()],
            secret: secret.clone(),
            manifest: None,
            lists: Lists::default(),
        }
    }
}

fn key(namespace: u32, secret: usize) -> CopyKey {
    // The config holds nowhere near 2³² pull Secrets.
    CopyKey { namespace, secret: u32::try_from(secret).unwrap_or(u32::MAX) }
}

fn altered_on_the_way() -> WriteFailure {
    WriteFailure {
        reason: WriteReason::Altered,
        message: "what is there after the write is not what was written: look for an admission \
                  webhook that changes Secrets"
            .to_owned(),
        retry_after: None,
    }
}

/// A namespace's position in a spread, in 0..1: always the same, and even over all namespaces (FNV-1a).
fn spread_position(namespace: &str) -> f64 {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = namespace.bytes().fold(0x811c_9dc5, mix);
    // FNV-1a alone puts names that differ in their last letters side by side: Murmur3's finaliser.
    let hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    f64::from(hash ^ (hash >> 16)) / (f64::from(u32::MAX) + 1.0)
}
