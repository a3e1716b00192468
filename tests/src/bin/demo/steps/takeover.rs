//! Two replicas, and the death of the one that leads.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{cluster::create_namespace, wait::eventually};

use super::super::copy_watch::CopyWatch;
use super::super::scene::Scene;
use super::super::stage::{FOLLOWER, LEADER, LEASE, SECRET};
use super::copies::{DEADLINE, check_same, copies, copy, counts_are, is_good};

/// The time beyond the Lease: a random delay of the candidates, and a busy machine.
const MARGIN: Duration = Duration::from_secs(8);
/// The namespace that is added while no replica leads.
const NEWCOMER: &str = "team-e";

pub(super) async fn leader_dies(scene: &Scene<'_>) -> Result<String> {
    let stage = scene.stage;
    stage.start_replica("ecr-refresher-1").await?;
    ensure!(stage.counts(LEADER).await?.leads, "the first replica does not lead");
    ensure!(!stage.counts(FOLLOWER).await?.leads, "the second replica leads too");
    scene.note("a second replica follows: it makes no calls and writes nothing");
    scene.pause().await;

    let before = copies(stage).await?;
    let mut watch = CopyWatch::start(&stage.client(), NEWCOMER, SECRET).await?;
    let killed = Instant::now();
    stage.kill_leader()?;
    create_namespace(&stage.client(), NEWCOMER, &[]).await?;
    let lease = LEASE.as_secs();
    scene.note(format!("the leader is killed, {NEWCOMER} is added; a lease lasts for {lease} s"));
    let what = "the other one to lead";
    let leads = eventually(what, LEASE + MARGIN, async || {
        ensure!(stage.counts(LEADER).await?.leads, "it does not");
        Ok(())
    });
    scene.waiting(what, leads).await?;
    scene.note("the other replica leads");
    watch.appears(DEADLINE).await?;
    let took = killed.elapsed().as_secs_f64();
    is_good(&copy(stage, NEWCOMER).await?, stage)?;
    let log = stage.log_path(LEADER).context("no daemon runs")?;
    let has_cached = std::fs::read_to_string(log)?.contains("using the token of the token cache");
    ensure!(has_cached, "the other replica did not use the token cache");
    let after = copies(stage).await?;
    check_same(&before, &after)?;
    counts_are(stage, "its copies to be fresh", |counts| {
        ensure!(counts.fresh == after.len() as u64, "{} are fresh", counts.fresh);
        Ok(())
    })
    .await?;
    Ok(format!("{NEWCOMER} has its copy {took:.1} s later, of the cached token"))
}
