//! Namespaces that leave the list: for good, and by mistake.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ecr_refresher_tests::{cluster, wait::eventually};
use kube::ResourceExt;

use super::super::scene::Scene;
use super::super::stage::{PRUNE_AFTER, SECRET, Stage, TOKEN_LIFE};
use super::copies::{DEADLINE, all_hold_newest, copy, counts_are, time_to_refresh};

/// A pattern that leaves for good, and the namespace that it matches.
const LEAVING: (&str, &str) = ("shop-*", "shop-web");
/// One that is put back.
const RETURNING: &str = "payments";
/// What the edits may take, beside the grace.
const EDITS: Duration = Duration::from_secs(3);

pub(super) async fn patterns_leave(scene: &Scene<'_>) -> Result<String> {
    let stage = scene.stage;
    let (pattern, leaving) = LEAVING;
    wait_for_calm(scene, PRUNE_AFTER + EDITS).await?;
    let (before, issued) = (copy(stage, RETURNING).await?, stage.aws.issued().len());

    let edited = Instant::now();
    stage.disallow(&[pattern, RETURNING])?;
    listed(stage, [(leaving, false), (RETURNING, false)]).await?;
    copy(stage, leaving).await?;
    let grace = PRUNE_AFTER.as_secs();
    scene.note(format!("\"{pattern}\" and {RETURNING} are out; their copies stay for {grace} s"));
    stage.allow(RETURNING)?;
    listed(stage, [(leaving, false), (RETURNING, true)]).await?;
    scene.note(format!("{RETURNING} is on the list again; {leaving} is not"));

    let what = format!("the copy in {leaving} to go");
    let gone = eventually(&what, PRUNE_AFTER + DEADLINE, async || {
        let copy = cluster::secret(&stage.client(), leaving, SECRET).await?;
        ensure!(copy.is_none(), "it is there");
        Ok(())
    });
    scene.waiting(&what, gone).await?;
    let took = edited.elapsed();
    ensure!(took >= PRUNE_AFTER, "the copy in {leaving} was gone after {took:?} already");
    let after = copy(stage, RETURNING).await?;
    ensure!(after.uid() == before.uid(), "the copy in {RETURNING} was made anew");
    // A machine that is too slow may have come to the next token.
    let has_rotated = stage.aws.issued().len() > issued;
    let is_unwritten = after.resource_version() == before.resource_version();
    ensure!(is_unwritten || has_rotated, "the copy in {RETURNING} was written");
    let took = took.as_secs_f64();
    Ok(format!("{leaving} lost its copy {took:.1} s after the edit; {RETURNING} cost no write"))
}

/// Waits until all copies are written, and the next token is that far away: so that each write that
/// is seen is one for another reason.
async fn wait_for_calm(scene: &Scene<'_>, calm: Duration) -> Result<()> {
    let what = "a time between two tokens";
    let calm = eventually(what, TOKEN_LIFE * 2, async || {
        let left = time_to_refresh(scene.stage)?;
        ensure!(left > calm, "the next token is {left:?} away");
        all_hold_newest(scene.stage).await.map(drop)
    });
    scene.waiting(what, calm).await
}

/// Waits until the daemon says which of these namespaces are on the list.
async fn listed(stage: &Stage, wanted: [(&str, bool); 2]) -> Result<()> {
    let follows = counts_are(stage, "the edit to be in force", |counts| {
        for (namespace, is_listed) in wanted {
            ensure!(counts.listed.contains(namespace) == is_listed, "{:?}", counts.listed);
        }
        Ok(())
    });
    follows.await.map(drop)
}
