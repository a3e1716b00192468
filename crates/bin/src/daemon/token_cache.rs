//! The token cache: a Secret in the home namespace that holds the last good tokens, so that a restart
//! makes no AWS call. Deleting it is the way to force a refresh.

use std::time::Duration;

use crate::home::Home;
use base64::{Engine, engine::general_purpose::STANDARD};
use ecr_refresher_core::{
    ErrorChain, Random, TokenMetrics,
    clock::Clock,
    planted::{Bug, is_planted},
    tokens::{CacheDocument, SharedTokenStore, TokenStore},
};
use ecr_refresher_sync::{
    MANAGED_BY, MANAGER,
    desired::size::{DATA_LIMIT, Size},
    job::failure::{WriteReason, is_too_large},
    observed::copy::resource_version,
    watch::liveness::WatchLiveness,
};
use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    core::PartialObjectMeta,
    runtime::watcher::{self, Event},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::{debug, info, warn};
use zeroize::Zeroizing;

/// The key of the Secret's data.
const KEY: &str = "tokens.json";
/// While tokens are awaited, those that arrive within this time are one write.
const GATHER: Duration = Duration::from_millis(200);
/// The first wait after a failure, and before another client's change is repaired again.
const RETRY: Duration = Duration::from_secs(5);
/// The longest such wait.
const LONGEST_RETRY: Duration = Duration::from_mins(5);
/// After so long without a failure or a repair, the next one is the first again.
const FORGETS_AFTER: Duration = Duration::from_mins(10);
/// How long the API server may take to answer. The client itself would wait for ever.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long tokens wait for the cache before they are used without it.
const PATIENCE: Duration = Duration::from_mins(1);

/// The token cache of this daemon.
pub(crate) struct TokenCache {
    client: Client,
    api: Api<Secret>,
    namespace: String,
    name: String,
    store: SharedTokenStore,
    restores: watch::Receiver<u64>,
    clock: Clock,
    random: Random,
    metrics: TokenMetrics,
    /// The watch of the Secret.
    changes: BoxStream<'static, Change>,
    /// The Secret, as it was observed.
    there: There,
    /// Whether the current list has shown it.
    is_listed: bool,
    /// Whether it was written since that list began, which may show what was there before.
    is_list_outdated: bool,
    /// The version of the store's document that it holds.
    written: Option<u64>,
    /// The document that it holds; `None` when that is not known, or is unusable.
    content: Option<CacheDocument>,
    /// Since when there is something to write.
    dirty_since: Option<Instant>,
    /// Not to be written before.
    not_before: Instant,
    /// How often in a row it had to wait, and its watch has failed.
    waits: u32,
    watch_failures: u32,
}

/// The Secret, as it was observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    /// It does not exist, or was not observed yet.
    Absent,
    /// It exists, with this resourceVersion.
    At(u64),
}

/// The next action on the Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CacheEvent {
    /// It should be written.
    Due,
    /// Another client has deleted it, to have new tokens.
    Deleted,
}

type Change = watcher::Result<Event<PartialObjectMeta<Secret>>>;

impl TokenCache {
    /// The cache of the tokens in `store`. It watches its Secret once it is loaded.
    pub(crate) fn new(
        client: &Client,
        home: &Home,
        store: SharedTokenStore,
        restores: watch::Receiver<u64>,
        clock: Clock,
        random: Random,
        metrics: TokenMetrics,
    ) -> Self {
        Self {
            client: client.clone(),
            api: Api::namespaced(client.clone(), &home.namespace),
            namespace: home.namespace.clone(),
            name: home.token_cache(),
            store,
            restores,
            clock,
            random,
            metrics,
            changes: futures::stream::pending().boxed(),
            there: There::Absent,
            is_listed: false,
            is_list_outdated: false,
            written: None,
            content: None,
            dirty_since: None,
            not_before: Instant::now(),
            waits: 0,
            watch_failures: 0,
        }
    }

    /// Reads the cache, at the start of a term. Waits for the API server if need be: calling AWS
    /// instead would be no help.
    pub(crate) async fn load(&mut self) -> CacheDocument {
        (self.written, self.content, self.dirty_since, self.waits) = (None, None, None, 0);
        self.not_before = Instant::now();
        let (started, mut attempt) = (Instant::now(), 0_u32);
        loop {
            let problem = match timeout(TIMEOUT, self.api.get_opt(&self.name)).await {
                Ok(Ok(secret)) => {
                    let there = |secret: &Secret| There::At(resource_version(&secret.metadata));
                    self.there = secret.as_ref().map_or(There::Absent, there);
                    self.watch();
                    self.content = secret.and_then(|secret| self.parse(&secret));
                    return self.content.clone().unwrap_or_default();
                }
                // An API server that has just started may refuse at first.
                Ok(Err(kube::Error::Api(status)))
                    if status.is_forbidden() && started.elapsed() > PATIENCE =>
                {
                    warn!(
                        secret = self.name,
                        "could not read the token cache, so a restart calls AWS: allow the \
                         ServiceAccount to get, list, watch, create and patch this Secret in {}",
                        self.namespace
                    );
                    self.there = There::Absent;
                    self.watch();
                    return CacheDocument::default();
                }
                Ok(Err(error)) => ErrorChain(&error).to_string(),
                Err(_) => "no answer".to_owned(),
            };
            attempt += 1;
            if attempt.is_power_of_two() {
                warn!(attempt, "could not read the token cache; retrying: {problem}");
            }
            sleep(RETRY).await;
        }
    }

    fn watch(&mut self) {
        let watched = watcher::Config::default().fields(&format!("metadata.name={}", self.name));
        let api = |client| Api::namespaced(client, &self.namespace);
        self.changes =
            WatchLiveness::start(&self.clock, &self.random).watch(&self.client, api, watched);
    }

    /// Waits until there is something to do about the Secret. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> CacheEvent {
        loop {
            let is_dirty = self.is_dirty();
            let since = self.dirty_since.unwrap_or_else(Instant::now);
            self.dirty_since = is_dirty.then_some(since);
            // Copies wait for a token that waits for the cache.
            let is_awaited = self.store.read(TokenStore::is_waiting_for_cache);
            let patience = if is_awaited { since + PATIENCE } else { self.not_before };
            let others = self.store.read(|store| store.asks_within(GATHER, self.clock.now()));
            let gathered = if others { since + GATHER } else { since };
            let write_at = gathered.max(self.not_before.min(patience));
            tokio::select! {
                biased;
                Ok(()) = self.restores.changed() => self.watch(),
                Some(change) = self.changes.next() => {
                    if self.on_change(&change) {
                        info!(secret = self.name, "the token cache was deleted: getting new tokens");
                        return CacheEvent::Deleted;
                    }
                }
                () = sleep_until(write_at), if is_dirty => return CacheEvent::Due,
            }
        }
    }

    /// Writes the tokens that are not written yet.
    pub(crate) async fn finish(&mut self) {
        if self.is_dirty() {
            self.write().await;
        }
    }

    /// Whether the Secret does not hold what it should.
    fn is_dirty(&mut self) -> bool {
        let version = self.store.read(TokenStore::cache_version);
        if self.written == Some(version) {
            return false;
        }
        let (document, generation) = self.store.read(TokenStore::cache_document);
        if self.content.as_ref() == Some(&document) {
            self.holds(version, document, generation);
            return false;
        }
        // Without a token there is no reason to create the Secret.
        self.there != There::Absent || !document.is_empty()
    }

    /// The Secret holds this document of the store.
    fn holds(&mut self, version: u64, document: CacheDocument, generation: u64) {
        (self.written, self.content) = (Some(version), Some(document));
        self.dirty_since = None;
        self.store.update(|store| store.cached(generation));
    }

    fn parse(&self, secret: &Secret) -> Option<CacheDocument> {
        let ours = secret.labels().get(MANAGED_BY).is_some_and(|value| value == MANAGER);
        let text = secret.data.as_ref().and_then(|data| data.get(KEY));
        match text.filter(|_| ours).map(|text| CacheDocument::parse(&text.0)) {
            Some(Ok(document)) => return Some(document),
            Some(Err(error)) => {
                warn!(secret = self.name, "the token cache is unusable and is replaced: {error}");
            }
            None => warn!(
                secret = self.name,
                "the Secret of the token cache is not ours, or is empty, and is replaced"
            ),
        }
        None
    }

    /// Merges an event of the watch. Returns whether the Secret was deleted.
    fn on_change(&mut self, change: &Change) -> bool {
        let there = match change {
            Ok(Event::Init) => {
                (self.is_listed, self.is_list_outdated) = (false, false);
                return false;
            }
            Ok(Event::InitApply(secret)) => {
                self.is_listed = true;
                let shown = resource_version(&secret.metadata);
                let is_known = |known| shown == known || self.is_list_outdated && shown < known;
                if matches!(self.there, There::At(known) if is_known(known)) {
                    return false;
                }
                There::At(shown)
            }
            Ok(Event::InitDone) if self.is_listed => return false,
            Ok(Event::InitDone) if self.is_list_outdated => {
                self.watch();
                return false;
            }
            Ok(Event::InitDone) => There::Absent,
            Ok(Event::Apply(secret)) => {
                let shown = resource_version(&secret.metadata);
                // An event about what was there before our last write.
                if matches!(self.there, There::At(known) if shown <= known) {
                    return false;
                }
                There::At(shown)
            }
            Ok(Event::Delete(secret)) => {
                let shown = resource_version(&secret.metadata);
                if matches!(self.there, There::At(known) if shown < known) {
                    return false;
                }
                There::Absent
            }
            Err(error) => {
                self.watch_failures = self.watch_failures.saturating_add(1);
                if self.watch_failures.is_power_of_two() {
                    warn!("the watch of the token cache failed: {}", ErrorChain(error));
                }
                return false;
            }
        };
        self.watch_failures = 0;
        let was_there = std::mem::replace(&mut self.there, there) != There::Absent;
        if self.there == There::Absent {
            // Its tokens are worth keeping until there are better ones.
            (self.written, self.content) = (None, None);
            return was_there;
        }
        if !was_there || self.written.is_some() {
            debug!(secret = self.name, "another client has changed the token cache");
        }
        self.changed_by_another();
        false
    }

    /// Has it written again, later each time.
    fn changed_by_another(&mut self) {
        if is_planted(Bug::CacheNotRepaired) {
            return;
        }
        self.content = None;
        if self.written.take().is_some() {
            self.wait_longer();
        }
    }

    fn wait_longer(&mut self) {
        let now = Instant::now();
        if now.duration_since(self.not_before) > FORGETS_AFTER {
            self.waits = 0;
        }
        let factor = 1_u32.checked_shl(self.waits).unwrap_or(u32::MAX);
        self.not_before = now + RETRY.saturating_mul(factor).min(LONGEST_RETRY);
        self.waits = self.waits.saturating_add(1);
    }

    /// Writes the tokens to the Secret; a failure is retried later.
    pub(crate) async fn write(&mut self) {
        let (version, (document, generation)) =
            self.store.read(|store| (store.cache_version(), store.cache_document()));
        let rendered = document.render();
        let size = rendered.len();
        let text = Zeroizing::new(STANDARD.encode(rendered.as_bytes()));
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
        let answer = timeout(TIMEOUT, self.api.patch_metadata(&self.name, &apply, &patch)).await;
        self.metrics.record_cache_write(matches!(answer, Ok(Ok(_))));
        let (problem, is_final) = match answer {
            Ok(Ok(written)) => {
                debug!(secret = self.name, "wrote the token cache");
                self.there = There::At(resource_version(&written.metadata));
                self.is_list_outdated = true;
                self.holds(version, document, generation);
                return;
            }
            Ok(Err(error)) => (describe(&error, size), is_final(&error)),
            Err(_) => ("the API server does not answer".to_owned(), false),
        };
        self.wait_longer();
        if self.waits.is_power_of_two() {
            warn!(secret = self.name, "could not write the token cache; retrying: {problem}");
        }
        let waited = self.dirty_since.map_or(Duration::ZERO, |since| since.elapsed());
        if is_final || waited > PATIENCE {
            self.store.update(|store| store.cached(generation));
        }
    }
}

/// The error of a write of a document of this size.
fn describe(error: &kube::Error, size: usize) -> String {
    let chain = ErrorChain(error).to_string();
    match error {
        kube::Error::Api(status) if is_too_large(status.code, &status.message) => format!(
            "{}: the tokens have {}, a Secret holds {}: use fewer identities and regions, or smaller \
             docker config files: {chain}",
            WriteReason::TooLarge,
            Size(size),
            Size(DATA_LIMIT)
        ),
        _ => chain,
    }
}

/// Whether the API server has refused a write and a retry is not likely to succeed.
fn is_final(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let is_refused = (400..500).contains(&status.code) && ![401, 409, 429].contains(&status.code);
    is_refused || is_too_large(status.code, &status.message)
}

#[cfg(test)]
mod tests;
