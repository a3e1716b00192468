//! The content of the token cache.

use std::sync::Arc;

use super::{super::cache::CacheDocument, TokenStore};
use crate::planted::{Bug, is_planted};

impl TokenStore {
    /// The desired content of the token cache, and the generation of its newest token.
    #[must_use]
    pub fn cache_document(&self) -> (CacheDocument, u64) {
        let previous = self.previous_sources();
        let tokens = self.sources.iter().filter_map(|(key, state)| {
            let is_used = state.is_wanted() || previous.contains(key);
            let newest = match &state.held {
                Some(first) if is_planted(Bug::CacheKeepsFirstToken) => first,
                _ => state.newest()?,
            };
            let newest = Some(newest).filter(|_| is_used)?;
            Some((key.clone(), (state.source.clone(), newest.clone())))
        });
        let registries = self.registries.iter().map(|(name, state)| {
            // The settings by which it has entries: after a restart these are its previous ones.
            let has_token = self.sources[&state.key].newest().is_some();
            let used = state.previous.as_ref().filter(|_| !has_token).unwrap_or(&state.registry);
            (Arc::clone(name), used.clone())
        });
        let document = CacheDocument { tokens: tokens.collect(), registries: registries.collect() };
        (document, self.last_generation)
    }

    /// The number of the state of [`TokenStore::cache_document`], which changes with it.
    #[must_use]
    pub fn cache_version(&self) -> u64 {
        self.cache_version
    }

    /// The token cache has all tokens up to a generation, or cannot be written: they are used from now
    /// on.
    pub fn cached(&mut self, generation: u64) {
        for state in self.sources.values_mut() {
            if let Some(arrived) = state.arrived.take_if(|it| it.generation <= generation) {
                state.held = Some(arrived);
                self.version += 1;
            }
        }
    }
}
