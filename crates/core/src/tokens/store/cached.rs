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

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use std::time::Duration;

    use super::*;
    use crate::{
        Auth, Host, Lifetime, Random,
        aws::{IdentitySettings, RoleArn, RoleSettings},
        clock::Now,
        ecr::{EcrDefaults, EcrSettings},
        tokens::{Registry, Token},
    };

    /// The API server's limit of a Secret, in bytes (k8s.io/api, `MaxSecretSize`).
    const LIMIT: usize = 1 << 20;
    /// The length of a token of ECR, in bytes: at the upper end of those that were measured.
    const TOKEN: usize = 2_700;

    /// The size of the token cache when each source of these registries has a token.
    fn size(registries: Vec<Registry>) -> (usize, usize) {
        let now = Now { wall: Timestamp::UNIX_EPOCH, uptime: Duration::ZERO };
        let mut store = TokenStore::new(Random::from_seed(1));
        store.want(registries, 0.5, now);
        store.begin_term(1, &CacheDocument::default(), now);
        let asks = store.due(now);
        let sources = asks.len();
        for ask in asks {
            let token = Token::Ecr {
                auth: Auth::from_user_and_password("AWS", &"x".repeat(TOKEN)).unwrap(),
                lifetime: Lifetime::starting(now.wall, now.wall + SignedDuration::from_hours(12))
                    .unwrap(),
                host: Host::from_endpoint("123456789012.dkr.ecr.eu-west-1.amazonaws.com").ok(),
            };
            store.answered(ask.id, Ok(token), now);
        }
        (sources, store.cache_document().0.render().len())
    }

    fn registry(name: &str, identity: IdentitySettings, accounts: Vec<String>) -> Registry {
        let region = Some("eu-west-1".to_owned());
        let settings = EcrSettings { region, accounts, identity, ..EcrSettings::default() };
        Registry::ecr(name.into(), settings, &EcrDefaults::default())
    }

    #[test]
    fn the_hosts_of_one_source_share_one_token_in_the_cache() {
        let accounts = (0..400).map(|account| format!("{account:012}")).collect();
        let (sources, size) = size(vec![registry("main", IdentitySettings::default(), accounts)]);
        assert_eq!(sources, 1);
        assert!(size < LIMIT / 50, "{size} bytes");
    }

    #[test]
    fn the_tokens_of_a_hundred_sources_fit_into_one_secret() {
        let role = |account: u32| {
            let arn = RoleArn::parse(&format!("arn:aws:iam::{account:012}:role/puller")).unwrap();
            let session_name = "ecr-refresher".to_owned();
            let role = RoleSettings { arn, external_id: None, session_name, region: None };
            IdentitySettings { roles: vec![role], credentials_directory: None }
        };
        let one = |number| registry(&format!("registry-{number}"), role(number), Vec::new());
        let (sources, size) = size((0..100).map(one).collect());
        assert_eq!(sources, 100);
        assert!(size < LIMIT / 2, "{size} bytes");
    }
}
