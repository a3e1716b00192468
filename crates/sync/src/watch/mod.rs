//! The watches: of the namespaces, and of the Secrets with the name of a pull Secret, both of which ask
//! for metadata only; and of ServiceAccounts, if the config names any.

mod backoff;
pub mod liveness;

use std::{collections::BTreeMap, iter};

use ecr_refresher_core::{Random, clock::Clock};
use futures::{
    Stream, StreamExt, TryStreamExt,
    stream::{AbortHandle, Abortable, BoxStream, SelectAll, abortable},
};
use k8s_openapi::api::core::v1::{Namespace as ApiNamespace, Secret, ServiceAccount};
use kube::{Api, Client, Resource, ResourceExt, runtime::watcher};

use crate::{
    index::event::Event,
    observed::{
        account::ObservedAccount, change::Watched, copy::ObservedCopy, metadata::MetadataOnly,
        namespace::Namespace, resource::Watch,
    },
    report::WatchReport,
    watch::liveness::WatchLiveness,
};

/// What a watch tells. One that fails is taken up again by itself, with backoff.
type Told = (Watch, watcher::Result<Event>);

/// All watches. The RBAC rules allow to watch Secrets by the names of the pull Secrets alone, so
/// each of these has a watch of its own.
pub(crate) struct Watches {
    client: Client,
    clock: Clock,
    random: Random,
    streams: SelectAll<Abortable<BoxStream<'static, Told>>>,
    namespaces: Running,
    /// By the places of the pull Secrets.
    copies: BTreeMap<usize, Running>,
    /// By the places of the names of ServiceAccounts.
    accounts: BTreeMap<usize, Running>,
}

/// A watch that ends with this value.
struct Running {
    watch: Watch,
    name: Option<String>,
    pulse: WatchLiveness,
    handle: AbortHandle,
}

impl Watches {
    /// Starts to watch the namespaces.
    pub(crate) fn start(client: Client, clock: Clock, random: Random) -> Self {
        let (namespaces, stream) =
            start_namespaces(&client, &WatchLiveness::start(&clock, &random));
        let streams = SelectAll::from_iter([stream]);
        let (copies, accounts) = (BTreeMap::new(), BTreeMap::new());
        Self { client, clock, random, streams, namespaces, copies, accounts }
    }

    /// Starts to watch the copies of a pull Secret, which has this place in the index.
    pub(crate) fn watch_copies(&mut self, place: usize, name: &str) {
        let pulse = self.pulse();
        let stream = copies(&self.client, &pulse, place, name);
        let (running, stream) = Running::new(Watch::Secrets, Some(name), pulse, stream);
        self.streams.push(stream);
        self.copies.insert(place, running);
    }

    /// Whether the watch of the namespaces is alive. While it is not, one may have been labelled anew,
    /// so that its copy is wanted again.
    pub(crate) fn hear_namespaces(&self) -> bool {
        !self.namespaces.pulse.is_silent()
    }

    /// Stops to watch the copies of a pull Secret.
    pub(crate) fn forget_copies(&mut self, place: usize) {
        self.copies.remove(&place);
    }

    /// Starts to watch the ServiceAccounts of a name, which has this place in the index.
    pub(crate) fn watch_accounts(&mut self, place: usize, name: &str) {
        let pulse = self.pulse();
        let stream = accounts(&self.client, &pulse, place, name);
        let (running, stream) = Running::new(Watch::ServiceAccounts, Some(name), pulse, stream);
        self.streams.push(stream);
        self.accounts.insert(place, running);
    }

    /// Stops to watch the ServiceAccounts of a name.
    pub(crate) fn forget_accounts(&mut self, place: usize) {
        self.accounts.remove(&place);
    }

    /// Lists the namespaces again.
    pub(crate) fn list_namespaces_again(&mut self) {
        let (namespaces, stream) = start_namespaces(&self.client, &self.pulse());
        self.streams.push(stream);
        self.namespaces = namespaces;
    }

    /// Lists everything again.
    pub(crate) fn list_all_again(&mut self) {
        self.list_namespaces_again();
        for (place, running) in std::mem::take(&mut self.copies) {
            self.watch_copies(place, running.name.as_deref().unwrap_or_default());
        }
        for (place, running) in std::mem::take(&mut self.accounts) {
            self.watch_accounts(place, running.name.as_deref().unwrap_or_default());
        }
    }

    fn pulse(&self) -> WatchLiveness {
        WatchLiveness::start(&self.clock, &self.random)
    }

    /// What is told next; `None` when no watch is left, which never happens by itself.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        self.streams.next().await
    }

    /// How the watches are now.
    pub(crate) fn report(&self) -> Vec<WatchReport> {
        let named = self.copies.values().chain(self.accounts.values());
        iter::once(&self.namespaces).chain(named).map(Running::report).collect()
    }
}

impl Running {
    fn new(
        watch: Watch,
        name: Option<&str>,
        pulse: WatchLiveness,
        stream: impl Stream<Item = watcher::Result<Event>> + Send + 'static,
    ) -> (Self, Abortable<BoxStream<'static, Told>>) {
        let (stream, handle) = abortable(stream.map(move |told| (watch, told)).boxed());
        (Self { watch, name: name.map(str::to_owned), pulse, handle }, stream)
    }

    fn report(&self) -> WatchReport {
        WatchReport {
            resource: self.watch.as_str(),
            name: self.name.clone(),
            heard_at: self.pulse.heard_at(),
            silence: self.pulse.silence(),
            is_stuck: self.pulse.is_stuck(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

fn start_namespaces(
    client: &Client,
    pulse: &WatchLiveness,
) -> (Running, Abortable<BoxStream<'static, Told>>) {
    let stream = namespaces(client, pulse);
    Running::new(Watch::Namespaces, None, pulse.clone(), stream)
}

fn namespaces(
    client: &Client,
    pulse: &WatchLiveness,
) -> impl Stream<Item = watcher::Result<Event>> + use<> {
    let api = Api::<MetadataOnly<ApiNamespace>>::all;
    pulse
        .watch(client, api, watcher::Config::default())
        .map_ok(|event| Event::Namespace(watched(event, ResourceExt::name_any, Namespace::new)))
}

fn copies(
    client: &Client,
    pulse: &WatchLiveness,
    secret: usize,
    name: &str,
) -> impl Stream<Item = watcher::Result<Event>> + use<> {
    let api = Api::<MetadataOnly<Secret>>::all;
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    pulse.watch(client, api, config).map_ok(move |event| {
        let change = watched(
            event,
            |copy| copy.namespace().unwrap_or_default(),
            |copy| ObservedCopy::new(&copy.metadata),
        );
        Event::Copy { secret, change }
    })
}

/// Whole objects: what counts of a ServiceAccount is not in its metadata.
fn accounts(
    client: &Client,
    pulse: &WatchLiveness,
    account: usize,
    name: &str,
) -> impl Stream<Item = watcher::Result<Event>> + use<> {
    let api = Api::<ServiceAccount>::all;
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    pulse.watch(client, api, config).map_ok(move |event| {
        let change =
            watched(event, |account| account.namespace().unwrap_or_default(), ObservedAccount::new);
        Event::Account { account, change }
    })
}

/// An event of the client in our words.
fn watched<K: Resource, T>(
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
