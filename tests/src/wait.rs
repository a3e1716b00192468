//! Waiting for a condition, with a deadline. Tests never sleep and hope.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep_until, timeout_at};

/// How long to pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks again and again until `look` returns `Ok`, for at most `deadline`.
///
/// An error means "not yet" and says what was seen instead; the last one is part of the error when
/// time is up. A look that hangs is cut off at the deadline too.
///
/// # Errors
/// When the deadline passes; names `what` was waited for and what was last seen.
pub async fn eventually<T, F>(what: &str, deadline: Duration, mut look: F) -> Result<T>
where
    F: AsyncFnMut() -> Result<T>,
{
    let end = Instant::now() + deadline;
    let mut last_seen = None;
    loop {
        match timeout_at(end, look()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(seen)) => last_seen = Some(seen),
            Err(_) => break,
        }
        // A look that answers at once is never cut off by its timeout.
        if Instant::now() >= end {
            break;
        }
        sleep_until(end.min(Instant::now() + PAUSE)).await;
    }
    Err(timed_out(what, deadline, last_seen))
}

fn timed_out(what: &str, deadline: Duration, last_seen: Option<anyhow::Error>) -> anyhow::Error {
    let waited = format!("waited {deadline:?} for {what}");
    match last_seen {
        Some(seen) => seen.context(format!("{waited}, and last saw")),
        None => anyhow::anyhow!("{waited}, and the first look did not return"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_good_look_ends_the_wait() {
        let mut looks = 0;
        let seen = eventually("three looks", Duration::from_secs(1), async || {
            looks += 1;
            anyhow::ensure!(looks == 3, "{looks} looks");
            Ok(looks)
        });
        assert_eq!(seen.await.unwrap(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_error_names_what_was_waited_for_and_what_was_last_seen() {
        let wait: Result<()> = eventually("a red light", Duration::from_millis(120), async || {
            anyhow::bail!("a green one")
        })
        .await;
        let error = format!("{:#}", wait.unwrap_err());
        assert_eq!(error, "waited 120ms for a red light, and last saw: a green one");
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_hangs_is_cut_off() {
        let wait: Result<()> = eventually("an answer", Duration::from_millis(20), async || {
            std::future::pending().await
        })
        .await;
        assert!(format!("{:#}", wait.unwrap_err()).contains("did not return"));
    }
}
