//! What happens in a cluster every day.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{create_namespace, delete_secret},
    fake_aws::Operation,
    wait::eventually,
};
use jiff::Timestamp;

use super::super::scene::Scene;
use super::super::stage::{LISTED, SECRET, TOKEN_LIFE};
use super::copies::{all_hold_newest, copies, time_to_copy, time_to_refresh, uids};

pub(super) async fn first_rollout(scene: &Scene<'_>) -> Result<String> {
    let stage = scene.stage;
    let start = Instant::now();
    stage.start_replica("ecr-refresher-0").await?;
    let took = start.elapsed().as_millis();
    let copies = uids(&copies(stage).await?);
    ensure!(copies.keys().eq(LISTED), "the copies are in {:?}", copies.keys());
    let calls = stage.aws.count(Operation::GetAuthorizationToken);
    ensure!(calls == 1, "AWS was called {calls} times");
    let count = copies.len();
    Ok(format!("{count} copies {took} ms after the daemon's start, by 1 call to AWS"))
}

pub(super) async fn added_namespace(scene: &Scene<'_>) -> Result<String> {
    let (stage, name) = (scene.stage, "team-c");
    let client = stage.client();
    let took = time_to_copy(stage, name, create_namespace(&client, name, &[])).await?;
    Ok(format!("{name} has its copy after {} ms", took.as_millis()))
}

pub(super) async fn edited_config(scene: &Scene<'_>) -> Result<String> {
    let (pattern, name) = ("shop-*", "shop-web");
    let took = time_to_copy(scene.stage, name, async { scene.stage.allow(pattern) }).await?;
    Ok(format!("with \"{pattern}\", {name} has its copy after {} ms", took.as_millis()))
}

pub(super) async fn deleted_copy(scene: &Scene<'_>) -> Result<String> {
    let (stage, name) = (scene.stage, "payments");
    let client = stage.client();
    let took = time_to_copy(stage, name, delete_secret(&client, name, SECRET)).await?;
    Ok(format!("{name} has it back after {} ms", took.as_millis()))
}

pub(super) async fn rotation(scene: &Scene<'_>) -> Result<String> {
    let stage = scene.stage;
    let before = uids(&copies(stage).await?);
    let current = stage.aws.issued().len();
    let due = time_to_refresh(stage)?.as_secs();
    scene.note(format!("token #{current} is at half its life in about {due} s"));
    let what = "every copy to hold the next token";
    let rotated = eventually(what, TOKEN_LIFE * 2, async || {
        ensure!(stage.aws.issued().len() > current, "AWS was not asked for it");
        let copies = all_hold_newest(stage).await?;
        ensure!(uids(&copies) == before, "a copy was made anew");
        Ok(())
    });
    scene.waiting(what, rotated).await?;
    let issued = stage.aws.issued();
    let newest = issued.last().context("AWS has issued no token")?;
    let took = Timestamp::now().duration_since(newest.issued_at).as_secs_f64();
    let (number, count) = (issued.len(), before.len());
    Ok(format!("#{number} was in all {count} copies after {took:.1} s, in place: same UIDs"))
}
