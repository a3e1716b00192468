//! What must hold at every moment. The API server shows each request and each write as it happens.

use std::{collections::VecDeque, time::Duration};

use ecr_refresher_sync::CONTENT_HASH;
use serde_json::Value;

use super::{
    copies::{cached, entries, is_applied_by, is_ours, number, password, release},
    truth::{Facts, REACTION, Truth},
};
use crate::{
    api::{Key, Kind, Observer, RequestInfo, Verb, Write},
    plan::{GRACE, ROLE_ACCOUNT, SECRETS},
    replica::{HOME, NAME, NEIGHBOUR},
    trace::Trace,
};

/// How often one object may be written within [`WINDOW`], not counting new content.
const MOST_WRITES: usize = 120;
/// How often one replica may call one region of ECR within it.
const MOST_CALLS: usize = 400;
/// How long a replica waits for an answer.
const LONGEST_REQUEST: Duration = Duration::from_secs(15);
const WINDOW: Duration = Duration::from_mins(10);

/// Checks every write.
pub struct Always(pub Truth);

impl Observer for Always {
    fn request_started(&mut self, request: &RequestInfo) {
        if let Some(key) = written(request) {
            self.0.lock().start(&key, &request.caller);
        }
    }

    fn stored(&mut self, write: &Write<'_>) {
        let mut facts = self.0.lock();
        if write.key.kind != Kind::Lease {
            let Write { caller, verb, key, version, .. } = write;
            let line = format!("stored {version} {key:?} by {caller:?} {verb:?} {}", write.manager);
            facts.trace.add(&line);
        }
        facts.note(write);
        if let Some(caller) = write.caller {
            facts.uncount_new_content(write);
            facts.check_releases(write, caller);
            if caller != NEIGHBOUR {
                facts.check(write, caller);
            }
        }
    }

    fn request_ended(&mut self, request: &RequestInfo, status: Option<u16>) {
        let mut facts = self.0.lock();
        if let Some(key) = written(request) {
            facts.writing.remove(&key);
            if key.namespace == HOME && status.is_none_or(|status| status >= 300) {
                facts.cache_failed = Some(facts.time.elapsed());
            }
        }
        if !matches!(request.kind, Some(Kind::Lease)) {
            let RequestInfo { caller, verb, kind, namespace, name, .. } = request;
            let line = format!("{caller} {verb:?} {kind:?} {namespace}/{name}: {status:?}");
            facts.trace.add(&line);
        }
    }
}

/// Notes one more moment. How many there were within [`WINDOW`].
fn count(recent: &mut VecDeque<Duration>, now: Duration) -> usize {
    recent.push_back(now);
    while recent.front().is_some_and(|first| now.saturating_sub(*first) > WINDOW) {
        recent.pop_front();
    }
    recent.len()
}

/// The copy or ServiceAccount that a request writes.
fn written(request: &RequestInfo) -> Option<Key> {
    let kind = request.kind.filter(|kind| matches!(kind, Kind::Secret | Kind::ServiceAccount))?;
    let is_write = request.verb.is_some_and(Verb::writes) && !request.dry_run;
    is_write.then(|| Key::new(kind, &request.namespace, &request.name))
}

impl Facts {
    fn start(&mut self, key: &Key, caller: &str) {
        let now = self.time.elapsed();
        let is_restored = now < self.restored_until;
        // An older one is that of a replica that was suspended meanwhile: it cannot cut it off.
        if let Some((other, since)) = self.writing.insert(key.clone(), (caller.to_owned(), now))
            && !is_restored
            && now.saturating_sub(since) <= LONGEST_REQUEST
            && (caller == NEIGHBOUR) == (other == NEIGHBOUR)
        {
            self.violation(format!("{key:?} is written by {caller} while {other} writes it"));
        }
        if count(self.recent.entry(key.clone()).or_default(), now) == MOST_WRITES {
            self.violation(format!("{key:?} was written {MOST_WRITES} times in {WINDOW:?}"));
        }
    }

    /// Does not count a write of content that the object did not get from a replica before: tokens may
    /// live for seconds only, as when a clock is behind that of AWS.
    fn uncount_new_content(&mut self, Write { key, after, .. }: &Write<'_>) {
        let Some(after) = after.filter(|_| key.kind == Kind::Secret) else { return };
        let hash = &after["metadata"]["annotations"][CONTENT_HASH];
        let content = if hash.is_null() { &after["data"] } else { hash }.to_string();
        if self.contents.insert((*key).clone(), content.clone()).is_none_or(|it| it != content)
            && let Some(recent) = self.recent.get_mut(*key)
        {
            recent.pop_back();
        }
    }

    /// Checks how often AWS was called since the last time.
    pub fn check_calls(&mut self) {
        let calls = self.aws.lock().calls.drain();
        for call in calls {
            let key = (call.caller, call.account, call.region, call.operation);
            if count(self.recent_calls.entry(key.clone()).or_default(), call.at) == MOST_CALLS {
                self.violation(format!("{key:?}: {MOST_CALLS} calls in {WINDOW:?}"));
            }
        }
    }

    /// Notes what a write makes true.
    fn note(&mut self, write: &Write<'_>) {
        let Write { key, after, .. } = write;
        match key.kind {
            Kind::Lease if key.namespace == HOME => {
                let holder = after.and_then(|lease| lease["spec"]["holderIdentity"].as_str());
                self.holder = holder.map(str::to_owned);
            }
            Kind::Namespace => {
                let live = after.filter(|it| it["metadata"].get("deletionTimestamp").is_none());
                let tier =
                    |it: &Value| it["metadata"]["labels"]["tier"].as_str().map(str::to_owned);
                self.namespace(&key.name, live.map(tier));
            }
            Kind::Secret if key.namespace == HOME && key.name == format!("{NAME}-tokens") => {
                self.cached = after.map(cached).into_iter().flatten().collect();
                self.ever_cached.extend(self.cached.iter().cloned());
            }
            _ => {}
        }
    }

    fn check(&mut self, write: &Write<'_>, caller: &str) {
        if let (Kind::Event, Some(event)) = (write.key.kind, write.after)
            && Trace::shows_secret(&event.to_string())
        {
            self.violation(format!("an Event shows a secret: {event}"));
        }
        let is_copy = write.key.kind == Kind::Secret && write.key.namespace != HOME;
        if matches!(write.key.kind, Kind::Secret | Kind::ServiceAccount) {
            self.writes += 1;
            self.check_lease(write.key, caller);
        }
        if let (Kind::ServiceAccount, Some(before), Some(after)) =
            (write.key.kind, write.before, write.after)
        {
            self.check_account(write.key, before, after);
        }
        if let Some(after) = write.after.filter(|_| is_copy) {
            self.check_cached(write.key, after);
        }
        let secret = SECRETS.iter().position(|name| *name == write.key.name);
        match (secret, write.before, write.after) {
            _ if !is_copy => {}
            (None, ..) => self.violation(format!("{:?} is no copy, and is written", write.key)),
            (Some(secret), Some(before), Some(after)) => {
                self.check_change(secret, write.key, before, after);
            }
            (Some(secret), Some(before), None) => self.check_deletion(secret, write.key, before),
            (Some(secret), None, Some(_)) => self.check_creation(secret, write.key),
            (_, None, None) => {}
        }
    }

    /// A copy gets a token only once the token cache has it, so that a restart finds none that is newer;
    /// unless the cache could not be written.
    fn check_cached(&mut self, key: &Key, copy: &Value) {
        let now = self.time.elapsed();
        let has_failed = self.cache_failed.is_some_and(|at| now.saturating_sub(at) < WINDOW * 6);
        let unknown = entries(copy).into_values().find(|entry| !self.ever_cached.contains(entry));
        if let Some(entry) = unknown.filter(|entry| password(entry).is_some() && !has_failed) {
            self.violation(format!("{key:?} gets {entry}, which is not in the token cache"));
        }
    }

    /// A replica writes only while no other one holds the Lease.
    fn check_lease(&mut self, key: &Key, caller: &str) {
        let is_restored = self.time.elapsed() < self.restored_until;
        let elects = self.recent_plans().all(|plan| plan.election);
        if let Some(holder) = self.holder.clone()
            && holder != caller
            && elects
            && !is_restored
        {
            self.violation(format!("{key:?} is written by {caller} while {holder} leads"));
        }
    }

    /// Of an account, only our own names change.
    fn check_account(&mut self, key: &Key, before: &Value, after: &Value) {
        let others = |account: &Value| -> Vec<Value> {
            let names = account["imagePullSecrets"].as_array().into_iter().flatten();
            let is_ours = |it: &&Value| SECRETS.iter().any(|name| it["name"] == *name);
            names.filter(|it| !is_ours(it)).cloned().collect()
        };
        if others(before) != others(after) {
            self.violation(format!("{key:?}: the names of others are changed"));
        }
    }

    fn check_creation(&mut self, secret: usize, key: &Key) {
        let wanted = self.wants.get(&(secret, key.namespace.clone())).copied();
        let now = self.time.elapsed();
        let is_old = |since: Duration| now.saturating_sub(since) > REACTION;
        if wanted.is_some_and(|want| !want.is_wanted && is_old(want.since)) {
            self.violation(format!("{key:?} is created, and is not wanted"));
        }
    }

    fn check_change(&mut self, secret: usize, key: &Key, before: &Value, after: &Value) {
        let adopts = self.recent_plans().any(|plan| plan.secrets[secret].adopts);
        if !is_ours(before) && before["data"] != after["data"] && !adopts {
            self.violation(format!("{key:?} is foreign, and is overwritten"));
        }
        if !is_ours(before) {
            return;
        }
        let (old, new) = (entries(before), entries(after));
        for (host, old) in old {
            // What the token cache does not hold, a restart cannot know.
            if !self.cached.contains(&old) {
                continue;
            }
            match new.get(&host) {
                Some(new) if number(new) < number(&old) && !self.has_other_settings(&host) => {
                    self.violation(format!("{key:?}: {host} goes back from {old} to {new}"));
                }
                None if self.is_surely_alive(&old) && self.is_wanted_host(secret, &host) => {
                    self.violation(format!("{key:?} loses {host}, which is valid and wanted"));
                }
                _ => {}
            }
        }
    }

    /// Whether the settings of a host have ever changed: then a copy may be of the time before, and its
    /// token is another source's.
    fn has_other_settings(&self, host: &str) -> bool {
        let session = self.plan().session;
        host.starts_with(ROLE_ACCOUNT) && self.plans.iter().any(|(_, plan)| plan.session != session)
    }

    fn check_deletion(&mut self, secret: usize, key: &Key, before: &Value) {
        if !is_applied_by(before, &release()) {
            self.violation(format!("{key:?} is foreign, and is deleted"));
        }
        let now = self.time.elapsed();
        let Some(want) = self.wants.get(&(secret, key.namespace.clone())).copied() else { return };
        let is_new = now.saturating_sub(want.since) < REACTION;
        let unwanted_for = match want.is_wanted {
            false => now.saturating_sub(want.unwanted_since),
            true if is_new => want.since.saturating_sub(want.unwanted_since),
            true => Duration::ZERO,
        };
        if unwanted_for + Duration::from_secs(1) < GRACE {
            self.violation(format!("{key:?} is deleted, and was unwanted for {unwanted_for:?}"));
        }
    }

    /// Whether an entry works, by the clock of every replica: these may be off by a twentieth of a life.
    fn is_surely_alive(&self, entry: &str) -> bool {
        let Some(password) = password(entry) else { return true };
        self.aws.lock().tokens.find(password).is_some_and(|token| {
            let life = token.expires_at.duration_since(token.issued_at);
            token.expires_at - life / 10 > self.time.now()
        })
    }

    /// Whether an entry works: a token that lives, or an entry of a file.
    pub(super) fn is_alive(&self, entry: &str) -> bool {
        let Some(password) = password(entry) else { return true };
        let now = self.time.now();
        self.aws.lock().tokens.find(password).is_some_and(|token| token.expires_at > now)
    }
}
