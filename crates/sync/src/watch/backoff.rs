//! The delay before a failed watch is resumed.

use std::time::Duration;

use ecr_refresher_core::Random;
use kube::runtime::utils::Backoff;
use tokio::time::Instant;

use crate::job::backoff::delay;

/// New namespaces wait for as long after an outage of the API server.
const LONGEST: Duration = Duration::from_secs(10);
/// After that long without a failure, the next one is the first again.
const FORGETS_AFTER: Duration = Duration::from_mins(2);

/// Delays that double. kube's own backoff resets with each event; but a watch with a list that is refused
/// yields an event each time that the list begins.
#[derive(Debug)]
pub(crate) struct WatchBackoff {
    failures: u32,
    last_failure: Option<Instant>,
    random: Random,
}

impl WatchBackoff {
    /// No failure yet.
    pub(crate) fn new(random: Random) -> Self {
        Self { failures: 0, last_failure: None, random }
    }
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    /// The current delay after a failure.
    fn next(&mut self) -> Option<Duration> {
        if self.last_failure.is_some_and(|last| last.elapsed() > FORGETS_AFTER) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.last_failure = Some(Instant::now());
        Some(delay(self.failures, None, self.random.fraction()).min(LONGEST))
    }
}

impl Backoff for WatchBackoff {
    /// Time alone resets it.
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};
    use kube::runtime::WatchStreamExt;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_list_that_is_refused_each_time_is_asked_for_ever_more_seldom() {
        let events = [Ok("the list begins"), Err("refused")];
        let start = Instant::now();
        let events =
            stream::iter(events).cycle().take(20).backoff(WatchBackoff::new(Random::from_seed(1)));
        assert_eq!(events.count().await, 20);
        // Of ten failures, at least five wait for long.
        assert!(start.elapsed() > 5 * LONGEST, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_while_without_a_failure_the_next_one_is_the_first_again() {
        let mut backoff = WatchBackoff::new(Random::from_seed(1));
        assert_eq!((0..10).filter_map(|_| backoff.next()).max(), Some(LONGEST));
        backoff.reset();
        assert_eq!(backoff.next(), Some(LONGEST));
        advance(FORGETS_AFTER + Duration::from_secs(1)).await;
        assert!(backoff.next().is_some_and(|delay| delay <= Duration::from_secs(1)));
    }
}
