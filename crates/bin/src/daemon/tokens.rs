//! Keeps the tokens fresh while this process leads: asks their sources, and keeps the token cache up to
//! date. The token store is their only owner.

use std::sync::Arc;

use anyhow::{Context, Result};
use ecr_refresher_core::{
    FetchError, Reason, TokenMetrics,
    aws::Aws,
    clock::{Clock, POLL_INTERVAL},
    planted::{Bug, is_planted},
    tokens::{
        Ask, Failed, Fetched, LastToken, Outcome, SharedTokenStore, Token, TokenSource, TokenState,
    },
};
use ecr_refresher_sync::{
    leadership::Leadership,
    report::notice::{Notice, Notices},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{
    events::about_tokens,
    token_cache::{CacheEvent, TokenCache},
};
use crate::{
    config::{Config, registries},
    home::Home,
    words::{moment, plural},
};

/// The task that keeps all tokens fresh.
pub(crate) struct Tokens {
    pub(crate) aws: Aws,
    pub(crate) cache: TokenCache,
    pub(crate) home: Home,
    pub(crate) config: watch::Receiver<Arc<Config>>,
    pub(crate) store: SharedTokenStore,
    pub(crate) metrics: TokenMetrics,
    pub(crate) notices: Notices,
    pub(crate) leadership: Leadership,
    pub(crate) clock: Clock,
}

/// Why a term has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    ByShutdown,
    ByTime,
}

/// The answer of a source, and how long it took.
struct Answer {
    ask: Ask,
    result: Result<Token, FetchError>,
    seconds: f64,
}

impl Tokens {
    /// Runs until `shutdown`, and then until the token cache is up to date.
    ///
    /// # Errors
    /// When a fetch was lost: a panic in it is an answer.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> Result<()> {
        let mut leadership = self.leadership.clone();
        loop {
            let Some(term) = leadership.term() else {
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => return Ok(()),
                    () = leadership.changed(None) => continue,
                }
            };
            tokio::select! {
                biased;
                ended = self.lead(term, &shutdown) => {
                    if ended? == Ended::ByShutdown {
                        return Ok(());
                    }
                }
                () = leadership.changed(Some(term)) => {}
            }
        }
    }

    /// One term. It begins with the content of the token cache, which may be another leader's.
    async fn lead(&mut self, term: u64, shutdown: &CancellationToken) -> Result<Ended> {
        self.follow_config();
        let cached = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(Ended::ByShutdown),
            cached = self.cache.load() => cached,
        };
        self.store.update(|store| store.begin_term(term, &cached, self.clock.now()));
        if !cached.is_empty() {
            self.log_cached();
        }
        let mut fetches = JoinSet::new();
        let mut introductions = JoinSet::new();
        // A machine that was suspended wakes up here, and its term may be over.
        while self.leadership.term() == Some(term) {
            let now = self.clock.now();
            let (asks, next) = self.store.update(|store| (store.due(now), store.next_due()));
            for ask in asks {
                fetches.spawn(fetch(self.aws.clone(), ask));
            }
            let wait = next.map_or(POLL_INTERVAL, |next| next.saturating_sub(now.uptime));
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {
                    self.cache.finish().await;
                    return Ok(Ended::ByShutdown);
                }
                Ok(()) = self.config.changed() => self.follow_config(),
                Some(answer) = fetches.join_next() => {
                    let answer = answer.context("a fetch of a token was lost")?;
                    if let Some(source) = self.on_answer(answer) {
                        introductions.spawn(introduce(self.aws.clone(), source));
                    }
                }
                event = self.cache.next() => match event {
                    // Not a branch of its own, which another one could cut off halfway.
                    CacheEvent::Due if self.leadership.term() == Some(term) => {
                        self.cache.write().await;
                    }
                    CacheEvent::Due => {}
                    CacheEvent::Deleted => {
                        self.store.update(|store| store.renew_all(self.clock.now()));
                    }
                },
                () = sleep(wait.min(POLL_INTERVAL)) => {}
                Some(_) = introductions.join_next() => {}
            }
        }
        Ok(Ended::ByTime)
    }

    fn follow_config(&mut self) {
        let config = Arc::clone(&self.config.borrow_and_update());
        let registries = registries(&config.registries, &self.aws.ecr_defaults());
        self.aws.retain(registries.iter().map(|registry| &registry.source));
        for registry in &registries {
            self.metrics.announce(&registry.name);
        }
        let now = self.clock.now();
        self.store.update(|store| store.want(registries, config.at_fraction, now));
    }

    fn log_cached(&self) {
        self.store.read(|store| {
            for TokenState { registry, expires_at, .. } in store.states() {
                if let Some(expires_at) = expires_at.map(moment) {
                    info!(registry, expires_at, "using the token of the token cache");
                }
            }
        });
    }

    /// Records an answer. Returns its source if AWS knows the identity of the call.
    fn on_answer(&self, answer: Answer) -> Option<TokenSource> {
        let Answer { ask: Ask { id, source }, result, seconds } = answer;
        if let (Ok(Token::Ecr { auth, .. }), true) = (&result, is_planted(Bug::TokenLogged)) {
            info!(auth = auth.expose(), "a planted bug");
        }
        let is_known = result.as_ref().err().is_none_or(|it| it.reason == Reason::AccessDenied);
        self.metrics.record_call(&source, seconds);
        let now = self.clock.now();
        for outcome in self.store.update(|store| store.answered(id, result, now)) {
            let failed = outcome.result.as_ref().err().map(|failed| failed.error.reason);
            self.metrics.record_outcome(&outcome.registry, failed);
            log(&outcome);
            if let Some(notice) = self.notice(&outcome) {
                self.notices.send(notice);
            }
        }
        is_known.then_some(source)
    }

    /// The notice of a failure that is not repeated, and of its end.
    fn notice(&self, Outcome { registry, result }: &Outcome) -> Option<Notice> {
        match result {
            Err(Failed { is_repeated: true, .. }) | Ok(Fetched { ended: None, .. }) => None,
            Err(Failed { error, .. }) => {
                let note = format!("the registry {registry}: {}: {error}", error.reason);
                Some(about_tokens(&self.home, "TokenNotRefreshed", note))
            }
            Ok(Fetched { ended: Some(ended), .. }) => {
                let note = format!("the registry {registry}: {}", recovery(ended));
                Some(about_tokens(&self.home, "TokenRefreshed", note).over())
            }
        }
    }
}

/// `ended` is the last of the failures in a row.
fn recovery(ended: &Failed) -> String {
    let failures = plural(ended.failures.into(), "failure", "failures");
    format!("recovered after {failures}; the last: {}", ended.error.reason)
}

/// Logs the outcome of an attempt.
pub(crate) fn log(outcome: &Outcome) {
    let registry = &outcome.registry;
    if let Ok(Fetched { ended: Some(ended), .. }) = &outcome.result {
        info!(%registry, failures = ended.failures, "{}", recovery(ended));
    }
    match &outcome.result {
        Ok(fetched) => match fetched.expires_at {
            Some(expires_at) => {
                let (expires_at, next_refresh) = (moment(expires_at), moment(fetched.next));
                info!(%registry, expires_at, next_refresh, "got a new token");
            }
            None if fetched.is_new => {
                info!(%registry, "read the entries of the file");
                if let Some(warning) = &fetched.warning {
                    warn!(%registry, "{warning}");
                }
            }
            None => debug!(%registry, "the file has not changed"),
        },
        Err(failed) if failed.is_repeated => {
            debug!(%registry, "the file has the same problem: {}", failed.error);
        }
        Err(failed) => log_failure(registry, failed),
    }
}

/// One line for each change, and ever fewer while it goes on.
fn log_failure(registry: &str, failed: &Failed) {
    let Failed { error, failures, delay, last_token, .. } = failed;
    let (reason, retry_in_seconds) = (error.reason.as_str(), delay.as_secs());
    let token = match last_token {
        LastToken::None => String::new(),
        LastToken::Alive(at) => format!("; the last token lives until {}", moment(*at)),
        LastToken::Expired(at) => {
            format!("; the last token expired at {}: Pods cannot pull with it", moment(*at))
        }
    };
    let text = format!("no new credentials: {error}{token}");
    if !(failed.is_new || failures.is_power_of_two()) {
        debug!(registry, reason, failures, retry_in_seconds, "{text}");
    } else if matches!(last_token, LastToken::Expired(_)) {
        error!(registry, reason, failures, retry_in_seconds, "{text}");
    } else {
        warn!(registry, reason, failures, retry_in_seconds, "{text}");
    }
}

async fn fetch(aws: Aws, ask: Ask) -> Answer {
    let started = Instant::now();
    let result = aws.fetch(&ask.source).await;
    Answer { ask, result, seconds: started.elapsed().as_secs_f64() }
}

async fn introduce(aws: Aws, source: TokenSource) {
    aws.introduce(&source).await;
}
