//! AWS: the HTTP stack and the identities that all calls share.

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
    time::{Duration, SystemTime},
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ecr::config::IdentityCache;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

pub use self::identity::Caller;
use self::identity::{Base, Origin};
pub use self::settings::{
    IdentitySettings, RoleArn, RoleSettings, is_external_id, is_session_name,
};
pub(crate) use self::{failure::Asked, identity::Identity};
use crate::{
    FetchError, Files,
    clock::Clock,
    ecr, file,
    tokens::{AwsSource, Token, TokenSource},
};

/// The AWS of this process. Clones share everything.
#[derive(Debug, Clone)]
pub struct Aws(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The settings that all clients share, without credentials.
    sdk: SdkConfig,
    /// The AWS SDK's chain of credentials.
    chain: Option<SharedCredentialsProvider>,
    clock: Clock,
    files: Files,
    /// The base credentials in use, each of them once.
    bases: InUse<Option<PathBuf>, Base>,
    /// The identities of the config, with their sessions.
    identities: Mutex<HashMap<IdentityKey, Arc<Identity>>>,
}

/// Which AWS identity calls a region.
type IdentityKey = (IdentitySettings, Option<String>);

impl Aws {
    /// Loads the AWS SDK's chain of credentials and regions: environment, profile, web identity,
    /// container, instance. It asks for no credentials yet.
    pub async fn load(clock: Clock, files: Files) -> Self {
        let sdk = loader(&clock, http::client()).load().await;
        Self::new(sdk, clock, files)
    }

    /// An AWS that is reached by an HTTP client, with the region and the credentials of `sdk`.
    #[must_use]
    pub fn with_client(
        client: SharedHttpClient,
        region: &'static str,
        credentials: SharedCredentialsProvider,
        clock: Clock,
        files: Files,
    ) -> Self {
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(client)
            .region(Region::from_static(region))
            .credentials_provider(credentials)
            .identity_cache(IdentityCache::no_cache())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts())
            .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(
                aws_smithy_async::rt::sleep::TokioSleep::new(),
            ))
            .time_source(SdkTime(clock.clone()))
            .build();
        Self::new(sdk, clock, files)
    }

    fn new(sdk: SdkConfig, clock: Clock, files: Files) -> Self {
        let chain = sdk.credentials_provider();
        let (bases, identities) = (InUse::default(), Mutex::default());
        Self(Arc::new(Shared { sdk, chain, clock, files, bases, identities }))
    }

    /// The region of the environment or the profile.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.0.sdk.region().map(Region::as_ref)
    }

    /// Gets a new token, or reads the file.
    ///
    /// # Errors
    /// When the source cannot be reached, refuses, or returns something unusable.
    pub async fn fetch(&self, source: &TokenSource) -> Result<Token, FetchError> {
        match source {
            TokenSource::File(path) => file::read(path, &self.0.files),
            TokenSource::Aws(source) => {
                let identity = self.identity(source);
                ecr::fetch(source, &identity, &self.0.clock).await
            }
        }
    }

    /// Logs the identity of the calls of a source as AWS knows it, once.
    pub async fn introduce(&self, source: &TokenSource) {
        if let TokenSource::Aws(source) = source {
            self.identity(source).introduce().await;
        }
    }

    /// The identity by which AWS knows the calls of a source; `None` for a file.
    ///
    /// # Errors
    /// The inner one, when AWS cannot be reached, or refuses.
    pub async fn caller(&self, source: &TokenSource) -> Option<Result<Caller, FetchError>> {
        match source {
            TokenSource::Aws(source) => Some(self.identity(source).caller().await.cloned()),
            TokenSource::File(_) => None,
        }
    }

    /// Forgets the sessions of the identities that no source uses any more.
    pub fn retain<'a>(&self, sources: impl Iterator<Item = &'a TokenSource>) {
        let keys: Vec<_> = sources
            .filter_map(|source| match source {
                TokenSource::Aws(source) => Some(identity_key(source)),
                TokenSource::File(_) => None,
            })
            .collect();
        let mut identities = self.0.identities.lock().unwrap_or_else(PoisonError::into_inner);
        identities.retain(|key, _| keys.contains(key));
    }

    fn identity(&self, source: &AwsSource) -> Arc<Identity> {
        let shared = &self.0;
        let mut identities = shared.identities.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let directory = &source.identity.credentials_directory;
            let base = shared.bases.get_or(directory.clone(), || {
                let origin = match directory {
                    Some(directory) => Origin::Directory(directory.clone()),
                    None => Origin::Chain(shared.chain.clone()),
                };
                Base::new(origin, shared.clock.clone())
            });
            let region = source.region.clone().map(Region::new);
            let region = region.or_else(|| shared.sdk.region().cloned());
            let role = source.identity.assume_role.clone();
            Arc::new(Identity::new(&shared.sdk, region, base, role, shared.clock.clone()))
        };
        Arc::clone(identities.entry(identity_key(source)).or_insert_with(make))
    }
}

fn identity_key(source: &AwsSource) -> IdentityKey {
    (source.identity.clone(), source.region.clone())
}

/// The SDK's own retries are off: it does not know `ThrottleException` or a 429 for throttling, and
/// shares its budget of retries between accounts. The token store retries instead, and counts every
/// failure.
fn loader(clock: &Clock, client: SharedHttpClient) -> aws_config::ConfigLoader {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(client)
        .identity_cache(IdentityCache::no_cache())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts())
        .time_source(SdkTime(clock.clone()))
}

/// The clock of the process, for the SDK: it signs requests with the date.
#[derive(Debug)]
struct SdkTime(Clock);

impl TimeSource for SdkTime {
    fn now(&self) -> SystemTime {
        self.0.wall().into()
    }
}

/// Values that their users share, and that are dropped with the last user.
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

/// The timeouts of the AWS SDK, which has none by default for reading a response.
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
    fn a_value_is_shared_and_dropped_with_its_last_user() {
        let in_use = InUse::default();
        let one = in_use.get_or("key", || 1);
        assert!(Arc::ptr_eq(&one, &in_use.get_or("key", || 2)));
        assert_eq!(*in_use.get_or("other", || 3), 3);
        drop(one);
        assert_eq!(*in_use.get_or("key", || 4), 4);
    }
}
