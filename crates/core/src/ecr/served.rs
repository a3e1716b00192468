//! Which registry serves which host, so that two do not serve the same.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use crate::Host;

/// The hosts of all ECR registries of the process. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct Served(Arc<Mutex<Vec<Weak<ServedBy>>>>);

/// The hosts that one registry serves. They are served until this is dropped.
#[derive(Debug)]
pub(crate) struct ServedBy {
    registry: Arc<str>,
    hosts: Mutex<BTreeSet<Host>>,
}

impl Served {
    /// Notes a registry, which serves these hosts as far as is known.
    pub(crate) fn enter(&self, registry: Arc<str>, hosts: Vec<Host>) -> Arc<ServedBy> {
        let entry = ServedBy { registry, hosts: Mutex::new(hosts.into_iter().collect()) };
        let entry = Arc::new(entry);
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry.strong_count() > 0);
        entries.push(Arc::downgrade(&entry));
        entry
    }

    /// The registry that serves a host.
    pub(crate) fn by(&self, host: &Host) -> Option<Arc<str>> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = entries.iter().filter_map(Weak::upgrade);
        entries.find(|entry| entry.lock().contains(host)).map(|entry| Arc::clone(&entry.registry))
    }
}

impl ServedBy {
    /// Notes what the registry serves by now.
    pub(super) fn set<'a>(&self, hosts: impl IntoIterator<Item = &'a Host>) {
        *self.lock() = hosts.into_iter().cloned().collect();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_served_as_long_as_its_registry_is_there() {
        let host = |text: &str| Host::from_endpoint(text).unwrap();
        let (one, other) = (host("one.example.com"), host("other.example.com"));
        let served = Served::default();
        let main = served.enter("main".into(), vec![one.clone()]);
        assert_eq!(served.by(&one).as_deref(), Some("main"));
        assert_eq!(served.by(&other), None);
        main.set([&other]);
        assert_eq!(served.by(&other).as_deref(), Some("main"));
        assert_eq!(served.by(&one), None);
        drop(main);
        assert_eq!(served.by(&other), None);
    }
}
