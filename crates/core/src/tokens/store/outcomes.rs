//! The outcome of an answer for each registry of its source.

use std::{sync::Arc, time::Duration};

use super::{RegistryState, TokenStore};
use crate::tokens::{
    answer::{Failed, Fetched, LastToken, Outcome},
    registry::{Derived, Registry},
    source::{SourceKey, TokenSource},
};

impl TokenStore {
    /// The same result for each registry of a source. Registries that cannot use the token have an error.
    pub(super) fn outcomes(
        &mut self,
        key: &SourceKey,
        result: &Result<Fetched, Failed>,
    ) -> Vec<Outcome> {
        let ecr_hosts = self.ecr_hosts();
        let state = &self.sources[key];
        let outcome = |registry: &Registry| {
            let token = state.newest().filter(|_| result.is_ok()).map(|newest| &newest.token);
            let derived = token.map(|token| registry.derive(token, &ecr_hosts));
            let Derived { problem, warning, .. } = derived.unwrap_or_default();
            let result = match (result.clone(), problem) {
                (Ok(fetched), Some(error)) => {
                    let wait =
                        fetched.next.duration_since(state.fetched_at.unwrap_or(fetched.next));
                    let delay = Duration::try_from(wait).unwrap_or_default();
                    let last_token = LastToken::None;
                    Err(Failed {
                        error,
                        failures: 1,
                        delay,
                        is_repeated: false,
                        is_new: false,
                        last_token,
                    })
                }
                (result, _) => result.map(|fetched| Fetched { warning, ..fetched }),
            };
            Outcome { registry: Arc::clone(&registry.name), result }
        };
        let mut outcomes: Vec<_> = self.users(key).map(outcome).collect();
        for Outcome { registry, result } in &mut outcomes {
            if let Some(state) = self.registries.get_mut(registry) {
                state.remember(result);
            }
        }
        outcomes
    }
}

impl RegistryState {
    /// Completes a result with what the last one was: the failure of a file is repeated if it is the same.
    fn remember(&mut self, result: &mut Result<Fetched, Failed>) {
        let last = self.failed.take();
        match result {
            Ok(fetched) => fetched.ended = last,
            Err(failed) => {
                let is_file = matches!(self.registry.source, TokenSource::File(_));
                let is_same = |last: &Failed| {
                    let is_expired = |it: &Failed| matches!(it.last_token, LastToken::Expired(_));
                    last.error.reason == failed.error.reason
                        && is_expired(last) == is_expired(failed)
                };
                failed.is_new = !last.as_ref().is_some_and(is_same);
                failed.is_repeated = is_file && last.is_some_and(|it| it.error == failed.error);
                self.failed = Some(failed.clone());
            }
        }
    }
}
