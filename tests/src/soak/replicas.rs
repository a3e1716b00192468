//! The replicas of the daemon, each behind a proxy of its own.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

use super::fault::Target;
use crate::{
    daemon::{Daemon, Installation},
    fake_aws::FakeAws,
    fault_proxy::FaultProxy,
};

const PODS: [&str; 2] = ["first", "second"];
/// An edit of the config that is not valid is undone by then.
const STARTED_WITHIN: Duration = Duration::from_secs(40);
/// Between two starts.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// One replica, which may be down.
pub(super) struct Replica {
    pod: &'static str,
    command: Command,
    pub(super) proxy: FaultProxy,
    pub(super) daemon: Mutex<Option<Daemon>>,
}

/// Both replicas.
pub(super) struct Replicas {
    all: Vec<Replica>,
    leases: Api<Lease>,
    lease: String,
}

impl Replica {
    async fn new(installation: &Installation, aws: &FakeAws, pod: &'static str) -> Result<Self> {
        let (command, proxy) = installation.proxied_replica(pod, aws).await?;
        Ok(Self { pod, command, proxy, daemon: Mutex::default() })
    }

    /// Starts the daemon, which must not run, again and again as the kubelet does: with a config
    /// that is not valid it does not start.
    pub(super) async fn start(&self, installation: &Installation) -> Result<()> {
        let deadline = Instant::now() + STARTED_WITHIN;
        let daemon = loop {
            match installation.start_command(&self.command).await {
                Ok(daemon) => break daemon,
                Err(_) if Instant::now() < deadline => sleep(RESTART_DELAY).await,
                Err(error) => {
                    return Err(error.context(format!("starting the replica {}", self.pod)));
                }
            }
        };
        *self.daemon.lock().await = Some(daemon);
        Ok(())
    }
}

impl Replicas {
    /// Starts both.
    pub(super) async fn start(
        client: &Client,
        installation: &Installation,
        aws: &FakeAws,
    ) -> Result<Self> {
        let mut all = Vec::new();
        for pod in PODS {
            let replica = Replica::new(installation, aws, pod).await?;
            replica.start(installation).await?;
            all.push(replica);
        }
        let leases = Api::namespaced(client.clone(), installation.home());
        Ok(Self { all, leases, lease: installation.name().to_owned() })
    }

    /// The replicas that a fault is about.
    pub(super) async fn of(&self, target: Target) -> Result<Vec<&Replica>> {
        let holder = self.holder().await?;
        let leads = |replica: &Replica| replica.pod == holder;
        let is_meant = |replica: &&Replica| match target {
            Target::Leader => leads(replica),
            Target::Follower => !leads(replica),
            Target::Both => true,
        };
        let mut meant: Vec<_> = self.all.iter().filter(is_meant).collect();
        if target != Target::Both {
            // The Lease may have no holder: then both follow.
            meant.truncate(1);
            if meant.is_empty() {
                meant.extend(self.all.first());
            }
        }
        Ok(meant)
    }

    /// The holder of the Lease, or nothing.
    async fn holder(&self) -> Result<String> {
        let lease = self.leases.get(&self.lease).await.context("reading the Lease")?;
        Ok(lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default())
    }

    /// Fails when a replica has ended by itself.
    pub(super) fn check_alive(&self) -> Result<()> {
        for replica in &self.all {
            // One that is being stopped or started is locked.
            let Ok(mut daemon) = replica.daemon.try_lock() else { continue };
            let Some(daemon) = daemon.as_mut() else { continue };
            if let Some(status) = daemon.ended()? {
                let log = crate::process::last_lines(daemon.log_path(), 10);
                bail!("the replica {} ended by itself with {status}:\n{log}", replica.pod);
            }
        }
        Ok(())
    }

    /// Fails unless exactly one leads, by its own word and by the Lease.
    pub(super) async fn check_one_leads(&self) -> Result<()> {
        let mut leaders = Vec::new();
        for replica in &self.all {
            let daemon = replica.daemon.lock().await;
            let daemon = daemon.as_ref().with_context(|| format!("{} is down", replica.pod))?;
            if daemon.metric("ecr_refresher_leader").await? > 0.0 {
                leaders.push(replica.pod);
            }
        }
        let holder = self.holder().await?;
        ensure!(leaders == [holder.as_str()], "{leaders:?} lead, and the Lease has {holder:?}");
        Ok(())
    }

    /// Stops both as Kubernetes does.
    pub(super) async fn stop(&self) -> Result<()> {
        for replica in &self.all {
            if let Some(daemon) = replica.daemon.lock().await.take() {
                let status = daemon.stop().await?;
                ensure!(status.success(), "the replica {} ended with {status}", replica.pod);
            }
        }
        Ok(())
    }
}
