//! The controllers of namespaces: default ServiceAccounts, and deletion in two steps.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    kind::{Key, Kind},
    managed::Managed,
    store::{Author, Server},
};

/// The manager of what controllers write.
const CONTROLLER: &str = "kube-controller-manager";

impl Server {
    /// Marks an object as being deleted, and has a namespace removed after a while. Returns it.
    pub(super) fn terminate(&mut self, key: &Key, author: Author<'_>) -> Option<Arc<Value>> {
        let stored = self.objects.get(key)?;
        let mut next = stored.managed.clone();
        if next.json["metadata"].get("deletionTimestamp").is_none() {
            next.json["metadata"]["deletionTimestamp"] = json!(self.timestamp());
            next.json["metadata"]["deletionGracePeriodSeconds"] = json!(0);
            if key.kind == Kind::Namespace {
                next.json["metadata"]
                    .as_object_mut()
                    .and_then(|metadata| metadata.remove("deletionGracePeriodSeconds"));
                next.json["status"] = json!({ "phase": "Terminating" });
            }
        }
        let shown = self.store(key, next, author);
        if key.kind == Kind::Namespace {
            self.remove_later(&key.name);
        }
        Some(shown)
    }

    /// Begins to delete a namespace, as `kubectl delete` does: it is terminating for a while. Needs a
    /// tokio runtime.
    pub fn terminate_namespace(&mut self, name: &str) {
        self.terminate(&Key::new(Kind::Namespace, "", name), Author::other("kubectl-delete"));
    }

    /// After etcd was restored: goes on with the deletions that had begun.
    pub(super) fn resume_terminations(&mut self) {
        let names: Vec<_> = self
            .all(Kind::Namespace)
            .filter(|(_, namespace)| is_terminating(namespace))
            .map(|(key, _)| key.name.clone())
            .collect();
        for name in names {
            self.remove_later(&name);
        }
    }

    fn remove_later(&mut self, name: &str) {
        let (least, most) = self.options.namespace_removal;
        let delay = Duration::from_millis(self.rng.u64(least..=most));
        let (this, name) = (self.this.clone(), name.to_owned());
        tokio::spawn(async move {
            loop {
                sleep(delay / 2).await;
                if with(&this, |server| server.remove_contents(&name)).is_none() {
                    return;
                }
                sleep(delay / 2).await;
                match with(&this, |server| server.remove_if_empty(&name)) {
                    Some(false) => {}
                    Some(true) | None => return,
                }
            }
        });
    }

    fn remove_contents(&mut self, namespace: &str) {
        if !self.namespace_terminates(namespace) {
            return;
        }
        let author = Author::other(CONTROLLER);
        for key in self.contents(namespace) {
            let held = self
                .objects
                .get(&key)
                .is_some_and(|stored| stored.shown["metadata"].get("finalizers").is_some());
            if held {
                self.terminate(&key, author);
            } else {
                self.delete(&key, author);
            }
        }
    }

    /// Whether there is nothing left to do.
    fn remove_if_empty(&mut self, namespace: &str) -> bool {
        if !self.namespace_terminates(namespace) {
            return true;
        }
        if !self.contents(namespace).is_empty() {
            return false;
        }
        self.delete(&Key::new(Kind::Namespace, "", namespace), Author::other(CONTROLLER));
        true
    }

    pub(super) fn contents(&self, namespace: &str) -> Vec<Key> {
        self.objects.keys().filter(|key| key.namespace == namespace).cloned().collect()
    }

    fn namespace_terminates(&self, name: &str) -> bool {
        let namespace = self.objects.get(&Key::new(Kind::Namespace, "", name));
        namespace.is_some_and(|stored| is_terminating(&stored.shown))
    }

    /// Does what follows from a new namespace.
    pub(super) fn on_new_namespace(&mut self, name: &str) {
        let key = Key::new(Kind::ServiceAccount, name, "default");
        if !self.options.default_accounts || self.objects.contains_key(&key) {
            return;
        }
        let json = self.fresh(&key);
        self.store(&key, Managed::absent(json), Author::other(CONTROLLER));
    }
}

/// Whether an object is being deleted.
pub(super) fn is_terminating(object: &Value) -> bool {
    object["metadata"].get("deletionTimestamp").is_some()
}

fn with<T>(server: &Weak<Mutex<Server>>, act: impl FnOnce(&mut Server) -> T) -> Option<T> {
    let server = server.upgrade()?;
    let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
    Some(act(&mut server))
}
