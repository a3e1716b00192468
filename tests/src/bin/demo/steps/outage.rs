//! AWS fails when a token is due.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{cluster::create_namespace, fake_aws::Fault, wait::eventually};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use serde_json::Value;

use super::super::scene::Scene;
use super::super::stage::{LEADER, Stage, TOKEN_LIFE};
use super::copies::{
    all_hold_newest, check_same, copies, copy, holds_newest, is_good, time_to_copy, time_to_refresh,
};

/// What AWS answers meanwhile, and what the daemon calls that.
const STATUS: u16 = 503;
const REASON: &str = "server_error";
/// The number of calls that fail before AWS recovers.
const FAILURES: u64 = 5;
/// The namespace that is added meanwhile.
const NEWCOMER: &str = "team-d";

pub(super) async fn aws_fails(scene: &Scene<'_>) -> Result<String> {
    let stage = scene.stage;
    let failed_before = stage.counts(LEADER).await?.failed_aws_calls;
    stage.aws.fail_with(Fault::ServerError(STATUS));
    let due = time_to_refresh(stage)?.as_secs();
    scene.note(format!("AWS answers {STATUS}; the next token is due in about {due} s"));
    failures(scene, "the next token to be due", failed_before + 1).await?;
    let down = Instant::now();
    scene.note(format!("the log: {}", failure_in_log(stage)?));
    let before = all_hold_newest(stage).await?;
    let last = stage.aws.issued().len();

    let client = stage.client();
    let took = time_to_copy(stage, NEWCOMER, create_namespace(&client, NEWCOMER, &[])).await?;
    holds_newest(&copy(stage, NEWCOMER).await?, &stage.aws.issued())?;
    let took = took.as_millis();
    scene.note(format!("{NEWCOMER}, added just now, has its copy of #{last} after {took} ms"));
    failures(scene, "more calls to fail", failed_before + FAILURES).await?;
    scene.pause().await;
    let count = check_last_good(stage, &before).await? - failed_before;
    scene.note(format!("{count} failed calls in the metrics, all copies as they were, and good"));

    stage.aws.heal();
    let healed = Instant::now();
    let what = "the next token in every copy";
    let next = eventually(what, TOKEN_LIFE, async || {
        ensure!(stage.aws.issued().len() > last, "AWS was not asked for it");
        all_hold_newest(stage).await
    });
    check_same(&before, &scene.waiting(what, next).await?)?;
    let (down, healed) = (healed.duration_since(down).as_secs_f64(), healed.elapsed());
    let (next, healed) = (stage.aws.issued().len(), healed.as_secs_f64());
    Ok(format!("#{last} stayed for {down:.1} s of failures; #{next} came {healed:.1} s after them"))
}

/// Waits until the metrics show that so many calls have failed.
async fn failures(scene: &Scene<'_>, what: &str, wanted: u64) -> Result<()> {
    let failed = eventually(what, TOKEN_LIFE, async || {
        let failed = scene.stage.counts(LEADER).await?.failed_aws_calls;
        ensure!(failed >= wanted, "{failed} calls have failed so far, and not {wanted}");
        Ok(())
    });
    scene.waiting(what, failed).await
}

/// Checks that the copies before have not been written since, that ECR takes what all copies hold,
/// and that the daemon thinks so too. Returns how many of its calls have failed so far.
async fn check_last_good(stage: &Stage, before: &[Secret]) -> Result<u64> {
    let copies = copies(stage).await?;
    for copy in before {
        ensure!(copies.contains(copy), "{:?} has another copy now", copy.namespace());
    }
    copies.iter().try_for_each(|copy| is_good(copy, stage))?;
    let counts = stage.counts(LEADER).await?;
    ensure!(counts.failing() == 0, "the metrics show {} failing copies", counts.failing());
    Ok(counts.failed_aws_calls)
}

/// What the daemon's log says of the failure.
fn failure_in_log(stage: &Stage) -> Result<String> {
    let log = stage.log_path(LEADER).context("no daemon runs")?;
    let text = std::fs::read_to_string(log)?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut failures = lines.filter(|line| line["reason"] == REASON);
    let failure = failures.next().context("the log does not show the failure")?;
    let message = failure["message"].as_str().context("the line has no message")?;
    Ok(message.to_owned())
}
