//! Performs the faults of a plan.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::{
    cluster_acts,
    config::{Config, REGISTRIES},
    expectation::Reach,
    fault::{Edit, Fault, Network, Process, Target},
    plan::Planned,
    stage::Stage,
};
use crate::{
    fake_aws::{self, Rule},
    fault_proxy::NetworkFault,
};

/// Performs faults one after the other, each at its time after `start`.
pub(super) async fn perform(stage: &Stage, planned: Vec<Planned>, start: Instant) -> Result<()> {
    for planned in planned {
        sleep_until(start + planned.at).await;
        // The last fault may have taken longer than planned, as a replica does that ends slowly.
        if planned.lasts > Duration::ZERO && Instant::now() >= start + planned.end() {
            continue;
        }
        let fault = planned.fault.to_string();
        stage.journal.fault(&fault);
        let performer = Performer { stage, until: start + planned.end() };
        performer.perform(planned.fault).await.with_context(|| fault.clone())?;
        if planned.lasts > Duration::ZERO {
            stage.journal.end(&fault);
        }
    }
    Ok(())
}

/// Performs one fault, which ends at that time.
struct Performer<'a> {
    stage: &'a Stage,
    until: Instant,
}

impl Performer<'_> {
    async fn perform(&self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Aws { fault, region } => {
                self.aws(fault, region).await;
                Ok(())
            }
            Fault::Network { fault, target } => self.network(fault, target).await,
            Fault::Process { fault, target } => self.process(fault, target).await,
            Fault::Config(edit) => self.edit(edit).await,
            Fault::Cluster { act, pick } => cluster_acts::perform(self.stage, act, pick).await,
        }
    }

    async fn aws(&self, fault: fake_aws::Fault, region: Option<usize>) {
        let rule = Rule::always(fault);
        let region = region.and_then(|region| REGISTRIES.get(region));
        let rule = match region {
            Some((_, region)) => rule.in_region(*region),
            None => rule,
        };
        let disturbance = self.stage.expectation().begin(Reach::Aws, Timestamp::now());
        self.stage.aws.fail(rule);
        sleep_until(self.until).await;
        self.stage.aws.heal();
        self.stage.expectation().end(disturbance, Timestamp::now());
    }

    async fn network(&self, fault: Network, target: Target) -> Result<()> {
        let replicas = self.stage.replicas.of(target).await?;
        let disturbance = self.begin(target);
        for replica in &replicas {
            match fault {
                Network::For(fault) => replica.proxy.set(fault),
                Network::Cut => replica.proxy.cut(),
                Network::Forget => {
                    self.stage.expectation().forget_connections(Timestamp::now());
                    replica.proxy.freeze();
                }
            }
            if fault == Network::For(NetworkFault::Refuse) {
                replica.proxy.cut();
            }
        }
        if matches!(fault, Network::For(_)) {
            sleep_until(self.until).await;
            for replica in &replicas {
                replica.proxy.set(NetworkFault::None);
            }
        }
        self.end(disturbance);
        Ok(())
    }

    async fn process(&self, fault: Process, target: Target) -> Result<()> {
        let disturbance = self.begin(target);
        for replica in self.stage.replicas.of(target).await? {
            let mut running = replica.daemon.lock().await;
            let mut daemon = running.take().context("the replica does not run")?;
            match fault {
                Process::Suspend => {
                    daemon.suspend(true)?;
                    sleep_until(self.until).await;
                    daemon.suspend(false)?;
                    *running = Some(daemon);
                    continue;
                }
                Process::Kill => daemon.kill()?,
                Process::Terminate => {
                    let status = daemon.stop().await?;
                    ensure!(status.success(), "on SIGTERM it ended with {status}");
                }
            }
            drop(running);
            sleep_until(self.until).await;
            replica.start(&self.stage.installation).await?;
        }
        self.end(disturbance);
        Ok(())
    }

    /// Begins a fault of some replica. One of the follower keeps the leader from nothing.
    fn begin(&self, target: Target) -> Option<usize> {
        let mut expectation = self.stage.expectation();
        (target != Target::Follower).then(|| expectation.begin(Reach::Cluster, Timestamp::now()))
    }

    /// Ends it.
    fn end(&self, disturbance: Option<usize>) {
        if let Some(disturbance) = disturbance {
            self.stage.expectation().end(disturbance, Timestamp::now());
        }
    }

    /// Edits the config, and undoes that at the end.
    async fn edit(&self, edit: Edit) -> Result<()> {
        let path = self.stage.installation.config();
        let edited = Config { edit: Some(edit) };
        // What is not valid changes nothing.
        let expected = if edit == Edit::Break { Config::default() } else { edited };
        // An edit only removes, apart from labels: first it is no longer expected, then it is removed.
        self.stage.expectation().set_config(expected, Timestamp::now());
        edited.write(&path)?;
        sleep_until(self.until).await;
        Config::default().write(&path)?;
        self.stage.expectation().set_config(Config::default(), Timestamp::now());
        Ok(())
    }
}
