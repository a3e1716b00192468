//! Leader election: of several replicas, one calls AWS and writes.

use std::{convert::Infallible, time::Duration};

use anyhow::Result;
use ecr_refresher_core::{Chain, clock::Now};
use ecr_refresher_sync::{Leadership, Standing};
use http::{Method, Request};
use jiff::Timestamp;
use kube::{Client, client::Body};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError, LeaseParams};
use tokio::{
    pin,
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, service_fn};
use tracing::{info, warn};

use crate::{config::LeaderElection, run::Home};

/// Stands for election until the shutdown.
pub(crate) struct Election {
    client: Client,
    home: Home,
    identity: String,
    times: LeaderElection,
    standing: watch::Sender<Standing>,
    /// When the Lease was written last.
    written: watch::Receiver<Timestamp>,
}

impl Election {
    /// An election for the Lease of the daemon's name in the home namespace. `identity` must differ
    /// between replicas; after a restart it may be the same.
    pub(crate) fn new(
        client: &Client,
        home: Home,
        identity: String,
        times: LeaderElection,
        now: Now,
    ) -> (Self, Leadership) {
        let (standing, told) = watch::channel(Standing::Undecided);
        let (write, written) = watch::channel(Timestamp::MIN);
        let client = watched(client, times.renew_deadline / 2, write, now);
        let this = Self { client, home, identity, times, standing, written };
        (this, Leadership::new(told, now))
    }

    /// Takes the Lease when it is free, and renews it. After the shutdown it is held until all
    /// `workers` are gone, who write under it, and then given up, so that another may take it at once.
    pub(crate) async fn run(
        mut self,
        shutdown: CancellationToken,
        mut workers: mpsc::Receiver<Infallible>,
    ) -> Result<()> {
        let done = async {
            shutdown.cancelled().await;
            workers.recv().await;
        };
        tokio::select! {
            () = self.stand() => {}
            () = done => {}
        }
        if matches!(*self.standing.borrow(), Standing::LeaderUntil(_)) {
            self.give_up().await;
        }
        Ok(())
    }

    async fn stand(&mut self) {
        let mut failures = 0_u32;
        loop {
            let started = Instant::now();
            let Err(error) = self.follow_lease().await else { continue };
            // In an outage there is one every few seconds.
            failures = if started.elapsed() > self.times.lease_duration { 1 } else { failures + 1 };
            if failures.is_power_of_two() {
                let (lease, error) = (&self.home.name, Chain(&error));
                warn!(lease, failures, "the Lease cannot be had or renewed yet: {error}");
            }
            sleep(self.times.retry_period).await;
        }
    }

    /// Follows the Lease until something fails. Whoever does not lead looks at it anew after each
    /// retry period: the manager itself would wait until the lease that it knows of is over, also
    /// when its holder has given it up.
    async fn follow_lease(&mut self) -> Result<(), LeaseManagerError> {
        let manager = self.manager().await?;
        let mut leads = false;
        let changed = manager.changed();
        pin!(changed);
        loop {
            tokio::select! {
                now_leads = &mut changed => {
                    leads = now_leads?;
                    self.announce(leads);
                    changed.set(manager.changed());
                }
                Ok(()) = self.written.changed(), if leads => self.announce(true),
                () = sleep(self.times.retry_period), if !leads => {
                    self.announce(false);
                    return Ok(());
                }
            }
        }
    }

    fn announce(&self, leads: bool) {
        let written = *self.written.borrow();
        if leads && written == Timestamp::MIN {
            // A former life of this replica has left the Lease: it counts once it is renewed.
            return;
        }
        let standing = if leads {
            let until = written.saturating_add(self.times.renew_deadline);
            Standing::LeaderUntil(until.unwrap_or(Timestamp::MAX))
        } else {
            Standing::Follower
        };
        let before = self.standing.send_replace(standing);
        match (before, standing) {
            (Standing::LeaderUntil(_), Standing::LeaderUntil(_)) => {}
            (_, Standing::LeaderUntil(_)) => info!(identity = self.identity, "this replica leads"),
            (Standing::Follower, _) => {}
            (_, _) => info!(identity = self.identity, "another replica leads"),
        }
    }

    async fn give_up(&self) {
        let giving_up = async { self.manager().await?.release().await };
        match timeout(self.times.renew_deadline, giving_up).await {
            Ok(Ok(())) => info!("gave up the Lease"),
            Ok(Err(error)) => warn!("the Lease was not given up: {}", Chain(&error)),
            Err(_) => warn!("the Lease was not given up: the API server does not answer"),
        }
    }

    /// A manager that makes the Lease if there is none, and has looked at it.
    async fn manager(&self) -> Result<LeaseManager, LeaseManagerError> {
        let LeaderElection { lease_duration, retry_period, .. } = self.times;
        // It renews this long before the lease is over: one retry period after it has written it.
        let grace = lease_duration.saturating_sub(retry_period).as_secs();
        LeaseManagerBuilder::new(self.client.clone(), &self.home.name)
            .with_namespace(&self.home.namespace)
            .with_parameters(LeaseParams::new(&self.identity, lease_duration.as_secs(), grace))
            .build()
            .await
    }
}

/// A client that gives up on a request after a time, and tells when it has written something: the
/// manager renews in silence. What counts is when the request was sent, which others cannot have
/// taken for later.
fn watched(client: &Client, limit: Duration, write: watch::Sender<Timestamp>, now: Now) -> Client {
    let namespace = client.default_namespace().to_owned();
    let client = client.clone();
    let service = service_fn(move |request: Request<Body>| {
        let (client, write) = (client.clone(), write.clone());
        async move {
            let (sent, writes) = (now(), request.method() == Method::PATCH);
            let response = timeout(limit, client.send(request)).await??;
            if writes && response.status().is_success() {
                write.send_replace(sent);
            }
            Ok::<_, BoxError>(response)
        }
    });
    Client::new(service, namespace)
}
