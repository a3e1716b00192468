//! The objects, their versions, and the log of changes that watches read.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, Weak},
};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    Faults, Observer, Options, Write,
    kind::{Key, Kind},
    managed::Managed,
    request::{Request, Verb},
};
use crate::time::TrueTime;

/// The state of the API server.
pub struct Server {
    /// The faults of requests and watches.
    pub faults: Faults,
    /// The work of controllers that the server does.
    pub options: Options,
    pub(super) this: Weak<Mutex<Server>>,
    pub(super) time: TrueTime,
    pub(super) rng: fastrand::Rng,
    pub(super) version: u64,
    pub(super) objects: BTreeMap<Key, Arc<Stored>>,
    logs: BTreeMap<Kind, Log>,
    /// With another one, watches break.
    pub(super) epoch: u64,
    uids: u64,
    requests: u64,
    observer: Option<Box<dyn Observer + Send>>,
}

/// An object as it is stored, and as the API shows it.
pub(super) struct Stored {
    pub(super) managed: Managed,
    pub(super) shown: Arc<Value>,
}

/// A change of an object.
pub(super) struct Entry {
    pub(super) version: u64,
    pub(super) key: Key,
    pub(super) before: Option<Arc<Stored>>,
    pub(super) after: Option<Arc<Stored>>,
}

/// The changes of one kind.
pub(super) struct Log {
    pub(super) entries: VecDeque<Entry>,
    /// Changes up to this version are forgotten.
    pub(super) compacted: u64,
    changed: watch::Sender<()>,
}

/// The objects and the version of an earlier moment.
#[derive(Clone)]
pub struct Snapshot {
    version: u64,
    objects: BTreeMap<Key, Arc<Stored>>,
}

/// The author of a change: a request, or another client of the cluster.
#[derive(Clone, Copy)]
pub(super) struct Author<'a> {
    pub(super) request: Option<&'a Request>,
    pub(super) manager: &'a str,
    pub(super) force: bool,
}

/// How many changes of a kind are kept.
const LONGEST_LOG: usize = 5_000;

/// The version of a server without objects.
const FIRST_VERSION: u64 = 100;

impl Server {
    pub(super) fn new(seed: u64, time: TrueTime, this: Weak<Mutex<Self>>) -> Self {
        let log = || Log {
            entries: VecDeque::new(),
            compacted: FIRST_VERSION,
            changed: watch::Sender::new(()),
        };
        Self {
            faults: Faults::default(),
            options: Options::default(),
            this,
            time,
            rng: fastrand::Rng::with_seed(seed),
            version: FIRST_VERSION,
            objects: BTreeMap::new(),
            logs: Kind::ALL.into_iter().map(|kind| (kind, log())).collect(),
            epoch: 0,
            uids: 0,
            requests: 0,
            observer: None,
        }
    }

    /// Notifies `observer` of all requests and writes from now on.
    pub fn set_observer(&mut self, observer: Box<dyn Observer + Send>) {
        self.observer = Some(observer);
    }

    /// The resourceVersion of the last change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// An object as the API shows it.
    #[must_use]
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
        let stored = self.objects.get(&Key::new(kind, namespace, name))?;
        Some(Value::clone(&stored.shown))
    }

    /// All objects of a kind, as the API shows them.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = (&Key, &Value)> {
        let first = Key::new(kind, "", "");
        self.objects
            .range(first..)
            .take_while(move |(key, _)| key.kind == kind)
            .map(|(key, stored)| (key, &*stored.shown))
    }

    /// The objects and the version of this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { version: self.version, objects: self.objects.clone() }
    }

    /// Restores etcd to an earlier moment: the objects and the version go back. Watches break. A watch
    /// from a later version than the restored one is accepted, as kube-apiserver does, and shows
    /// changes only once the version is beyond that; an older one gets a 410.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.version = snapshot.version;
        self.objects.clone_from(&snapshot.objects);
        for log in self.logs.values_mut() {
            log.entries.clear();
            log.compacted = snapshot.version;
        }
        self.cut_watches();
        self.resume_terminations();
    }

    /// Breaks all watches and forgets all changes: a watch that resumes from an older version, or a
    /// list that continues from one, gets a 410.
    pub fn compact(&mut self) {
        // Something else in etcd has changed meanwhile.
        self.version += 1;
        for log in self.logs.values_mut() {
            log.entries.clear();
            log.compacted = self.version;
        }
        self.cut_watches();
    }

    /// Breaks the connections of all watches, which may resume.
    pub fn cut_watches(&mut self) {
        self.epoch += 1;
        for log in self.logs.values() {
            log.changed.send_replace(());
        }
    }

    pub(super) fn log(&self, kind: Kind) -> &Log {
        &self.logs[&kind]
    }

    pub(super) fn next_request(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    pub(super) fn observe(&mut self, notify: impl FnOnce(&mut (dyn Observer + Send))) {
        if let Some(observer) = &mut self.observer {
            notify(&mut **observer);
        }
    }

    /// The time as objects have it.
    pub(super) fn timestamp(&self) -> String {
        self.time.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// A new object that has only what the server gives it.
    pub(super) fn fresh(&mut self, key: &Key) -> Value {
        self.uids += 1;
        let uid = format!("00000000-0000-4000-8000-{:012x}", self.uids);
        let mut metadata =
            json!({ "name": key.name, "uid": uid, "creationTimestamp": self.timestamp() });
        if key.kind.is_namespaced() {
            metadata["namespace"] = json!(key.namespace);
        }
        let (api_version, kind) = (key.kind.api_version(), key.kind.name());
        let mut object = json!({ "apiVersion": api_version, "kind": kind, "metadata": metadata });
        if key.kind == Kind::Namespace {
            object["spec"] = json!({ "finalizers": ["kubernetes"] });
            object["status"] = json!({ "phase": "Active" });
        }
        object
    }

    /// Stores an object, and returns it as the API shows it. A change of nothing is not stored.
    pub(super) fn store(&mut self, key: &Key, mut next: Managed, author: Author<'_>) -> Arc<Value> {
        let before = self.objects.get(key).cloned();
        if let Some(before) = &before
            && before.managed.json == next.json
            && before.managed.managers == next.managers
        {
            return Arc::clone(&before.shown);
        }
        if is_released(&next.json) {
            // The answer has the new state, which is never stored.
            self.delete(key, author);
            return Arc::new(next.shown(key.kind));
        }
        self.version += 1;
        next.json["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let shown = Arc::new(next.shown(key.kind));
        let after = Arc::new(Stored { managed: next, shown: Arc::clone(&shown) });
        self.objects.insert(key.clone(), Arc::clone(&after));
        self.record(key, before, Some(after), author);
        shown
    }

    /// Deletes an object at once, and returns its last state.
    pub(super) fn delete(&mut self, key: &Key, author: Author<'_>) -> Option<Arc<Value>> {
        let before = self.objects.remove(key)?;
        self.version += 1;
        let shown = Arc::clone(&before.shown);
        self.record(key, Some(before), None, author);
        Some(shown)
    }

    fn record(
        &mut self,
        key: &Key,
        before: Option<Arc<Stored>>,
        after: Option<Arc<Stored>>,
        author: Author<'_>,
    ) {
        let version = self.version;
        let at = self.time.elapsed();
        self.observe(|observer| {
            observer.stored(&Write {
                request: author.request.map(|request| request.id),
                caller: author.request.map(|request| &*request.caller),
                verb: author.request.map(|request| request.verb),
                manager: author.manager,
                force: author.force,
                key,
                before: before.as_ref().map(|stored| &*stored.shown),
                after: after.as_ref().map(|stored| &*stored.shown),
                version,
                at,
            });
        });
        let Some(log) = self.logs.get_mut(&key.kind) else { return };
        log.entries.push_back(Entry { version, key: key.clone(), before, after });
        if log.entries.len() > LONGEST_LOG
            && let Some(first) = log.entries.pop_front()
        {
            log.compacted = first.version;
        }
        log.changed.send_replace(());
    }

    /// The objects of a kind at a version; `None` if it is too old. A version in the future is that of
    /// now.
    pub(super) fn objects_at(
        &self,
        kind: Kind,
        version: u64,
    ) -> Option<BTreeMap<&Key, &Arc<Stored>>> {
        let log = self.log(kind);
        if version < log.compacted {
            return None;
        }
        let mut objects: BTreeMap<_, _> = self
            .objects
            .range(Key::new(kind, "", "")..)
            .take_while(|(key, _)| key.kind == kind)
            .collect();
        for entry in log.entries.iter().rev().take_while(|entry| entry.version > version) {
            match &entry.before {
                Some(before) => drop(objects.insert(&entry.key, before)),
                None => drop(objects.remove(&entry.key)),
            }
        }
        Some(objects)
    }
}

impl Log {
    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The changes after a version.
    pub(super) fn since(&self, version: u64) -> impl Iterator<Item = &Entry> {
        let first = self.entries.partition_point(|entry| entry.version <= version);
        self.entries.range(first..)
    }
}

impl<'a> Author<'a> {
    pub(super) fn of(request: &'a Request) -> Self {
        let force = request.verb == Verb::Apply && request.query.force;
        Self { request: Some(request), manager: request.manager(), force }
    }

    /// Another client, which is not simulated.
    pub(super) fn other(manager: &'a str) -> Self {
        Self { request: None, manager, force: false }
    }
}

/// Whether an object is being deleted and has no finalizer any more. Namespaces go once they are empty.
fn is_released(object: &Value) -> bool {
    let metadata = &object["metadata"];
    metadata.get("deletionTimestamp").is_some()
        && metadata.get("finalizers").is_none()
        && object["kind"] != Kind::Namespace.name()
}
