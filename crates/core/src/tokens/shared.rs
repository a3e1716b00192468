//! The token store as its tasks share it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::store::TokenStore;

/// A [`TokenStore`] that wakes its readers when it changes. Clones share it.
#[derive(Debug, Clone)]
pub struct SharedTokenStore {
    store: Arc<Mutex<TokenStore>>,
    version: watch::Sender<u64>,
}

impl SharedTokenStore {
    /// Shares a store.
    #[must_use]
    pub fn new(store: TokenStore) -> Self {
        let version = watch::Sender::new(store.version());
        Self { store: Arc::new(Mutex::new(store)), version }
    }

    /// Reads from the store.
    pub fn read<T>(&self, read: impl FnOnce(&TokenStore) -> T) -> T {
        read(&self.store.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the store, and wakes its readers if what they read may differ.
    pub fn update<T>(&self, update: impl FnOnce(&mut TokenStore) -> T) -> T {
        let (updated, version) = {
            let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
            (update(&mut store), store.version())
        };
        self.version.send_if_modified(|known| std::mem::replace(known, version) != version);
        updated
    }

    /// Wakes readers when there is something new to read. It carries no other fact.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}
