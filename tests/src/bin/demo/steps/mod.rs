//! The steps of the demo. Each does something, waits until the daemon has dealt with it, checks
//! that, and says in one line what came of it. A new one is a function, and a row in [`STEPS`].

mod conflict;
mod copies;
mod everyday;
mod outage;
mod prune;
mod takeover;

use std::time::Duration;

use anyhow::{Context, Result};
use futures::{FutureExt, future::LocalBoxFuture};

use super::scene::Scene;
use super::stage::Stage;
use super::story::Story;

/// What waits in a step has a deadline of its own: this is for what hangs.
const LIMIT: Duration = Duration::from_mins(3);

/// A row of [`STEPS`].
pub(crate) struct Step {
    title: &'static str,
    /// What it does.
    plan: &'static str,
    run: for<'a> fn(&'a Scene<'a>) -> LocalBoxFuture<'a, Result<String>>,
}

pub(crate) const STEPS: [Step; 9] = [
    Step {
        title: "first rollout",
        plan: "the daemon starts, and no namespace has a copy yet",
        run: |scene| everyday::first_rollout(scene).boxed_local(),
    },
    Step {
        title: "a namespace is added",
        plan: "its name is one that the list allows already",
        run: |scene| everyday::added_namespace(scene).boxed_local(),
    },
    Step {
        title: "the config is edited",
        plan: "a pattern is added to the list, in the file that the daemon reads",
        run: |scene| everyday::edited_config(scene).boxed_local(),
    },
    Step {
        title: "a tenant deletes a copy",
        plan: "the namespace is still on the list",
        run: |scene| everyday::deleted_copy(scene).boxed_local(),
    },
    Step {
        title: "the token rotates",
        plan: "at half its life the daemon gets the next one, and writes it into all copies",
        run: |scene| everyday::rotation(scene).boxed_local(),
    },
    Step {
        title: "a conflict",
        plan: "a namespace joins the list that has a Secret of that name already, made by hand",
        run: |scene| conflict::foreign_secret(scene).boxed_local(),
    },
    Step {
        title: "pruning",
        plan: "two patterns are taken out of the config, and one of them is put back in time",
        run: |scene| prune::patterns_leave(scene).boxed_local(),
    },
    Step {
        title: "AWS is down",
        plan: "it fails when the next token is due, and comes back while the last one lives",
        run: |scene| outage::aws_fails(scene).boxed_local(),
    },
    Step {
        title: "the leader dies",
        plan: "a second replica starts, and then the one that leads is killed",
        run: |scene| takeover::leader_dies(scene).boxed_local(),
    },
];

/// Runs all steps, with a pause between them for the viewer.
pub(crate) async fn run(stage: &Stage, story: &Story, pause: Duration) -> Result<()> {
    let scene = Scene { stage, story, pause };
    for (number, step) in STEPS.iter().enumerate() {
        if number > 0 {
            scene.pause().await;
        }
        story.begin(step.title, step.plan);
        let outcome = tokio::time::timeout(LIMIT, (step.run)(&scene)).await;
        let outcome = outcome.with_context(|| format!("it still ran after {LIMIT:?}"));
        story.done(outcome.flatten().with_context(|| format!("in the step {:?}", step.title))?);
    }
    scene.pause().await;
    story.fold();
    Ok(())
}
