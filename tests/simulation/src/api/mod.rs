//! A Kubernetes API server in memory, behind the service of a kube client.
//!
//! It has Namespaces, Secrets, ServiceAccounts, Leases and Events, and does with them what
//! kube-apiserver does, field managers and watches included: `tests/differential.rs` compares the two.
//! [`Faults`] decide what goes wrong, and an [`Observer`] is called for every request and
//! every write.

mod admission;
mod answer;
mod faults;
mod fields;
mod kind;
mod list;
mod managed;
mod namespaces;
mod patch;
mod request;
mod selector;
mod serve;
mod status;
mod store;
mod validate;
mod watch;
mod world;
mod write;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::{Client, client::Body};
use serde_json::Value;
use tower::service_fn;

pub use self::{
    faults::{Faults, Partition, Quota, Rates, Silence, WatchFaults, Webhook},
    kind::{Key, Kind},
    request::{RequestInfo, Verb},
    status::Status,
    store::{Server, Snapshot},
};
use crate::time::TrueTime;

/// A handle of the API server. Clones are of the same server.
#[derive(Clone)]
pub struct ApiServer(Arc<Mutex<Server>>);

/// The work of controllers that the server does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether each new namespace gets a ServiceAccount `default`.
    pub default_accounts: bool,
    /// How many milliseconds a namespace is terminating, at least and at most.
    pub namespace_removal: (u64, u64),
}

/// A change of an object, as an [`Observer`] sees it.
#[derive(Debug, Clone, Copy)]
pub struct Write<'a> {
    /// The request that makes it; `None` for a change by another client of the cluster.
    pub request: Option<u64>,
    /// The caller of the request.
    pub caller: Option<&'a str>,
    /// The verb of the request.
    pub verb: Option<Verb>,
    /// The field manager.
    pub manager: &'a str,
    /// Whether it is a forced apply.
    pub force: bool,
    /// The object.
    pub key: &'a Key,
    /// The object before; `None` for a creation.
    pub before: Option<&'a Value>,
    /// The object after; `None` for a deletion.
    pub after: Option<&'a Value>,
    /// The resourceVersion of the change.
    pub version: u64,
    /// When it happens, in virtual time from the start of the run.
    pub at: Duration,
}

/// Called for every request and every write, at once and while the server is locked: an observer must
/// not lock the server.
#[expect(unused_variables, reason = "the names are for implementations")]
pub trait Observer {
    /// A request was sent.
    fn request_started(&mut self, request: &RequestInfo) {}

    /// An object was created, changed or deleted.
    fn stored(&mut self, write: &Write<'_>) {}

    /// A request was answered with `status`; or, without one, was refused, lost its answer or was
    /// given up by the caller. Its effect may come later in the last case.
    fn request_ended(&mut self, request: &RequestInfo, status: Option<u16>) {}
}

impl Default for Options {
    fn default() -> Self {
        Self { default_accounts: false, namespace_removal: (1_000, 10_000) }
    }
}

impl ApiServer {
    /// A server without objects. `seed` decides latencies and faults.
    #[must_use]
    pub fn new(seed: u64, time: TrueTime) -> Self {
        Self(Arc::new_cyclic(|this| Mutex::new(Server::new(seed, time, this.clone()))))
    }

    /// A client for the requests of `caller`.
    #[must_use]
    pub fn client(&self, caller: &str, default_namespace: &str) -> Client {
        let (api, caller) = (self.clone(), Arc::<str>::from(caller));
        let service = service_fn(move |request: http::Request<Body>| {
            serve::serve(api.clone(), Arc::clone(&caller), request)
        });
        Client::new(service, default_namespace)
    }

    /// The state of the server. Nothing else happens while it is locked.
    pub fn lock(&self) -> MutexGuard<'_, Server> {
        // A check that failed under the lock must not hide behind another failure.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
