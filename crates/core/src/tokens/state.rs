//! The state of one token source.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    answer::LastToken,
    source::{Token, TokenSource},
};
use crate::{
    FetchError, Lifetime,
    clock::Now,
    planted::{Bug, is_planted},
    schedule::{self, Due},
};

/// How often a file is read: it is small, and on a local disk.
const FILE_POLL_INTERVAL: Duration = Duration::from_secs(5);
/// How long the entries of a file are kept after the file has left the config: as long as a token of
/// ECR lives.
const FILE_KEPT: Duration = Duration::from_hours(12);

/// A token with its generation: a higher one is newer, whatever the clocks of the replicas were that
/// fetched them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) token: Token,
    pub(super) generation: u64,
}

/// One token source: its tokens, and when it is asked next.
#[derive(Debug)]
pub(super) struct SourceState {
    pub(super) source: TokenSource,
    /// The token that copies may hold.
    pub(super) held: Option<Held>,
    /// A newer one, which the token cache does not hold yet.
    pub(super) arrived: Option<Held>,
    /// The uptime since which no registry of the config uses it.
    pub(super) unwanted_since: Option<Duration>,
    /// The running fetch.
    pub(super) fetching: Option<u64>,
    pub(super) due: Due,
    /// Whether it has answered or failed since the term began.
    pub(super) tried: bool,
    /// Whether a former leader may have written a newer token than there was when the term began: that
    /// one was due to be replaced, or the token cache had lost it.
    is_doubtful: bool,
    pub(super) failures: u32,
    /// The generation of the newest token when a term began.
    begun_with: Option<u64>,
    pub(super) fetched_at: Option<Timestamp>,
}

impl SourceState {
    /// A source that is asked at once.
    pub(super) fn new(source: TokenSource, now: Now) -> Self {
        Self {
            source,
            held: None,
            arrived: None,
            unwanted_since: None,
            fetching: None,
            due: Due::after(now, Duration::ZERO),
            tried: false,
            is_doubtful: false,
            failures: 0,
            begun_with: None,
            fetched_at: None,
        }
    }

    /// Whether a registry of the config uses it.
    pub(super) fn is_wanted(&self) -> bool {
        self.unwanted_since.is_none()
    }

    /// Whether its token is worth keeping: an edit of the config that is undone costs nothing.
    pub(super) fn is_kept(&self, now: Now) -> bool {
        let Some(since) = self.unwanted_since else { return true };
        self.held.as_ref().is_some_and(|held| match held.token.lifetime() {
            Some(lifetime) => !lifetime.is_expired(now.wall),
            None => now.uptime.saturating_sub(since) < FILE_KEPT,
        })
    }

    /// The newest token, in the token cache or not.
    pub(super) fn newest(&self) -> Option<&Held> {
        self.arrived.as_ref().or(self.held.as_ref())
    }

    fn lifetime(&self) -> Option<Lifetime> {
        self.newest()?.token.lifetime()
    }

    /// The token that copies may hold. A doubtful one only while it lives, and once the source has
    /// failed: a former leader may have written its successor.
    pub(super) fn usable(&self, now: Timestamp) -> Option<&Token> {
        let Held { token, .. } = self.held.as_ref()?;
        let is_last_resort = || self.tried && self.arrived.is_none() && !token.is_expired(now);
        (!self.is_held_doubtful() || is_last_resort()).then_some(token)
    }

    fn is_held_doubtful(&self) -> bool {
        let is_of_term = |held: &Held| Some(held.generation) > self.begun_with;
        self.is_doubtful && !self.held.as_ref().is_some_and(is_of_term)
    }

    /// Forgets a doubtful token that has expired. Whether there was one.
    pub(super) fn forget_expired(&mut self, now: Timestamp) -> bool {
        let is_doubtful = self.is_held_doubtful();
        self.held.take_if(|held| is_doubtful && held.token.is_expired(now)).is_some()
    }

    /// Begins a term: nothing was asked yet. `is_cached` says whether the token cache has a token of
    /// this source. `random` is in 0..1.
    pub(super) fn begin_term(&mut self, at_fraction: f64, is_cached: bool, now: Now, random: f64) {
        self.fetching = None;
        self.is_doubtful |= !is_cached;
        if self.failures > 0 && self.begun_with == self.newest().map(|newest| newest.generation) {
            // It has failed since, and there is nothing newer: the next attempt keeps its time.
            return;
        }
        (self.tried, self.failures) = (false, 0);
        self.begun_with = self.newest().map(|newest| newest.generation);
        let is_young = |lifetime: Lifetime| lifetime.refresh_at(at_fraction, random) > now.wall;
        self.is_doubtful = !is_cached || !self.lifetime().is_some_and(is_young);
        if self.is_doubtful {
            self.due = Due::after(now, Duration::ZERO);
        } else {
            self.plan(at_fraction, now, random);
        }
    }

    /// How much earlier than another one a token may be due by chance alone.
    pub(super) fn jitter(&self, at_fraction: f64) -> Duration {
        self.lifetime().map_or(Duration::ZERO, |lifetime| lifetime.jitter(at_fraction))
    }

    /// Whether its token, which was replaced without a failure so far, is due within this time.
    pub(super) fn is_refreshed_within(&self, time: Duration, now: Now) -> bool {
        self.is_wanted()
            && self.fetching.is_none()
            && self.failures == 0
            && self.lifetime().is_some()
            && self.due.uptime <= now.uptime.saturating_add(time)
    }

    /// Records what the source returned. Returns whether it is a new token.
    pub(super) fn succeeded(&mut self, token: Token, generation: u64, now: Now) -> bool {
        self.tried = true;
        self.failures = 0;
        self.fetched_at = Some(now.wall);
        if self.newest().is_some_and(|newest| newest.token == token) {
            return false;
        }
        if is_planted(Bug::TokenBeforeCache) {
            self.held = Some(Held { token: token.clone(), generation });
        }
        self.arrived = Some(Held { token, generation });
        true
    }

    /// Records a failure. Returns the delay. `random` is in 0..1.
    pub(super) fn failed(&mut self, error: &FetchError, now: Now, random: f64) -> Duration {
        self.tried = true;
        self.failures = self.failures.saturating_add(1);
        let (lifetime, asked) = (self.lifetime(), error.retry_after);
        if is_planted(Bug::FailureDropsToken) {
            self.held = None;
        }
        let delay = match self.source {
            // Read as often as always: a file that was mended is read at once.
            TokenSource::File(_) => FILE_POLL_INTERVAL,
            TokenSource::Aws(_) => {
                schedule::retry_delay(self.failures, lifetime, asked, now.wall, random)
            }
        };
        let delay = if is_planted(Bug::NoBackoff) { Duration::ZERO } else { delay };
        self.due = Due::after(now, delay);
        delay
    }

    /// The newest token, for a message.
    pub(super) fn last_token(&self, now: Timestamp) -> LastToken {
        match self.lifetime() {
            None => LastToken::None,
            Some(lifetime) if lifetime.is_expired(now) => LastToken::Expired(lifetime.expires_at()),
            Some(lifetime) => LastToken::Alive(lifetime.expires_at()),
        }
    }

    /// Decides when to ask next, unless the last attempt failed. `random` is in 0..1.
    pub(super) fn plan(&mut self, at_fraction: f64, now: Now, random: f64) {
        if self.failures > 0 {
            return;
        }
        let at_fraction = if is_planted(Bug::RefreshTooLate) { 1.5 } else { at_fraction };
        self.due = match (&self.source, self.lifetime()) {
            (_, Some(lifetime)) => schedule::refresh(lifetime, at_fraction, now, random),
            (TokenSource::File(_), None) if self.tried => Due::after(now, FILE_POLL_INTERVAL),
            (_, None) => Due::after(now, Duration::ZERO),
        };
    }
}
