//! The watches: of the namespaces, and of the Secrets with the name of a pull Secret, both of which ask
//! for metadata only; and of ServiceAccounts, if the config names any.

use std::collections::HashMap;

use futures::{
    StreamExt,
    stream::{AbortHandle, Abortable, BoxStream, SelectAll, abortable},
};
use k8s_openapi::api::core::v1::{Namespace as ApiNamespace, Secret, ServiceAccount};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt,
        watcher::{self, watcher},
    },
};

use crate::{Event, Namespace, Observed, ObservedAccount, Watched};

/// A resource that is watched: the `resource` label of the watch metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Watch {
    /// All namespaces.
    Namespaces,
    /// The Secrets with the name of a pull Secret.
    Secrets,
    /// The ServiceAccounts with a name that the config holds.
    ServiceAccounts,
}

impl Watch {
    pub(crate) const ALL: [Self; 3] = [Self::Namespaces, Self::Secrets, Self::ServiceAccounts];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Secrets => "secrets",
            Self::ServiceAccounts => "serviceaccounts",
        }
    }
}

/// What a watch tells. One that fails is taken up again by itself, with backoff.
type Told = (Watch, watcher::Result<Event>);

/// All watches. The RBAC rules allow to watch Secrets by the names of the pull Secrets alone, so
/// each of these has a watch of its own.
pub(crate) struct Watches {
    client: Client,
    streams: SelectAll<Abortable<BoxStream<'static, Told>>>,
    namespaces: AbortHandle,
    copies: HashMap<usize, AbortHandle>,
    accounts: HashMap<usize, AbortHandle>,
}

impl Watches {
    /// Starts to watch the namespaces.
    pub(crate) fn start(client: Client) -> Self {
        let (stream, namespaces) = abortable(namespaces(client.clone()));
        let streams = SelectAll::from_iter([stream]);
        Self { client, streams, namespaces, copies: HashMap::new(), accounts: HashMap::new() }
    }

    /// Starts to watch the copies of a pull Secret, which has this place in the index.
    pub(crate) fn watch_copies(&mut self, place: usize, name: &str) {
        let (stream, handle) = abortable(copies(self.client.clone(), place, name));
        self.streams.push(stream);
        if let Some(before) = self.copies.insert(place, handle) {
            before.abort();
        }
    }

    /// Stops to watch the copies of a pull Secret.
    pub(crate) fn forget_copies(&mut self, place: usize) {
        if let Some(handle) = self.copies.remove(&place) {
            handle.abort();
        }
    }

    /// Starts to watch the ServiceAccounts of a name, which has this place in the index.
    pub(crate) fn watch_accounts(&mut self, place: usize, name: &str) {
        let (stream, handle) = abortable(accounts(self.client.clone(), place, name));
        self.streams.push(stream);
        if let Some(before) = self.accounts.insert(place, handle) {
            before.abort();
        }
    }

    /// Stops to watch the ServiceAccounts of a name.
    pub(crate) fn forget_accounts(&mut self, place: usize) {
        if let Some(handle) = self.accounts.remove(&place) {
            handle.abort();
        }
    }

    /// Lists the namespaces again.
    pub(crate) fn list_namespaces_again(&mut self) {
        let (stream, handle) = abortable(namespaces(self.client.clone()));
        self.streams.push(stream);
        std::mem::replace(&mut self.namespaces, handle).abort();
    }

    /// What is told next; `None` when no watch is left, which never happens by itself.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        self.streams.next().await
    }
}

fn namespaces(client: Client) -> BoxStream<'static, Told> {
    let api = Api::<PartialObjectMeta<ApiNamespace>>::all(client);
    watcher(api, watcher::Config::default())
        .default_backoff()
        .map(|event| {
            let event = event
                .map(|event| Event::Namespace(watched(event, ResourceExt::name_any, namespace)));
            (Watch::Namespaces, event)
        })
        .boxed()
}

fn copies(client: Client, secret: usize, name: &str) -> BoxStream<'static, Told> {
    let api = Api::<PartialObjectMeta<Secret>>::all(client);
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    watcher(api, config)
        .default_backoff()
        .map(move |event| {
            let event = event.map(|event| Event::Copy {
                secret,
                change: watched(
                    event,
                    |copy| copy.namespace().unwrap_or_default(),
                    |copy| Observed::new(&copy.metadata),
                ),
            });
            (Watch::Secrets, event)
        })
        .boxed()
}

/// Whole objects: what counts of a ServiceAccount is not in its metadata.
fn accounts(client: Client, account: usize, name: &str) -> BoxStream<'static, Told> {
    let api = Api::<ServiceAccount>::all(client);
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    watcher(api, config)
        .default_backoff()
        .map(move |event| {
            let event = event.map(|event| Event::Account {
                account,
                change: watched(
                    event,
                    |account| account.namespace().unwrap_or_default(),
                    ObservedAccount::new,
                ),
            });
            (Watch::ServiceAccounts, event)
        })
        .boxed()
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

/// A metadata watch shows no status: a namespace that is being deleted has a deletion time.
fn namespace(object: &PartialObjectMeta<ApiNamespace>) -> Namespace {
    Namespace {
        terminating: object.metadata.deletion_timestamp.is_some(),
        labels: object.labels().clone(),
    }
}
