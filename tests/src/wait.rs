//! Waiting for a condition, with a deadline. Tests never sleep and hope.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// Tries again and again until `attempt` returns `Ok`, for at most `deadline`.
///
/// An error means "not yet" and describes the current state; the last one is part of the error after
/// the deadline. An attempt that hangs is cut off at the deadline too.
///
/// # Errors
/// After the deadline; names `what` was awaited, and the last state.
pub async fn eventually<T, F>(what: &str, deadline: Duration, mut attempt: F) -> Result<T>
where
    F: AsyncFnMut() -> Result<T>,
{
    let end = Instant::now() + deadline;
    let mut last_error = None;
    loop {
        match timeout_at(end, attempt()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => last_error = Some(error),
            Err(_) => break,
        }
        // An attempt that returns at once is never cut off by its timeout.
        if Instant::now() >= end {
            break;
        }
        sleep_until(end.min(Instant::now() + PAUSE)).await;
    }
    Err(timed_out(what, deadline, last_error))
}

fn timed_out(what: &str, deadline: Duration, last_error: Option<anyhow::Error>) -> anyhow::Error {
    let waited = format!("waited {deadline:?} for {what}");
    match last_error {
        Some(error) => error.context(format!("{waited}, and last saw")),
        None => anyhow::anyhow!("{waited}, and the first attempt did not return"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_successful_attempt_ends_the_wait() {
        let mut attempts = 0;
        let seen = eventually("three attempts", Duration::from_secs(1), async || {
            attempts += 1;
            anyhow::ensure!(attempts == 3, "{attempts} attempts");
            Ok(attempts)
        });
        assert_eq!(seen.await.unwrap(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_error_names_the_condition_and_the_last_state() {
        let wait: Result<()> = eventually("a red light", Duration::from_millis(120), async || {
            anyhow::bail!("a green one")
        })
        .await;
        let error = format!("{:#}", wait.unwrap_err());
        assert_eq!(error, "waited 120ms for a red light, and last saw: a green one");
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_hangs_is_cut_off() {
        let wait: Result<()> = eventually("an answer", Duration::from_millis(20), async || {
            std::future::pending().await
        })
        .await;
        assert!(format!("{:#}", wait.unwrap_err()).contains("did not return"));
    }
}
