//! Edits of the config file.

use std::time::Duration;

use anyhow::{Result, ensure};
use ecr_refresher_tests::{daemon::Daemon, wait::eventually};

use crate::{
    population::delete_copies,
    progress::say,
    stage::{Stage, writes, written},
    traffic::Traffic,
    usage,
};

/// A pattern that is added, and one that is for no namespace.
const ADDED: &str = "squad-*";
const NOWHERE: &str = "nowhere-*";
const IN_FORCE_WITHIN: Duration = Duration::from_secs(30);

/// What an edit costs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edit {
    /// The processor time of an edit that causes no writes.
    pub(crate) evaluation: Duration,
    /// Writes of copies after a pattern was added.
    pub(crate) patches: usize,
    /// As many as there should be.
    pub(crate) added: usize,
}

/// Adds a pattern to `patterns` that is for `added` alone.
pub(crate) async fn measure(
    stage: &Stage,
    daemon: &Daemon,
    patterns: &[String],
    added: &[String],
) -> Result<Edit> {
    let with = |pattern: &str| [patterns, &[pattern.to_owned()]].concat();
    say("  daemon: edits of the config");
    // This changes no namespace's state, but each has to be looked at to know.
    let before = usage::exact_cpu(daemon.pid())?;
    edit(stage, daemon, &with(NOWHERE)).await?;
    let evaluation = usage::exact_cpu(daemon.pid())?.saturating_sub(before);

    let audit = stage.audit()?;
    let written_before = writes(daemon).await?;
    edit(stage, daemon, &with(ADDED)).await?;
    written(daemon, written_before + added.len()).await?;
    let patches = Traffic::of(&audit, &stage.installation.user())?.copies("patch");
    edit(stage, daemon, patterns).await?;
    delete_copies(stage, added).await?;
    Ok(Edit { evaluation, patches, added: added.len() })
}

/// Swaps the file and waits until the daemon says that it is in force.
async fn edit(stage: &Stage, daemon: &Daemon, patterns: &[String]) -> Result<()> {
    let edits = |log: &str| log.matches("the config has changed").count();
    let before = edits(&daemon.log()?);
    stage.configure(patterns)?;
    eventually("the edit to be in force", IN_FORCE_WITHIN, async || {
        ensure!(edits(&daemon.log()?) > before, "it is not");
        Ok(())
    })
    .await
}
