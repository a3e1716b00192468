//! What is true, as opposed to what the replicas believe.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use jiff::SignedDuration;

use super::copies::{cached, password};
use crate::{
    api::{Key, Kind, Server},
    aws::{Operation, SimulatedAws},
    plan::{Plan, SECRETS},
    replica::{HOME, NAME},
    time::TrueTime,
    trace::Trace,
};

/// How long a replica may need to notice that something has changed: its config, or a namespace.
pub const REACTION: Duration = Duration::from_secs(100);

/// The truth of one run. Clones are the same.
#[derive(Clone)]
pub struct Truth(Arc<Mutex<Facts>>);

/// The facts.
pub struct Facts {
    pub(super) time: TrueTime,
    pub(super) aws: SimulatedAws,
    pub(super) trace: Trace,
    /// The good configs, each with the moment from which on it was in the file.
    pub(super) plans: VecDeque<(Duration, Plan)>,
    /// The hosts of the docker config file, whenever it was good.
    pub(super) file_hosts: VecDeque<(Duration, BTreeSet<String>)>,
    /// The tier of each namespace that exists.
    pub(super) namespaces: BTreeMap<String, Option<String>>,
    /// Whether each copy is wanted.
    pub(super) wants: BTreeMap<(usize, String), Want>,
    /// What the token cache holds now.
    pub(super) cached: BTreeSet<String>,
    /// What it has ever held.
    pub(super) ever_cached: BTreeSet<String>,
    /// When a write of it failed last: then tokens are used without it.
    pub(super) cache_failed: Option<Duration>,
    /// The replica that holds the Lease, as the API server has it.
    pub(super) holder: Option<String>,
    /// Until then the Lease of a restored etcd may name a former leader.
    pub(super) restored_until: Duration,
    /// The writes that are under way, with their callers.
    pub(super) writing: BTreeMap<Key, (String, Duration)>,
    /// The writes of each object in the last minutes.
    pub(super) recent: BTreeMap<Key, VecDeque<Duration>>,
    /// The content that each Secret got last from a replica.
    pub(super) contents: BTreeMap<Key, String>,
    /// The calls of AWS in the last minutes, by replica, account, region and operation.
    pub(super) recent_calls: BTreeMap<(String, String, String, Operation), VecDeque<Duration>>,
    /// How many writes there were, Leases and Events aside.
    pub(super) writes: u64,
    violations: Vec<String>,
}

/// Whether a copy is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want {
    pub(super) is_wanted: bool,
    /// Since when that is so.
    pub(super) since: Duration,
    /// Since when it is unwanted, or was until then, without moments that the daemon may not have noticed.
    pub(super) unwanted_since: Duration,
}

impl Truth {
    /// The truth at the start of a run with this config.
    #[must_use]
    pub fn new(time: TrueTime, aws: SimulatedAws, trace: Trace, plan: Plan) -> Self {
        let facts = Facts {
            time,
            aws,
            trace,
            plans: [(Duration::ZERO, plan)].into(),
            file_hosts: VecDeque::new(),
            namespaces: BTreeMap::new(),
            wants: BTreeMap::new(),
            cached: BTreeSet::new(),
            ever_cached: BTreeSet::new(),
            cache_failed: None,
            holder: None,
            restored_until: Duration::ZERO,
            writing: BTreeMap::new(),
            recent: BTreeMap::new(),
            contents: BTreeMap::new(),
            recent_calls: BTreeMap::new(),
            writes: 0,
            violations: Vec::new(),
        };
        Self(Arc::new(Mutex::new(facts)))
    }

    /// The facts. The API server may be locked by the caller already, and must not be locked after.
    pub fn lock(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Facts {
    /// Notes that an invariant is broken.
    pub fn violation(&mut self, what: String) {
        self.trace.add(&format!("VIOLATION: {what}"));
        self.violations.push(what);
    }

    /// The invariants that were broken.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// The passwords of ECR in the token cache.
    #[must_use]
    pub fn cached_passwords(&self) -> Vec<String> {
        self.cached.iter().filter_map(|it| password(it)).map(str::to_owned).collect()
    }

    /// Whether a token in the token cache is so new that its turn in the spread may not have come for
    /// every copy.
    #[must_use]
    pub fn is_refreshing(&self) -> bool {
        let now = self.time.now();
        let aws = self.aws.lock();
        self.cached_passwords().iter().filter_map(|it| aws.tokens.find(it)).any(|token| {
            let spread = SignedDuration::from_secs(i64::from(self.plan().spread));
            // No longer than a quarter of the life that the old token had left: half of its own.
            let spread = spread.min(token.expires_at.duration_since(token.issued_at) / 8);
            now.duration_since(token.issued_at) < spread + SignedDuration::from_secs(30)
        })
    }

    /// How many writes of the replicas there were, Leases and Events aside.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// Notes another config in the file.
    pub fn edit(&mut self, plan: Plan) {
        self.plans.push_back((self.time.elapsed(), plan));
        self.decide();
    }

    /// Notes other hosts in the docker config file.
    pub fn edit_file(&mut self, hosts: BTreeSet<String>) {
        self.file_hosts.push_back((self.time.elapsed(), hosts));
    }

    /// The config in the file.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        // There is one from the start.
        &self.plans.back().unwrap().1
    }

    /// How long ago the config was last edited.
    #[must_use]
    pub fn config_age(&self) -> Duration {
        self.age(&self.plans)
    }

    /// How long ago the docker config file was last edited.
    #[must_use]
    pub fn hub_age(&self) -> Duration {
        self.age(&self.file_hosts)
    }

    fn age<T>(&self, edits: &VecDeque<(Duration, T)>) -> Duration {
        let last = edits.back().map(|it| it.0).unwrap_or_default();
        self.time.elapsed().saturating_sub(last)
    }

    /// The hosts of the docker config file when it was last good.
    #[must_use]
    pub fn hub_hosts(&self) -> BTreeSet<String> {
        self.file_hosts.back().map(|it| it.1.clone()).unwrap_or_default()
    }

    /// Notes that etcd was restored: what the API server holds now, and when a former leader named in
    /// the Lease has noticed.
    pub fn restored(&mut self, server: &Server) {
        self.restored_until = self.time.elapsed() + REACTION;
        let lease = server.get(Kind::Lease, HOME, NAME);
        self.holder = lease.and_then(|it| it["spec"]["holderIdentity"].as_str().map(str::to_owned));
        let cache = server.get(Kind::Secret, HOME, &format!("{NAME}-tokens"));
        self.cached = cache.as_ref().map(cached).into_iter().flatten().collect();
        let mut former: BTreeSet<_> = self.namespaces.keys().cloned().collect();
        for (key, namespace) in server.all(Kind::Namespace) {
            if namespace["metadata"].get("deletionTimestamp").is_none() {
                former.remove(&key.name);
                let tier = namespace["metadata"]["labels"]["tier"].as_str().map(str::to_owned);
                self.namespace(&key.name, Some(tier));
            }
        }
        for name in &former {
            self.namespace(name, None);
        }
    }

    /// Notes a namespace, or that it is gone.
    pub fn namespace(&mut self, name: &str, tier: Option<Option<String>>) {
        if let Some(tier) = tier {
            self.namespaces.insert(name.to_owned(), tier);
        } else {
            self.namespaces.remove(name);
            self.wants.retain(|(_, namespace), _| namespace != name);
        }
        self.decide();
    }

    /// Whether a namespace exists.
    pub(super) fn has_namespace(&self, name: &str) -> bool {
        self.namespaces.contains_key(name)
    }

    /// The namespaces that should have a copy of a pull Secret.
    #[must_use]
    pub fn wanted(&self, secret: usize) -> Vec<String> {
        let namespaces = self.namespaces.iter();
        let wanted =
            namespaces.filter(|(name, tier)| self.plan().wants(secret, name, tier.as_deref()));
        wanted.map(|(name, _)| name.clone()).collect()
    }

    fn decide(&mut self) {
        let now = self.time.elapsed();
        for secret in 0..SECRETS.len() {
            for (name, tier) in self.namespaces.clone() {
                let is_wanted = self.plan().wants(secret, &name, tier.as_deref());
                let want = self.wants.entry((secret, name)).or_insert(Want {
                    is_wanted,
                    since: now,
                    unwanted_since: now,
                });
                if want.is_wanted != is_wanted {
                    let was_noticed = want.is_wanted && now.saturating_sub(want.since) > REACTION;
                    let unwanted_since = if was_noticed { now } else { want.unwanted_since };
                    *want = Want { is_wanted, since: now, unwanted_since };
                }
            }
        }
    }

    /// The configs that a replica may still follow.
    pub(super) fn recent_plans(&self) -> impl Iterator<Item = &Plan> {
        let oldest = self.time.elapsed().saturating_sub(REACTION);
        recent(&self.plans, oldest)
    }

    /// Whether a host is in each config, and in each docker config file, that may count.
    pub(super) fn is_wanted_host(&self, secret: usize, host: &str) -> bool {
        let oldest = self.time.elapsed().saturating_sub(REACTION);
        let in_file = || {
            let mut files = recent(&self.file_hosts, oldest).peekable();
            files.peek().is_some() && files.all(|hosts| hosts.contains(host))
        };
        self.recent_plans().all(|plan| {
            plan.secrets[secret].present
                && (plan.ecr_hosts(secret).contains(host) || (plan.uses_file(secret) && in_file()))
        })
    }
}

/// The values that were in force at `oldest` or since.
fn recent<T>(values: &VecDeque<(Duration, T)>, oldest: Duration) -> impl Iterator<Item = &T> {
    let first = values.iter().rposition(|(since, _)| *since <= oldest).unwrap_or_default();
    values.iter().skip(first).map(|(_, value)| value)
}
