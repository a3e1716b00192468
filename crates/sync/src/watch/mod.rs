//! The watches: of the namespaces, of the Secrets with the name of a pull Secret, and of the
//! ServiceAccounts with a name of the config.

mod backoff;
pub mod liveness;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ecr_refresher_core::{Random, clock::Clock};
use futures::{
    StreamExt, TryStreamExt,
    stream::{AbortHandle, Abortable, BoxStream, SelectAll, abortable},
};
use k8s_openapi::api::core::v1::{Namespace as ApiNamespace, Secret, ServiceAccount};
use kube::{Api, Client, ResourceExt, runtime::watcher};
use tokio::time::Instant;

use self::liveness::WatchLiveness;
use crate::{
    index::event::Event,
    job::slot::{AccountSlot, SecretSlot},
    observed::{
        account::ObservedAccount, change::Watched, copy::ObservedCopy, metadata::MetadataOnly,
        namespace::Namespace, resource::Resource,
    },
    release::Release,
    report::WatchReport,
};

/// A list that began this long ago does not count at the start of a term.
const OUTDATED_AFTER: Duration = Duration::from_secs(10);

/// An event of a watch, or its failure. A failed watch is resumed, with backoff.
pub(crate) type WatchEvent = (Resource, watcher::Result<Event>);

/// All watches. The RBAC rules allow to watch Secrets and ServiceAccounts by name only, so each name
/// has a watch of its own.
///
/// Not tokio-stream's `StreamMap`: it polls in a random order, which no simulation could repeat.
pub(crate) struct Watches {
    client: Client,
    release: Release,
    clock: Clock,
    random: Random,
    streams: SelectAll<Abortable<BoxStream<'static, WatchEvent>>>,
    running: BTreeMap<Target, Running>,
    /// Whether the namespaces were listed since their watch was started.
    are_namespaces_listed: bool,
}

/// The objects of one watch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Namespaces,
    Secrets(SecretSlot, String),
    ServiceAccounts(AccountSlot, String),
}

/// A watch that ends with this value.
struct Running {
    liveness: WatchLiveness,
    started: Instant,
    handle: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

impl Watches {
    /// Starts with the namespaces.
    pub(crate) fn start(client: Client, release: Release, clock: Clock, random: Random) -> Self {
        let mut watches = Self {
            client,
            release,
            clock,
            random,
            streams: SelectAll::new(),
            running: BTreeMap::new(),
            are_namespaces_listed: false,
        };
        watches.restart(Target::Namespaces);
        watches
    }

    /// Watches these names, and no others.
    pub(crate) fn follow<'a>(
        &mut self,
        secrets: impl Iterator<Item = (SecretSlot, &'a str)>,
        accounts: impl Iterator<Item = (AccountSlot, &'a str)>,
    ) {
        let secrets = secrets.map(|(slot, name)| Target::Secrets(slot, name.to_owned()));
        let accounts = accounts.map(|(slot, name)| Target::ServiceAccounts(slot, name.to_owned()));
        let wanted: BTreeSet<_> =
            [Target::Namespaces].into_iter().chain(secrets).chain(accounts).collect();
        self.running.retain(|target, _| wanted.contains(target));
        for target in wanted {
            if !self.running.contains_key(&target) {
                self.restart(target);
            }
        }
    }

    /// Lists the namespaces again.
    pub(crate) fn list_namespaces_again(&mut self) {
        self.restart(Target::Namespaces);
    }

    /// Lists everything again.
    pub(crate) fn list_all_again(&mut self) {
        self.restart_older_than(Duration::ZERO);
    }

    /// Lists everything again that was not listed just now.
    pub(crate) fn list_outdated_again(&mut self) {
        self.restart_older_than(OUTDATED_AFTER);
    }

    fn restart_older_than(&mut self, age: Duration) {
        let old = self.running.iter().filter(|(_, running)| running.started.elapsed() >= age);
        let targets: Vec<_> = old.map(|(target, _)| target.clone()).collect();
        for target in targets {
            self.restart(target);
        }
    }

    fn restart(&mut self, target: Target) {
        let liveness = WatchLiveness::start(&self.clock, &self.random);
        let resource = target.resource();
        let events = target.events(&self.client, &self.release, &liveness);
        let (stream, handle) = abortable(events.map(move |event| (resource, event)).boxed());
        self.streams.push(stream);
        self.are_namespaces_listed &= target != Target::Namespaces;
        self.running.insert(target, Running { liveness, started: Instant::now(), handle });
    }

    /// Whether the watch of the namespaces is alive, and has listed them since it was started.
    pub(crate) fn are_namespaces_current(&self) -> bool {
        let watch = self.running.get(&Target::Namespaces);
        self.are_namespaces_listed && watch.is_some_and(|it| !it.liveness.is_silent())
    }

    /// The next event; `None` if no watch is left, which never happens by itself.
    pub(crate) async fn next(&mut self) -> Option<WatchEvent> {
        let event = self.streams.next().await;
        let is_end = matches!(&event, Some((_, Ok(Event::Namespace(Watched::ListEnded)))));
        self.are_namespaces_listed |= is_end;
        event
    }

    /// The state of the watches.
    pub(crate) fn report(&self) -> Vec<WatchReport> {
        let report = |(target, Running { liveness, .. }): (&Target, &Running)| WatchReport {
            resource: target.resource(),
            name: target.name().map(str::to_owned),
            last_event_at: liveness.last_event_at(),
            silence: liveness.silence(),
            is_stuck: liveness.is_stuck(),
        };
        self.running.iter().map(report).collect()
    }
}

impl Target {
    fn resource(&self) -> Resource {
        match self {
            Self::Namespaces => Resource::Namespaces,
            Self::Secrets(..) => Resource::Secrets,
            Self::ServiceAccounts(..) => Resource::ServiceAccounts,
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Namespaces => None,
            Self::Secrets(_, name) | Self::ServiceAccounts(_, name) => Some(name),
        }
    }

    /// The events of the watch. Of namespaces and Secrets it reads metadata only.
    fn events(
        &self,
        client: &Client,
        release: &Release,
        liveness: &WatchLiveness,
    ) -> BoxStream<'static, watcher::Result<Event>> {
        let config = watcher::Config::default();
        let config = match self.name() {
            Some(name) => config.fields(&format!("metadata.name={name}")),
            None => config,
        };
        let release = release.clone();
        match *self {
            Self::Namespaces => {
                let api = Api::<MetadataOnly<ApiNamespace>>::all;
                let events = liveness.watch(client, api, config);
                let name = ResourceExt::name_any;
                events.map_ok(move |it| Event::Namespace(watched(it, name, Namespace::new))).boxed()
            }
            Self::Secrets(secret, _) => {
                let api = Api::<MetadataOnly<Secret>>::all;
                let events = liveness.watch(client, api, config);
                let value =
                    move |copy: &MetadataOnly<Secret>| ObservedCopy::new(&copy.metadata, &release);
                let change = move |it| watched(it, namespace, &value);
                events.map_ok(move |it| Event::Copy { secret, change: change(it) }).boxed()
            }
            // Whole objects: `imagePullSecrets` is not part of the metadata.
            Self::ServiceAccounts(account, _) => {
                let events = liveness.watch(client, Api::<ServiceAccount>::all, config);
                let value = move |account: &ServiceAccount| ObservedAccount::new(account, &release);
                let change = move |it| watched(it, namespace, &value);
                events.map_ok(move |it| Event::Account { account, change: change(it) }).boxed()
            }
        }
    }
}

fn namespace<K: kube::Resource>(object: &K) -> String {
    object.namespace().unwrap_or_default()
}

/// An event of kube's watcher in the terms of the index.
fn watched<K, T>(
    event: watcher::Event<K>,
    name: impl Fn(&K) -> String,
    value: impl Fn(&K) -> T,
) -> Watched<T> {
    match event {
        watcher::Event::Init => Watched::ListBegun,
        watcher::Event::InitApply(object) => Watched::Listed(name(&object), value(&object)),
        watcher::Event::InitDone => Watched::ListEnded,
        watcher::Event::Apply(object) => Watched::Changed(name(&object), value(&object)),
        watcher::Event::Delete(object) => Watched::Gone(name(&object), value(&object)),
    }
}
