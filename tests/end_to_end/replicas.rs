//! Two replicas: one leads, the other is ready to.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{create_namespace, eventually_secret},
    control_plane::{AuditLog, ControlPlane, Request},
    daemon::{Daemon, Installation},
    fake_aws::{FakeAws, Operation},
    wait::eventually,
};
use k8s_openapi::{api::coordination::v1::Lease, jiff::Timestamp};
use kube::Api;
use serde_json::json;

use crate::scenario::Scenario;

const PATIENCE: Duration = Duration::from_secs(30);
const LEASE: Duration = Duration::from_secs(6);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("a follower is ready, makes no calls and writes nothing", follower),
        Scenario::new("on SIGTERM the leader hands over before its lease is over", handed_over),
        Scenario::new("when the leader is killed, the other goes on within the lease", killed),
        Scenario::new("a leader that slept through its lease writes nothing more", slept),
    ]
}

/// Two replicas of one installation, with tokens that live for 8 s. The first leads.
struct Replicas {
    aws: FakeAws,
    installation: Installation,
    leader: Daemon,
    follower: Daemon,
}

impl Replicas {
    async fn start(control_plane: &Arc<ControlPlane>, name: &str) -> Result<Self> {
        let client = control_plane.admin_client();
        for letter in ["a", "b", "c"] {
            create_namespace(&client, &format!("{name}-{letter}"), &[]).await?;
        }
        let aws = FakeAws::start().await?;
        aws.set_token_life(Duration::from_secs(8));
        let config = json!({
            "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
            "secrets": [{ "name": format!("{name}-pull"), "namespaces": [format!("{name}-?")] }],
            "refresh": { "spread": "0s" },
            "leaderElection": {
                "leaseDuration": "6s", "renewDeadline": "4s", "retryPeriod": "1s",
            },
        });
        let installation = Installation::new(control_plane, name, config).await?;
        let leader = installation.start_replica("first", &aws).await?;
        leader.ready().await?;
        let follower = installation.start_replica("second", &aws).await?;
        follower.ready().await?;
        Ok(Self { aws, installation, leader, follower })
    }
}

/// Waits until a daemon leads; how long that took.
async fn leads(daemon: &Daemon) -> Result<Duration> {
    let started = std::time::Instant::now();
    eventually("the other to lead", PATIENCE, async || {
        ensure!(daemon.metric("ecr_refresher_leader").await? > 0.0, "it does not");
        Ok(())
    })
    .await?;
    Ok(started.elapsed())
}

/// The writes of copies, each with the Pod that sent it, in the order in which they arrived.
fn writes(audit: &AuditLog, installation: &Installation) -> Result<Vec<(Timestamp, String)>> {
    let is_write = |request: &Request| {
        request.resource == "secrets"
            && request.namespace != installation.home()
            && !["get", "list", "watch"].contains(&request.verb.as_str())
    };
    let requests = audit.requests_by(&installation.user())?.into_iter().filter(is_write);
    let mut writes = requests
        .map(|request| {
            let pod = ["first", "second"]
                .into_iter()
                .find(|pod| request.user_agent.ends_with(&format!("({pod})")));
            Ok((request.received, pod.context("a write of an unknown Pod")?.to_owned()))
        })
        .collect::<Result<Vec<_>>>()?;
    writes.sort();
    Ok(writes)
}

/// Waits until the second has written all three copies, and checks that the first had ended by then.
async fn one_after_the_other(audit: &AuditLog, installation: &Installation) -> Result<()> {
    let all = eventually("the second's writes in the audit log", PATIENCE, async || {
        let all = writes(audit, installation)?;
        let seconds = all.iter().filter(|(_, pod)| pod == "second").count();
        ensure!(seconds >= 3, "{seconds} writes");
        Ok(all)
    })
    .await?;
    ensure!(all.iter().filter(|(_, pod)| pod == "first").count() >= 3, "{all:?}");
    ensure!(all.iter().map(|(_, pod)| pod).is_sorted(), "they wrote at once: {all:?}");
    Ok(())
}

async fn follower(control_plane: Arc<ControlPlane>) -> Result<()> {
    let audit = control_plane.audit().from_now()?;
    let Replicas { aws, installation, leader, follower } =
        Replicas::start(&control_plane, "follow").await?;
    ensure!(leader.metric("ecr_refresher_leader").await? > 0.0, "the first leads");
    ensure!(follower.metric("ecr_refresher_leader").await? <= 0.0, "the second follows");
    // Two rotations of the leader later.
    let calls = aws.count(Operation::GetAuthorizationToken);
    eventually("two rotations", PATIENCE, async || {
        ensure!(aws.count(Operation::GetAuthorizationToken) >= calls + 2);
        Ok(())
    })
    .await?;
    let (_, metrics) = follower.get("/metrics").await?;
    for absent in ["expiration_timestamp", "ecr_refresher_copies{", "ecr_refresher_token_requests"]
    {
        ensure!(!metrics.contains(absent), "the follower shows {absent}: {metrics}");
    }
    let last_event = r#"ecr_refresher_watch_last_event_timestamp_seconds{resource="secrets"}"#;
    ensure!(follower.metric(last_event).await? > 0.0, "the follower watches");
    ensure!(follower.get("/readyz").await?.0 == 200);
    let all = writes(&audit, &installation)?;
    ensure!(all.len() >= 6 && all.iter().all(|(_, pod)| pod == "first"), "{all:?}");
    Ok(())
}

async fn handed_over(control_plane: Arc<ControlPlane>) -> Result<()> {
    let audit = control_plane.audit().from_now()?;
    let Replicas { aws: _aws, installation, leader, follower } =
        Replicas::start(&control_plane, "handover").await?;
    ensure!(leader.stop().await?.success());
    let took = leads(&follower).await?;
    ensure!(took < LEASE / 2, "it took {took:?}");
    one_after_the_other(&audit, &installation).await
}

async fn killed(control_plane: Arc<ControlPlane>) -> Result<()> {
    let audit = control_plane.audit().from_now()?;
    let client = control_plane.admin_client();
    let Replicas { aws, installation, leader, follower } =
        Replicas::start(&control_plane, "orphan").await?;
    leader.kill()?;
    create_namespace(&client, "orphan-d", &[]).await?;
    let took = leads(&follower).await?;
    // The Lease, up to a second of random delay of the candidates, and a busy machine.
    ensure!(took < LEASE + Duration::from_secs(6), "it took {took:?}");
    eventually_secret(&client, "orphan-d", "orphan-pull", PATIENCE, |_| Ok(())).await?;
    one_after_the_other(&audit, &installation).await?;
    let lease: Lease = Api::namespaced(client, installation.home())
        .get(installation.name())
        .await
        .context("the Lease")?;
    let holder = lease.spec.context("an empty Lease")?.holder_identity;
    ensure!(holder.as_deref() == Some("second"), "{holder:?}");
    ensure!(aws.count(Operation::GetAuthorizationToken) >= 2);
    Ok(())
}

async fn slept(control_plane: Arc<ControlPlane>) -> Result<()> {
    let audit = control_plane.audit().from_now()?;
    let Replicas { aws: _aws, installation, mut leader, follower } =
        Replicas::start(&control_plane, "asleep").await?;
    leader.suspend(true)?;
    leads(&follower).await?;
    leader.suspend(false)?;
    eventually("the first to follow", PATIENCE, async || {
        ensure!(leader.log()?.contains("another replica leads"), "it does not say so");
        Ok(())
    })
    .await?;
    ensure!(leader.metric("ecr_refresher_leader").await? <= 0.0, "it follows");
    one_after_the_other(&audit, &installation).await
}
