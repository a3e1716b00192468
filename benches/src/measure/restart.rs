//! Starts: of a healthy system, and in an empty cluster.

use std::time::Duration;

use anyhow::Result;
use ecr_refresher_tests::daemon::Daemon;

use crate::{
    progress::say,
    stage::{Stage, stop},
    traffic::Traffic,
    usage::{self, Memory},
};

/// Restarts of a daemon while all copies are fresh.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    /// Until it is ready.
    pub(crate) ready: Vec<Duration>,
    /// The lists alone.
    pub(crate) lists: Vec<Duration>,
    /// Writes of copies, of all restarts together.
    pub(crate) patches: usize,
    /// Calls of AWS, of all restarts together.
    pub(crate) aws_calls: usize,
}

/// Restarts it this often; the last one runs on.
pub(crate) async fn measure(
    stage: &Stage,
    mut daemon: Daemon,
    times: usize,
) -> Result<(Restarts, Daemon)> {
    say("  daemon: restarts");
    let mut restarts = Restarts::default();
    for _ in 0..times {
        stop(daemon).await?;
        restarts.lists.push(stage.floor().lists().await?);
        stage.aws.forget_calls();
        let audit = stage.audit()?;
        let ready;
        (daemon, ready) = stage.start_ready().await?;
        restarts.ready.push(ready);
        restarts.patches += Traffic::of(&audit, &stage.installation.user())?.copies("patch");
        restarts.aws_calls += stage.aws.calls().len();
    }
    Ok((restarts, daemon))
}

/// How long a daemon needs to be ready that has its token in the cache, and no namespaces; and what
/// it then has in memory.
pub(crate) async fn measure_empty(stage: &Stage, times: usize) -> Result<(Vec<Duration>, Memory)> {
    say("an empty cluster: starts");
    let (daemon, _) = stage.start_ready().await?;
    let memory = usage::memory(daemon.pid())?;
    // The cache is written a moment later, and at the latest when it stops.
    stop(daemon).await?;
    let mut ready = Vec::new();
    for _ in 0..times {
        let (daemon, took) = stage.start_ready().await?;
        ready.push(took);
        stop(daemon).await?;
    }
    Ok((ready, memory))
}
