//! One program of the control plane, which can be started, killed and started again.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::Guarded;
use crate::wait::eventually;

/// A program with its command line and its log; it runs while `process` is there.
#[derive(Debug)]
pub(super) struct Component {
    name: &'static str,
    command: Command,
    log: PathBuf,
    process: Option<Guarded>,
}

impl Component {
    pub(super) fn new(name: &'static str, command: Command, log: PathBuf) -> Self {
        Self { name, command, log, process: None }
    }

    /// Starts it, anew if it runs already.
    pub(super) fn start(&mut self) -> Result<()> {
        self.kill();
        self.process = Some(Guarded::spawn(self.name, &self.command, &self.log)?);
        Ok(())
    }

    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    /// Waits until `attempt` succeeds, and no longer once the program has ended.
    pub(super) async fn ready(
        &mut self,
        deadline: Duration,
        attempt: impl AsyncFnMut() -> Result<()>,
    ) -> Result<()> {
        let process = self.process.as_mut().context("it was not started")?;
        let what = format!("{} to be ready", self.name);
        let ready = tokio::select! {
            ready = eventually(&what, deadline, attempt) => ready,
            status = process.ended() => {
                status.and_then(|status| bail!("{} ended with {status}", self.name))
            }
        };
        ready.with_context(|| format!("its log ends so:\n{}\n", process.log_tail()))
    }

    /// Fails when the program has ended.
    pub(super) fn still_runs(&mut self) -> Result<()> {
        let process = self.process.as_mut().context("it was not started")?;
        match process.try_status()? {
            Some(status) => bail!("{} ended with {status}:\n{}", self.name, process.log_tail()),
            None => Ok(()),
        }
    }
}
