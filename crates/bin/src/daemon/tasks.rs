//! The tasks of the daemon: when one ends that should not, the process ends with its reason.

use std::future::Future;

use anyhow::{Context, Result, anyhow};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

/// The running tasks, and their shutdown.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    set: JoinSet<(&'static str, Result<()>)>,
    /// The tasks that the shutdown waits for.
    last: Vec<&'static str>,
    shutdown: CancellationToken,
}

impl Tasks {
    /// Cancelled at the shutdown.
    pub(crate) fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Starts a task that is not to end before the shutdown.
    pub(crate) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        self.set.spawn(async move { (name, task.await) });
    }

    /// Starts a task that ends in good order after the shutdown, which is waited for.
    pub(crate) fn spawn_last(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        self.last.push(name);
        self.spawn(name, task);
    }

    /// Waits for `signal`, which returns the name of a signal, and then for the tasks that end in good order. All
    /// others are dropped with them.
    ///
    /// # Errors
    /// When a task ends by itself, or badly.
    pub(crate) async fn run_until(
        mut self,
        signal: impl Future<Output = &'static str>,
    ) -> Result<()> {
        let signal = tokio::select! {
            biased;
            signal = signal => signal,
            ended = self.next_ended() => return Err(ended),
        };
        info!(signal, "stopping");
        self.shutdown.cancel();
        let mut left = self.last.len();
        while left > 0
            && let Some(ended) = self.set.join_next().await
        {
            let (name, result) = ended.context("a task panicked")?;
            if self.last.contains(&name) {
                result?;
                left -= 1;
            }
        }
        Ok(())
    }

    /// Why the first task that ended has done so.
    async fn next_ended(&mut self) -> anyhow::Error {
        match self.set.join_next().await {
            Some(Ok((name, Ok(())))) => anyhow!("the task {name} has ended by itself"),
            Some(Ok((name, Err(error)))) => error.context(format!("the task {name} has failed")),
            Some(Err(error)) => anyhow!(error).context("a task panicked"),
            None => anyhow!("there is nothing to do"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_any_task_is_the_end_of_all_with_its_reason() {
        let mut tasks = Tasks::default();
        tasks.spawn("steady", std::future::pending());
        tasks.spawn("flaky", async { Err(anyhow!("out of luck")) });
        let error = tasks.run_until(std::future::pending()).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "the task flaky has failed: out of luck");
    }

    #[tokio::test]
    async fn a_task_that_just_ends_is_an_error_too() {
        let mut tasks = Tasks::default();
        tasks.spawn("short", async { Ok(()) });
        let error = tasks.run_until(std::future::pending()).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "the task short has ended by itself");
    }
}
