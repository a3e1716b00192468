//! The token cache: a Secret in the home namespace that holds the last good tokens, so that a restart
//! asks nobody. Deleting it is the way to force a refresh.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use ecr_refresher_core::{Cache, Chain, Credentials, clock::Now, keeper::Update};
use ecr_refresher_sync::{MANAGED_BY, MANAGER, Pulse};
use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    core::PartialObjectMeta,
    runtime::watcher::{self, Event},
};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, info, warn};
use zeroize::Zeroizing;

use crate::{config::RegistrySettings, run::Home};

/// The key of the Secret's data.
const KEY: &str = "tokens.json";
/// Tokens that arrive within this time are one write.
const GATHER: Duration = Duration::from_millis(200);
/// How long to wait before the API server is asked again.
const RETRY: Duration = Duration::from_secs(5);
/// How long the API server may take to answer. The client itself would wait for ever.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The token cache of this daemon.
pub(crate) struct TokenCache {
    api: Api<Secret>,
    name: String,
    cache: Cache,
    /// The settings of the registries of the config, by their names.
    settings: BTreeMap<Arc<str>, String>,
    /// When to write what is not written yet.
    write_at: Option<Instant>,
    /// What the watch of the Secret tells.
    changes: BoxStream<'static, Change>,
    /// Whether the watch has shown the Secret.
    exists: bool,
}

/// What there is to do about the Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CacheEvent {
    /// It is to be written.
    Due,
    /// Somebody has deleted it, to have new tokens.
    Deleted,
}

type Change = watcher::Result<Event<PartialObjectMeta<Secret>>>;

impl TokenCache {
    /// Reads the cache. Waits for the API server if need be: asking AWS instead would be no help.
    pub(crate) async fn load(client: &Client, home: &Home, now: Now) -> Self {
        let namespace = &home.namespace;
        let name = home.token_cache();
        let watched = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let api = |client| Api::namespaced(client, namespace);
        let mut this = Self {
            api: Api::namespaced(client.clone(), namespace),
            changes: Pulse::start(now).watch(client, api, watched),
            name,
            cache: Cache::default(),
            settings: BTreeMap::new(),
            write_at: None,
            exists: false,
        };
        loop {
            match timeout(TIMEOUT, this.api.get_opt(&this.name)).await {
                Ok(Ok(secret)) => {
                    this.cache = secret.map(|secret| this.parse(&secret)).unwrap_or_default();
                    return this;
                }
                Ok(Err(kube::Error::Api(status))) if status.is_forbidden() => {
                    warn!(
                        secret = this.name,
                        "the token cache cannot be read, so a restart asks AWS: allow the \
                         ServiceAccount to get, list, watch, create and patch this Secret in \
                         {namespace}"
                    );
                    return this;
                }
                Ok(Err(error)) => {
                    let problem = Chain(&error);
                    warn!(secret = this.name, "the token cache cannot be read yet: {problem}");
                }
                Err(_) => warn!(secret = this.name, "the API server does not answer"),
            }
            sleep(RETRY).await;
        }
    }

    /// Follows the registries of the config.
    pub(crate) fn follow(&mut self, registries: &[RegistrySettings]) {
        self.settings = settings_of(registries);
        if self.cache.retain(|name| self.settings.contains_key(name)) {
            self.write_soon();
        }
    }

    /// What is known of a registry, if its settings are still those with which it was asked.
    pub(crate) fn credentials(
        &self,
        registry: &RegistrySettings,
        now: Now,
    ) -> Option<Arc<Credentials>> {
        self.cache.get(&registry.name, &registry.settings(), now())
    }

    /// Takes in what a keeper tells.
    pub(crate) fn take(&mut self, update: &Update) {
        let Ok(credentials) = &update.outcome else { return };
        let Some(settings) = self.settings.get(&update.registry).cloned() else { return };
        let registry = Arc::clone(&update.registry);
        if self.cache.insert(registry, settings, Arc::clone(credentials)) {
            self.write_soon();
        }
    }

    /// Waits until there is something to do about the Secret. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> CacheEvent {
        loop {
            let write_at = self.write_at.unwrap_or_else(|| Instant::now() + RETRY);
            tokio::select! {
                Some(change) = self.changes.next() => {
                    if vanished(&change, &mut self.exists) {
                        info!(secret = self.name, "the token cache was deleted: getting new tokens");
                        // What it held is worth keeping until there is better.
                        self.write_soon();
                        return CacheEvent::Deleted;
                    }
                }
                () = sleep_until(write_at), if self.write_at.is_some() => return CacheEvent::Due,
            }
        }
    }

    /// Writes what is not written yet.
    pub(crate) async fn finish(mut self) {
        if self.write_at.is_some() {
            self.write().await;
        }
    }

    fn parse(&self, secret: &Secret) -> Cache {
        let ours = secret.labels().get(MANAGED_BY).is_some_and(|value| value == MANAGER);
        let text = secret.data.as_ref().and_then(|data| data.get(KEY));
        match text.filter(|_| ours).map(|text| Cache::parse(&text.0)) {
            Some(Ok(cache)) => return cache,
            Some(Err(error)) => {
                warn!(secret = self.name, "the token cache is of no use and is replaced: {error}");
            }
            None => warn!(
                secret = self.name,
                "the Secret of the token cache is not ours, or is empty, and is replaced"
            ),
        }
        Cache::default()
    }

    fn write_soon(&mut self) {
        self.write_at.get_or_insert_with(|| Instant::now() + GATHER);
    }

    /// Has the Secret hold what is known; tries again later if that fails.
    pub(crate) async fn write(&mut self) {
        let text = Zeroizing::new(STANDARD.encode(self.cache.render().as_bytes()));
        let secret = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": self.name, "labels": { MANAGED_BY: MANAGER } },
            "type": "Opaque",
            "data": { KEY: &*text },
        });
        let apply = PatchParams::apply(MANAGER).force();
        // Metadata only: the client would log an answer that it cannot read.
        let patch = Patch::Apply(&secret);
        let problem =
            match timeout(TIMEOUT, self.api.patch_metadata(&self.name, &apply, &patch)).await {
                Ok(Ok(_)) => {
                    debug!(secret = self.name, "wrote the token cache");
                    self.write_at = None;
                    return;
                }
                Ok(Err(error)) => Chain(&error).to_string(),
                Err(_) => "the API server does not answer".to_owned(),
            };
        warn!(secret = self.name, "the token cache cannot be written: {problem}");
        self.write_at = Some(Instant::now() + RETRY);
    }
}

/// Whether the Secret was there before this change and is not any more.
fn vanished(change: &Change, exists: &mut bool) -> bool {
    match change {
        Ok(Event::Apply(_) | Event::InitApply(_)) => {
            *exists = true;
            false
        }
        Ok(Event::Delete(_)) => std::mem::replace(exists, false),
        Ok(Event::Init | Event::InitDone) => false,
        Err(error) => {
            warn!("the watch of the token cache failed and is taken up again: {}", Chain(error));
            false
        }
    }
}

fn settings_of(registries: &[RegistrySettings]) -> BTreeMap<Arc<str>, String> {
    registries.iter().map(|registry| (Arc::clone(&registry.name), registry.settings())).collect()
}
