//! What all calls to AWS share: the HTTP stack, the identities, and the tokens that they get.

mod denial;
mod directory;
mod failure;
mod held;
mod http;
mod identity;
mod role;
mod sdk_chain;
mod settings;

use std::{
    collections::HashMap,
    hash::Hash,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ecr::config::IdentityCache;

pub use self::identity::Caller;
use self::identity::{Base, Origin};
pub use self::settings::{
    IdentitySettings, RoleArn, RoleSettings, is_external_id, is_session_name,
};
pub(crate) use self::{failure::Asked, identity::Identity};
use crate::ecr::{Api, Served, SharedTokens};

/// The AWS of this process. Clones share everything.
#[derive(Debug, Clone)]
pub struct Aws(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// What all clients share, without credentials.
    sdk: SdkConfig,
    /// The AWS SDK's chain of credentials.
    chain: Option<SharedCredentialsProvider>,
    /// What is in use, each of it once.
    bases: InUse<Option<PathBuf>, Base>,
    identities: InUse<(IdentitySettings, Option<String>), Identity>,
    tokens: InUse<TokenKey, SharedTokens>,
    served: Served,
}

/// Whose tokens are the same: those of one identity, of one region of one API.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct TokenKey {
    api: Api,
    identity: IdentitySettings,
    region: Option<String>,
    endpoint_url: Option<String>,
}

impl Aws {
    /// Loads the AWS SDK's chain of credentials and regions: environment, profile, web identity,
    /// container, instance. It asks for no credentials yet.
    ///
    /// The SDK's own retries are off: it does not know `ThrottleException` or a 429 for throttling,
    /// and shares its budget of retries between accounts. The [`Schedule`](crate::Schedule) of each
    /// registry retries instead, and every failure is counted.
    pub async fn load() -> Self {
        let sdk = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http::client())
            .identity_cache(IdentityCache::no_cache())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts())
            .load()
            .await;
        let chain = sdk.credentials_provider();
        Self(Arc::new(Shared {
            sdk,
            chain,
            bases: InUse::default(),
            identities: InUse::default(),
            tokens: InUse::default(),
            served: Served::default(),
        }))
    }

    /// The hosts that the ECR registries of this process serve.
    #[must_use]
    pub fn served(&self) -> &Served {
        &self.0.served
    }

    /// The tokens of an identity in a region: the same for all who ask for the same.
    pub(crate) fn tokens(
        &self,
        api: Api,
        settings: &IdentitySettings,
        region: Option<&str>,
        endpoint_url: Option<&str>,
    ) -> Arc<SharedTokens> {
        let region = region.map(str::to_owned);
        let key = TokenKey {
            api,
            identity: settings.clone(),
            region: region.clone(),
            endpoint_url: endpoint_url.map(str::to_owned),
        };
        self.0.tokens.get_or(key, || {
            let identity = self.identity(settings, region);
            SharedTokens::new(api, identity, endpoint_url.map(str::to_owned))
        })
    }

    fn identity(&self, settings: &IdentitySettings, region: Option<String>) -> Arc<Identity> {
        let shared = &self.0;
        shared.identities.get_or((settings.clone(), region.clone()), || {
            let directory = &settings.credentials_directory;
            let base = shared.bases.get_or(directory.clone(), || {
                Base::new(match directory {
                    Some(directory) => Origin::Directory(directory.clone()),
                    None => Origin::Chain(shared.chain.clone()),
                })
            });
            let region = region.map(Region::new).or_else(|| shared.sdk.region().cloned());
            Identity::new(&shared.sdk, region, base, settings.assume_role.clone())
        })
    }
}

/// Values that are shared by all who use them at a time, and gone with the last of them.
#[derive(Debug)]
struct InUse<K, V>(Mutex<HashMap<K, Weak<V>>>);

impl<K, V> Default for InUse<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V> InUse<K, V> {
    fn get_or(&self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = values.get(&key).and_then(Weak::upgrade) {
            return value;
        }
        values.retain(|_, value| value.strong_count() > 0);
        let value = Arc::new(make());
        values.insert(key, Arc::downgrade(&value));
        value
    }
}

/// The AWS SDK's limits. It has none of its own on reading a reply, and would wait for ever.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .read_timeout(Duration::from_secs(10))
        .operation_attempt_timeout(Duration::from_secs(15))
        .operation_timeout(Duration::from_secs(20))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_is_there_once_and_goes_with_its_last_user() {
        let in_use = InUse::default();
        let one = in_use.get_or("key", || 1);
        assert!(Arc::ptr_eq(&one, &in_use.get_or("key", || 2)));
        assert_eq!(*in_use.get_or("other", || 3), 3);
        drop(one);
        assert_eq!(*in_use.get_or("key", || 4), 4);
    }
}
