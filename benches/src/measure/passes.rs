//! First rollouts and refreshes, the daemon's and the floor's in turn.

use std::time::Duration;

use anyhow::{Result, ensure};
use ecr_refresher_tests::{
    cluster,
    control_plane::{AuditLog, Request},
    daemon::Daemon,
    fake_aws::Operation,
};
use tokio::time::sleep;

use crate::{
    floor,
    numbers::{middle, ratio},
    population::{delete_copies, is_listed},
    progress::say,
    stage::{SECRET, Stage, stop, written},
    traffic::{Traffic, is_of_rollout, is_refresh, is_write},
    usage,
};

/// How long the API server rests before a refresh, the daemon's and the floor's: what it has to do
/// after a rollout is not to slow one of them alone.
pub(crate) const BETWEEN_PASSES: Duration = Duration::from_secs(1);

/// One pass over all copies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pass {
    /// From the first request of it to the answer of the last.
    pub(crate) took: Duration,
    /// What the daemon used of the processor for it.
    pub(crate) cpu: Duration,
    /// How often AWS was asked for a token.
    pub(crate) tokens: usize,
    pub(crate) patches: usize,
    pub(crate) gets: usize,
    pub(crate) lists: usize,
    /// All requests, as text.
    pub(crate) requests: String,
}

/// All passes over the same namespaces, by rounds.
#[derive(Debug, Default)]
pub(crate) struct Passes {
    pub(crate) rollouts: Vec<Pass>,
    pub(crate) refreshes: Vec<Pass>,
    pub(crate) floor_rollouts: Vec<Duration>,
    pub(crate) floor_refreshes: Vec<Duration>,
}

/// How passes compare to the floor. Those of one round ran one after the other, so that a machine
/// that has become slower or quicker meanwhile did so for both; the round in the middle counts.
pub(crate) fn to_floor(passes: &[Pass], floor: &[Duration]) -> f64 {
    let rounds = passes.iter().zip(floor);
    middle(rounds.map(|(pass, &floor)| ratio(pass.took, floor)).collect())
}

/// Whatever else a machine does makes a short time longer and never shorter: the quickest counts.
pub(crate) fn quickest(times: impl IntoIterator<Item = Duration>) -> Duration {
    times.into_iter().min().unwrap_or_default()
}

/// Measures `rounds` rounds. The last is the daemon's, which is left running with all copies fresh.
pub(crate) async fn measure(
    stage: &Stage,
    namespaces: &[String],
    rounds: usize,
) -> Result<(Passes, Daemon)> {
    let mut passes = Passes::default();
    // Alternating, so that neither has always the fresher server.
    for round in 0..rounds {
        let last = round + 1 == rounds;
        let floor_first = last || round % 2 == 1;
        if floor_first {
            floor_round(stage, namespaces, &mut passes).await?;
        }
        let daemon = daemon_round(stage, namespaces, &mut passes).await?;
        if last {
            return Ok((passes, daemon));
        }
        stop(daemon).await?;
        clear(stage, namespaces).await?;
        if !floor_first {
            floor_round(stage, namespaces, &mut passes).await?;
        }
    }
    anyhow::bail!("there is no round to measure")
}

async fn floor_round(stage: &Stage, namespaces: &[String], passes: &mut Passes) -> Result<()> {
    say("  floor: first rollout and refresh");
    stage.control_plane.compact().await?;
    let copies = namespaces.len() * stage.secrets.len();
    let audit = stage.audit()?;
    stage.floor().rollout_and_refresh(is_listed).await?;
    let traffic = Traffic::of(&audit, &stage.installation.user())?;
    let (patches, wanted) = (traffic.copies("patch"), 2 * copies);
    ensure!(patches == wanted, "the floor made {patches} writes of {wanted}");
    // A copy that was not there before is answered with 201.
    passes.floor_rollouts.push(traffic.span(|one| is_of_rollout(one) && !is_refresh(one))?);
    passes.floor_refreshes.push(traffic.span(is_refresh)?);
    delete_copies(stage, namespaces).await
}

async fn daemon_round(stage: &Stage, namespaces: &[String], passes: &mut Passes) -> Result<Daemon> {
    let all = namespaces.len() * stage.secrets.len();
    say("  daemon: first rollout");
    stage.control_plane.compact().await?;
    stage.aws.forget_calls();
    let audit = stage.audit()?;
    let daemon = stage.start().await?;
    written(&daemon, all).await?;
    passes.rollouts.push(pass(stage, &audit, usage::cpu(daemon.pid())?, is_of_rollout)?);
    same_size(stage, &namespaces[0]).await?;
    sleep(BETWEEN_PASSES).await;
    say("  daemon: refresh");
    let refresh = refresh(stage, &daemon, all, 2 * all).await?;
    passes.refreshes.push(refresh);
    Ok(daemon)
}

/// Has the daemon refresh all copies, and waits until it has made `written_after` writes.
pub(crate) async fn refresh(
    stage: &Stage,
    daemon: &Daemon,
    copies: usize,
    written_after: usize,
) -> Result<Pass> {
    stage.aws.forget_calls();
    let audit = stage.audit()?;
    let before = usage::cpu(daemon.pid())?;
    stage.force_refresh().await?;
    written(daemon, written_after).await?;
    let cpu = usage::cpu(daemon.pid())?.saturating_sub(before);
    let pass = pass(stage, &audit, cpu, is_write)?;
    ensure!(pass.patches >= copies, "{} of {copies} copies were refreshed", pass.patches);
    Ok(pass)
}

fn pass(
    stage: &Stage,
    audit: &AuditLog,
    cpu: Duration,
    counts: fn(&Request) -> bool,
) -> Result<Pass> {
    let traffic = Traffic::of(audit, &stage.installation.user())?;
    Ok(Pass {
        took: traffic.span(counts)?,
        cpu,
        tokens: stage.aws.count(Operation::GetAuthorizationToken),
        patches: traffic.copies("patch"),
        gets: traffic.copies("get"),
        lists: traffic.lists(),
        requests: traffic.kinds_text(),
    })
}

/// Leaves nothing of the daemon's: its next start is a first one.
pub(crate) async fn clear(stage: &Stage, namespaces: &[String]) -> Result<()> {
    stage.force_refresh().await?;
    delete_copies(stage, namespaces).await
}

/// Fails unless the floor writes as many bytes as the daemon does.
async fn same_size(stage: &Stage, namespace: &str) -> Result<()> {
    let copy = cluster::secret(&stage.admin(), namespace, SECRET).await?;
    let bytes = |secret: k8s_openapi::api::core::v1::Secret| {
        secret.data.into_iter().flatten().map(|(_, data)| data.0.len()).sum::<usize>()
    };
    let (daemon, floor) = (copy.map(bytes), bytes(floor::pull_secret(SECRET)?));
    ensure!(daemon == Some(floor), "the floor writes {floor} bytes, the daemon {daemon:?}");
    Ok(())
}
