//! The one owner of all tokens. Pure: times and answers are passed in.

mod cached;
mod outcomes;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    answer::{Ask, Failed, Fetched, Outcome, Reading, TokenState},
    cache::CacheDocument,
    registry::{Derived, EcrHosts, Registry},
    source::{SourceKey, Token, TokenSource},
    state::{Held, SourceState},
};
use crate::{
    Credentials, FetchError, Random,
    clock::Now,
    planted::{Bug, is_planted},
    schedule::Due,
};

/// The last good token of each token source, and when each is asked next.
///
/// Code that needs a token reads it here, each time: [`TokenStore::version`] changes when the result
/// may differ. A new token is readable once the token cache holds it
/// ([`TokenStore::cached`]), so that a restart never finds copies newer than the cache.
#[derive(Debug)]
pub struct TokenStore {
    random: Random,
    at_fraction: f64,
    /// The term of leadership of these tokens; `None` before the first.
    term: Option<u64>,
    registries: BTreeMap<Arc<str>, RegistryState>,
    /// Those of all registries, and some that were left by a former config.
    sources: BTreeMap<SourceKey, SourceState>,
    last_fetch: u64,
    last_generation: u64,
    version: u64,
    cache_version: u64,
}

#[derive(Debug)]
struct RegistryState {
    registry: Registry,
    key: SourceKey,
    /// The registry before its settings changed. Its entries stay in use until the new settings have
    /// produced a token, or until they expire.
    previous: Option<Registry>,
    /// The failure of its last attempt.
    failed: Option<Failed>,
}

impl TokenStore {
    /// A store that knows of no registry.
    #[must_use]
    pub fn new(random: Random) -> Self {
        Self {
            random,
            at_fraction: 0.5,
            term: None,
            registries: BTreeMap::new(),
            sources: BTreeMap::new(),
            last_fetch: 0,
            last_generation: 0,
            version: 0,
            cache_version: 0,
        }
    }

    /// Follows the registries of the config, used by a pull Secret or not. A token is replaced at
    /// `at_fraction` of its life. The token of a removed source is kept while it lives, and the
    /// entries of a file for 12 hours, so that an edit that is undone costs nothing.
    pub fn want(&mut self, registries: Vec<Registry>, at_fraction: f64, now: Now) {
        let mut former = std::mem::take(&mut self.registries);
        for registry in registries {
            let former = former.remove(&registry.name);
            let stays = former.as_ref().filter(|_| is_planted(Bug::SourceStays));
            let registry = stays.map_or(registry, |former| former.registry.clone());
            let key = registry.source.key();
            let (previous, failed) =
                former.map(|former| self.stays(former, &registry)).unwrap_or_default();
            let name = Arc::clone(&registry.name);
            self.registries.insert(name, RegistryState { registry, key, previous, failed });
        }
        self.follow_sources(now);
        if self.at_fraction.to_bits() != at_fraction.to_bits() {
            self.at_fraction = at_fraction;
            self.plan_all(now);
        }
        self.cache_version += 1;
        self.version += 1;
    }

    /// What stays of a registry: the settings by which it has entries now, if its `next` ones differ, and its
    /// last failure if they are the same.
    fn stays(&self, former: RegistryState, next: &Registry) -> (Option<Registry>, Option<Failed>) {
        let RegistryState { registry, key, previous, failed } = former;
        let failed = failed.filter(|_| registry == *next);
        let last = if is_held(&self.sources, &key) { Some(registry) } else { previous };
        (last.filter(|last| last != next), failed)
    }

    /// Keeps a state for each source of the config, and records which have left it.
    fn follow_sources(&mut self, now: Now) {
        let wanted: BTreeMap<SourceKey, TokenSource> = self
            .registries
            .values()
            .map(|state| (state.key.clone(), state.registry.source.clone()))
            .collect();
        for (key, state) in &mut self.sources {
            let stays_away = !state.is_wanted() && is_planted(Bug::RemovedSourceForgotten);
            if !wanted.contains_key(key) {
                state.unwanted_since.get_or_insert(now.uptime);
            } else if !stays_away {
                state.unwanted_since = None;
            }
        }
        for (key, source) in wanted {
            self.sources.entry(key).or_insert_with(|| SourceState::new(source, now));
        }
    }

    /// Begins a term of leadership with what the token cache holds: of each token the newer one
    /// counts. Answers to former asks no longer count.
    pub fn begin_term(&mut self, term: u64, cache: &CacheDocument, now: Now) {
        let none = CacheDocument::default();
        let cache = if is_planted(Bug::TermWithoutCache) { &none } else { cache };
        for (key, (source, cached)) in &cache.tokens {
            // An expired token only replaces an even older one.
            if !cached.token.is_expired(now.wall) || self.sources.contains_key(key) {
                let state = self
                    .sources
                    .entry(key.clone())
                    .or_insert_with(|| SourceState::new(source.clone(), now));
                adopt(state, cached);
            }
            self.last_generation = self.last_generation.max(cached.generation);
        }
        // Newer than what any leader before had, also when the token cache was lost.
        self.last_generation = self.last_generation.max(term << 32);
        self.follow_sources(now);
        for (name, state) in &mut self.registries {
            if let Some(cached) = cache.registries.get(name)
                && *cached != state.registry
                && is_held(&self.sources, &cached.source.key())
            {
                state.previous = Some(cached.clone());
            }
        }
        for (key, state) in &mut self.sources {
            let is_cached = cache.tokens.contains_key(key);
            state.begin_term(self.at_fraction, is_cached, now, self.random.fraction());
        }
        self.term = Some(term);
        self.version += 1;
        self.cache_version += 1;
    }

    /// The term of these tokens.
    #[must_use]
    pub fn term(&self) -> Option<u64> {
        self.term
    }

    /// The sources to ask now. Each answer goes to [`TokenStore::answered`]. A token that is due soon is
    /// replaced together with one that is due now: so a refresh is one write of each copy, however many
    /// registries it has.
    pub fn due(&mut self, now: Now) -> Vec<Ask> {
        self.forget_expired(now);
        let mut asks = Vec::new();
        let is_refresh = |state: &SourceState| state.is_refreshed_within(Duration::ZERO, now);
        let is_any_refreshed = self.sources.values().any(is_refresh);
        for state in self.sources.values_mut() {
            let is_due = state.is_wanted() && state.fetching.is_none() && state.due.is_reached(now);
            let early = state.jitter(self.at_fraction);
            if is_due || is_any_refreshed && state.is_refreshed_within(early, now) {
                self.last_fetch += 1;
                state.fetching = Some(self.last_fetch);
                asks.push(Ask { id: self.last_fetch, source: state.source.clone() });
            }
        }
        asks
    }

    /// The uptime at which a source is asked next; `None` while all are being asked.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        let waiting = self.sources.values().filter(|it| it.is_wanted() && it.fetching.is_none());
        waiting.map(|state| state.due.uptime).min()
    }

    /// Records the answer to an [`Ask`]. An unknown id is dropped.
    pub fn answered(
        &mut self,
        id: u64,
        answer: Result<Token, FetchError>,
        now: Now,
    ) -> Vec<Outcome> {
        let found = self.sources.iter().find(|(_, state)| state.fetching == Some(id));
        let Some((key, _)) = found else { return Vec::new() };
        let key = key.clone();
        let answer = answer.and_then(|token| self.check_usable(&key, token));
        let Some(state) = self.sources.get_mut(&key) else { return Vec::new() };
        state.fetching = None;
        let was_tried = state.tried;
        let result = match answer {
            Ok(token) => {
                let expires_at = token.lifetime().map(|lifetime| lifetime.expires_at());
                let is_new = state.succeeded(token, self.last_generation + 1, now);
                state.plan(self.at_fraction, now, self.random.fraction());
                if is_new {
                    self.last_generation += 1;
                    self.cache_version += 1;
                }
                let next = state.due.wall();
                Ok(Fetched { is_new, expires_at, next, warning: None, ended: None })
            }
            Err(error) => {
                let delay = state.failed(&error, now, self.random.fraction());
                let last_token = state.last_token(now.wall);
                let failures = state.failures;
                Err(Failed {
                    error,
                    failures,
                    delay,
                    is_repeated: false,
                    is_new: false,
                    last_token,
                })
            }
        };
        if !was_tried {
            self.version += 1;
        }
        self.outcomes(&key, &result)
    }

    /// Refuses a token that no registry of its source can use: what they have is better.
    fn check_usable(&self, key: &SourceKey, token: Token) -> Result<Token, FetchError> {
        let ecr_hosts = self.ecr_hosts();
        let derived: Vec<_> = self.users(key).map(|it| it.derive(&token, &ecr_hosts)).collect();
        if derived.iter().any(|it| !it.entries.is_empty()) {
            return Ok(token);
        }
        let problem = derived.into_iter().find_map(|it| it.problem);
        problem.map_or(Ok(token), Err)
    }

    /// The registries of a source.
    fn users(&self, key: &SourceKey) -> impl Iterator<Item = &Registry> {
        self.registries.values().filter(move |it| it.key == *key).map(|it| &it.registry)
    }

    /// Makes all tokens of AWS due: the token cache was deleted.
    pub fn renew_all(&mut self, now: Now) {
        for state in self.sources.values_mut() {
            if matches!(state.source, TokenSource::Aws(_)) {
                state.due = Due::after(now, Duration::ZERO);
            }
        }
    }

    /// The credentials of each registry of the config.
    #[must_use]
    pub fn read(&self, now: Now) -> BTreeMap<Arc<str>, Reading> {
        let ecr_hosts = self.ecr_hosts();
        let read = |state: &RegistryState| self.read_one(state, &ecr_hosts, now);
        self.registries.iter().map(|(name, state)| (Arc::clone(name), read(state))).collect()
    }

    fn read_one(&self, state: &RegistryState, ecr_hosts: &EcrHosts, now: Now) -> Reading {
        let source = &self.sources[&state.key];
        let held = |registry: &Registry, token: &Token| {
            let Derived { entries, .. } = registry.derive(token, ecr_hosts);
            let lifetime = token.lifetime();
            (!entries.is_empty()).then_some(Reading::Held(Credentials { entries, lifetime }))
        };
        let current = || held(&state.registry, source.usable(now.wall)?);
        let previous = || {
            let previous = state.previous.as_ref()?;
            let token = &self.sources.get(&previous.source.key())?.held.as_ref()?.token;
            if token.is_expired(now.wall) { None } else { held(previous, token) }
        };
        let is_undecided = !source.tried || source.arrived.is_some();
        let nothing = if is_undecided { Reading::NotYet } else { Reading::Failed };
        current().or_else(previous).unwrap_or(nothing)
    }

    /// A number that changes whenever the result of [`TokenStore::read`] may.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The state of each registry of the config.
    pub fn states(&self) -> impl Iterator<Item = TokenState<'_>> {
        self.registries.iter().map(|(name, state)| {
            let source = &self.sources[&state.key];
            let lifetime = source.newest().and_then(|held| held.token.lifetime());
            let fetched_at = source.fetched_at.or_else(|| lifetime.map(|it| it.issued_at()));
            TokenState {
                registry: name,
                fetched_at,
                expires_at: lifetime.map(|it| it.expires_at()),
                failure: state.failed.as_ref().map(|failed| failed.error.reason),
            }
        })
    }

    /// Whether a source is being asked, or will be within this time.
    #[must_use]
    pub fn asks_within(&self, time: Duration, now: Now) -> bool {
        let until = now.uptime.saturating_add(time);
        self.sources.values().any(|it| it.is_wanted() && it.due.uptime <= until)
    }

    /// Whether a token waits for the token cache.
    #[must_use]
    pub fn is_waiting_for_cache(&self) -> bool {
        self.sources.values().any(|state| state.arrived.is_some())
    }

    fn ecr_hosts(&self) -> EcrHosts {
        let mut hosts = EcrHosts::new();
        for (name, state) in &self.registries {
            let token = self.sources[&state.key].newest().map(|newest| &newest.token);
            for host in state.registry.ecr_hosts(token) {
                hosts.entry(host).or_insert_with(|| Arc::clone(name));
            }
        }
        hosts
    }

    /// Drops expired tokens that are no longer used.
    fn forget_expired(&mut self, now: Now) {
        for state in self.sources.values_mut() {
            if state.forget_expired(now.wall) {
                self.version += 1;
                self.cache_version += 1;
            }
        }
        let ecr_hosts = self.ecr_hosts();
        let sources = &self.sources;
        let has_entries = |registry: &Registry| {
            let held = sources.get(&registry.source.key()).and_then(|it| it.held.as_ref());
            held.is_some_and(|held| {
                !held.token.is_expired(now.wall)
                    && !registry.derive(&held.token, &ecr_hosts).entries.is_empty()
            })
        };
        for state in self.registries.values_mut() {
            let is_over =
                |previous: &mut Registry| has_entries(&state.registry) || !has_entries(previous);
            if state.previous.take_if(is_over).is_some() {
                self.version += 1;
                self.cache_version += 1;
            }
        }
        let previous = self.previous_sources();
        self.sources.retain(|key, state| previous.contains(key) || state.is_kept(now));
    }

    /// The sources of the registries' previous settings.
    fn previous_sources(&self) -> BTreeSet<SourceKey> {
        self.registries
            .values()
            .filter_map(|state| Some(state.previous.as_ref()?.source.key()))
            .collect()
    }

    fn plan_all(&mut self, now: Now) {
        for state in self.sources.values_mut() {
            state.plan(self.at_fraction, now, self.random.fraction());
        }
    }
}

/// Whether a source has a token that the token cache holds, or that is used without it.
fn is_held(sources: &BTreeMap<SourceKey, SourceState>, key: &SourceKey) -> bool {
    sources.get(key).is_some_and(|state| state.held.is_some())
}

/// Adopts a token of the cache, unless the source has a newer one.
fn adopt(state: &mut SourceState, cached: &Held) {
    if state.held.as_ref().is_none_or(|held| held.generation <= cached.generation) {
        state.held = Some(cached.clone());
    }
    state.arrived.take_if(|arrived| arrived.generation <= cached.generation);
}
