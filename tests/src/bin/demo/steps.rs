//! The steps of the demo. Each does something, waits until the daemon has dealt with it, and says
//! in one line what came of that. A new one is a function, and a row in [`STEPS`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster,
    fake_aws::{IssuedToken, Operation},
    wait::eventually,
};
use futures::{FutureExt, future::LocalBoxFuture};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt, api::DeleteParams};

use super::copy_watch::CopyWatch;
use super::snapshot::TokenView;
use super::stage::{LISTED, SECRET, Stage, TOKEN_LIFE};
use super::story::Story;

/// A copy that is not there by then is not coming.
const DEADLINE: Duration = Duration::from_secs(20);
/// What waits in a step has a deadline of its own: this is for what hangs.
const LIMIT: Duration = Duration::from_mins(3);

struct Step {
    title: &'static str,
    run: for<'a> fn(&'a Stage) -> LocalBoxFuture<'a, Result<String>>,
}

const STEPS: [Step; 5] = [
    Step { title: "first rollout", run: |stage| first_rollout(stage).boxed_local() },
    Step { title: "a namespace is added", run: |stage| added_namespace(stage).boxed_local() },
    Step { title: "the config is edited", run: |stage| edited_config(stage).boxed_local() },
    Step { title: "a tenant deletes a copy", run: |stage| deleted_copy(stage).boxed_local() },
    Step { title: "the token rotates", run: |stage| rotation(stage).boxed_local() },
];

/// Runs all steps, with a pause between them for who watches.
pub(crate) async fn run(stage: &Stage, story: &Story, pause: Duration) -> Result<()> {
    for (number, step) in STEPS.iter().enumerate() {
        if number > 0 {
            tokio::time::sleep(pause).await;
        }
        story.begin(step.title);
        let outcome = tokio::time::timeout(LIMIT, (step.run)(stage)).await;
        let outcome = outcome.with_context(|| format!("it still ran after {LIMIT:?}"));
        story.done(outcome.flatten().with_context(|| format!("in the step {:?}", step.title))?);
    }
    Ok(())
}

async fn first_rollout(stage: &Stage) -> Result<String> {
    let start = Instant::now();
    stage.start_daemon().await?.ready().await?;
    let took = start.elapsed().as_millis();
    let copies = uids(&copies(stage).await?);
    ensure!(copies.keys().eq(LISTED), "the copies are in {:?}", copies.keys());
    let calls = stage.aws.count(Operation::GetAuthorizationToken);
    ensure!(calls == 1, "AWS was called {calls} times");
    let count = copies.len();
    Ok(format!("{count} copies {took} ms after the daemon's start, by 1 call to AWS"))
}

async fn added_namespace(stage: &Stage) -> Result<String> {
    let name = "team-c";
    let client = stage.client();
    let took =
        time_to_copy(stage, name, async { cluster::create_namespace(&client, name, &[]).await });
    Ok(format!("{name} has its copy after {} ms", took.await?))
}

async fn edited_config(stage: &Stage) -> Result<String> {
    let (pattern, name) = ("shop-*", "shop-web");
    let took = time_to_copy(stage, name, async { stage.allow(pattern) });
    Ok(format!("with \"{pattern}\", {name} has its copy after {} ms", took.await?))
}

async fn deleted_copy(stage: &Stage) -> Result<String> {
    let name = "payments";
    let api: Api<Secret> = Api::namespaced(stage.client(), name);
    let took = time_to_copy(stage, name, async {
        api.delete(SECRET, &DeleteParams::default()).await?;
        Ok(())
    });
    Ok(format!("{name} has it back after {} ms", took.await?))
}

async fn rotation(stage: &Stage) -> Result<String> {
    let before = uids(&copies(stage).await?);
    let current = stage.aws.issued().len();
    let deadline = TOKEN_LIFE * 2;
    let number = eventually("every copy to hold the next token", deadline, async || {
        let (copies, issued) = (copies(stage).await?, stage.aws.issued());
        ensure!(issued.len() > current, "AWS was not asked for it");
        copies.iter().try_for_each(|copy| holds_newest(copy, &issued))?;
        ensure!(uids(&copies) == before, "a copy was made anew");
        Ok(issued.len())
    });
    let (number, count) = (number.await?, before.len());
    Ok(format!("all {count} copies hold #{number} now, in place: same UIDs"))
}

fn holds_newest(copy: &Secret, issued: &[IssuedToken]) -> Result<()> {
    let namespace = copy.namespace().unwrap_or_default();
    let token = TokenView::of(copy, issued);
    let token = token.with_context(|| format!("{namespace} holds no token of AWS"))?;
    ensure!(token.number == issued.len(), "{namespace} still holds #{}", token.number);
    Ok(())
}

/// Does `action` and waits for the copy of a namespace to be made: in how many milliseconds.
async fn time_to_copy(
    stage: &Stage,
    namespace: &str,
    action: impl Future<Output = Result<()>>,
) -> Result<u128> {
    let mut watch = CopyWatch::start(&stage.client(), namespace, SECRET).await?;
    let start = Instant::now();
    action.await?;
    watch.appears(DEADLINE).await?;
    Ok(start.elapsed().as_millis())
}

async fn copies(stage: &Stage) -> Result<Vec<Secret>> {
    cluster::secrets(&stage.client(), SECRET).await
}

fn uids(copies: &[Secret]) -> BTreeMap<String, String> {
    let identity = |copy: &Secret| Some((copy.namespace()?, copy.uid()?));
    copies.iter().filter_map(identity).collect()
}
