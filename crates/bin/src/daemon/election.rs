//! Leader election: of several replicas, one calls AWS and writes.
//!
//! Not by the crate kube-lease-manager (0.13): it reads the wall clock itself and trusts the
//! `renewTime` of a rival: a clock that steps back by an hour means an hour without a leader. It also
//! spins while the clock stands still at an expiry. The part of it that we need is shorter.

use std::time::Duration;

use anyhow::{Result, anyhow};
use ecr_refresher_core::{
    ErrorChain,
    clock::Clock,
    planted::{Bug, is_planted},
    tokens::SharedTokenStore,
};
use ecr_refresher_sync::{
    leadership::{Leadership, LeadershipState},
    observed::copy::resource_version,
};
use k8s_openapi::{
    api::coordination::v1::Lease as ApiLease, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use super::lease::{Action, Candidate, Lease};
use crate::{config::LeaderElection, home::Home, lease_tokens};

/// Takes part in the election until the shutdown.
pub(crate) struct Election {
    api: Api<ApiLease>,
    name: String,
    identity: String,
    times: LeaderElection,
    clock: Clock,
    candidate: Candidate,
    state: watch::Sender<LeadershipState>,
    /// The replica that leads, if it is known.
    leader: watch::Sender<Option<String>>,
    failures: u32,
    /// The highest resourceVersion of the Lease so far.
    version: u64,
    restores: watch::Sender<u64>,
    store: SharedTokenStore,
    /// The annotation of the Lease about the tokens, as the API server last returned it.
    tokens: String,
}

impl Election {
    /// An election for the Lease of the daemon's name in the home namespace. `identity` must differ
    /// between replicas; after a restart it may be the same. `leader` is told who leads, and `restores` changes
    /// when the Lease has gone back to an older revision, as after a restore of etcd. The Lease says when the
    /// tokens of `store` expire.
    pub(crate) fn new(
        client: &Client,
        home: &Home,
        identity: String,
        times: LeaderElection,
        (clock, store): (Clock, SharedTokenStore),
        (leader, restores): (watch::Sender<Option<String>>, watch::Sender<u64>),
    ) -> (Self, Leadership) {
        let (state, receiver) = watch::channel(LeadershipState::Undecided);
        let this = Self {
            api: Api::namespaced(client.clone(), &home.namespace),
            name: home.name.clone(),
            candidate: Candidate::new(identity.clone()),
            identity,
            times,
            clock: clock.clone(),
            state,
            leader,
            failures: 0,
            version: 0,
            restores,
            store,
            tokens: String::new(),
        };
        (this, Leadership::new(receiver, clock))
    }

    /// Acquires the Lease when it is free, and renews it. After the shutdown it is held until all
    /// `writers` have ended, which write under it, and then released, so that another replica may acquire
    /// it at once.
    pub(crate) async fn run(
        mut self,
        shutdown: CancellationToken,
        writers: TaskTracker,
    ) -> Result<()> {
        let done = async {
            shutdown.cancelled().await;
            writers.wait().await;
        };
        tokio::select! {
            biased;
            () = done => {}
            () = self.stand() => {}
        }
        self.give_up().await;
        Ok(())
    }

    async fn stand(&mut self) {
        loop {
            let next = Instant::now() + self.times.retry_period;
            match self.step().await {
                Ok(()) => {
                    if self.failures > 1 {
                        let (lease, failures) = (&self.name, self.failures);
                        info!(lease, failures, "the API server answers again about the Lease");
                    }
                    self.failures = 0;
                }
                Err(error) => {
                    self.candidate.write_failed();
                    self.failures = self.failures.saturating_add(1);
                    // In an outage there is one every few seconds.
                    if self.failures.is_power_of_two() {
                        let (lease, failures) = (&self.name, self.failures);
                        warn!(
                            lease,
                            failures, "could not acquire or renew the Lease; retrying: {error}"
                        );
                    }
                }
            }
            self.check_lapsed();
            // Counted from the request, so that slow answers do not make renewals late.
            sleep_until(next).await;
        }
    }

    /// Reads the Lease unless it is ours, and writes it if it is free or ours.
    async fn step(&mut self) -> Result<()> {
        if !self.candidate.holds() {
            self.read().await?;
        }
        match self.candidate.next(self.clock.uptime()) {
            Action::Create => self.write(None).await,
            Action::Write(version) => self.write(Some(version)).await,
            Action::Wait => {
                self.follow();
                Ok(())
            }
            Action::Read => Ok(()),
        }
    }

    async fn read(&mut self) -> Result<()> {
        let lease = self.in_time(self.api.get_opt(&self.name)).await?;
        let lease = lease.map(|lease| {
            self.observe(&lease.metadata);
            view(&lease, self.times.lease_duration)
        });
        self.candidate.read(lease, self.clock.uptime());
        Ok(())
    }

    /// Acquires or renews the Lease that has this resourceVersion, or creates it.
    async fn write(&mut self, version: Option<String>) -> Result<()> {
        let term = self.state.borrow().term(self.clock.uptime());
        let term = term.unwrap_or_else(|| self.candidate.next_term());
        let mut lease = self.candidate.held(self.times.lease_duration, self.clock.wall(), term);
        self.add_tokens(&mut lease);
        let sent = self.clock.uptime();
        let written = if let Some(version) = version {
            // Refused when another replica was faster.
            if !is_planted(Bug::LeaseWithoutPrecondition) {
                lease["metadata"]["resourceVersion"] = version.into();
            }
            self.in_time(self.patch(&lease)).await?
        } else {
            lease["metadata"]["name"] = self.name.clone().into();
            let lease: ApiLease = serde_json::from_value(lease)?;
            self.in_time(self.api.create(&PostParams::default(), &lease)).await?
        };
        self.lead(sent, term, written.metadata);
        Ok(())
    }

    /// Adds the annotation about the tokens of this term, if the Lease has another one.
    fn add_tokens(&self, lease: &mut Value) {
        let tokens = self.store.read(|store| {
            let is_of_term = store.term() == Some(self.candidate.last_term());
            is_of_term.then(|| lease_tokens::write(store))
        });
        if let Some(tokens) = tokens.filter(|tokens| *tokens != self.tokens) {
            lease["metadata"]["annotations"] = json!({ lease_tokens::ANNOTATION: tokens });
        }
    }

    /// The Lease is ours by a write that was sent at this uptime, which is no later than when other
    /// replicas can have observed it.
    fn lead(&mut self, sent: Duration, term: u64, lease: ObjectMeta) {
        self.observe(&lease);
        self.candidate.written(lease.resource_version.unwrap_or_default(), term);
        let until = sent.saturating_add(self.times.renew_deadline);
        if !matches!(*self.state.borrow(), LeadershipState::Leader { term: known, .. } if known == term)
        {
            info!(identity = self.identity, term, "this replica leads");
            self.leader.send_replace(Some(self.identity.clone()));
        }
        self.state.send_replace(LeadershipState::Leader { term, until });
    }

    fn follow(&mut self) {
        self.state.send_replace(LeadershipState::Follower);
        let leader = self.candidate.rival();
        if self.leader.borrow().as_deref() == leader {
            return;
        }
        let identity = &self.identity;
        match leader {
            // A container that was restarted in its Pod.
            Some(leader) if leader == identity => {
                info!(identity, "waiting for the end of the Lease that this replica held before");
            }
            Some(leader) => info!(identity, leader, "another replica leads"),
            None => {}
        }
        self.leader.send_replace(leader.map(str::to_owned));
    }

    /// Records the end of a term that was not renewed in time.
    fn check_lapsed(&self) {
        self.state.send_if_modified(|state| {
            let is_over = matches!(state, LeadershipState::Leader { .. })
                && state.term(self.clock.uptime()).is_none();
            if is_over {
                let identity = &self.identity;
                warn!(identity, "this replica no longer leads: could not renew the Lease in time");
                *state = LeadershipState::Follower;
            }
            is_over
        });
    }

    /// Records the metadata of the Lease, and notices when it has gone back to an older revision.
    fn observe(&mut self, lease: &ObjectMeta) {
        lease_tokens::annotation(lease).unwrap_or_default().clone_into(&mut self.tokens);
        let version = resource_version(lease);
        if version < self.version {
            warn!("the API server has gone back to an older revision; listing everything again");
            self.restores.send_modify(|restores| *restores += 1);
        }
        self.version = version;
    }

    async fn give_up(&mut self) {
        let Action::Write(version) = self.candidate.next(Duration::ZERO) else { return };
        if !self.candidate.holds() {
            return;
        }
        let mut lease = Candidate::given_up();
        lease["metadata"]["resourceVersion"] = version.into();
        self.add_tokens(&mut lease);
        match timeout(self.times.renew_deadline, self.patch(&lease)).await {
            Ok(Ok(_)) => info!("released the Lease"),
            Ok(Err(error)) => warn!("could not release the Lease: {}", ErrorChain(&error)),
            Err(_) => warn!("could not release the Lease: the API server does not answer"),
        }
    }

    async fn patch(&self, lease: &Value) -> kube::Result<ApiLease> {
        self.api.patch(&self.name, &PatchParams::default(), &Patch::Merge(lease)).await
    }

    /// Waits for an answer for half of a term: a second request must have its chance before its end.
    async fn in_time<T>(&self, answer: impl Future<Output = kube::Result<T>>) -> Result<T> {
        match timeout(self.times.renew_deadline / 2, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(anyhow!("{}", ErrorChain(&error))),
            Err(_) => Err(anyhow!("the API server does not answer")),
        }
    }
}

fn view(lease: &ApiLease, default: Duration) -> Lease {
    let spec = lease.spec.clone().unwrap_or_default();
    let duration = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Lease {
        resource_version: lease.resource_version().unwrap_or_default(),
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        duration: duration.map_or(default, Duration::from_secs),
        transitions: spec
            .lease_transitions
            .and_then(|it| u64::try_from(it).ok())
            .unwrap_or_default(),
    }
}
