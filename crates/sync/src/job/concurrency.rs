//! How many jobs may run at once. Pure.

use std::sync::Arc;

use crate::job::failure::WriteReason;

/// The configured number; fewer while the API server throttles. A 429 halves the limit, and each round
/// of successes adds one.
///
/// Only the throttled object waits, no other.
#[derive(Debug)]
pub(crate) struct Concurrency {
    configured: usize,
    limit: usize,
    /// The successes of jobs that started since the limit changed last.
    successes: usize,
    started: u64,
    /// The first job that started since the limit was halved last.
    first_since: u64,
    /// The last throttled namespace.
    throttled: Option<Arc<str>>,
}

/// The number of a job, in the order of their starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ordinal(u64);

impl Concurrency {
    pub(crate) fn new(configured: usize) -> Self {
        let configured = configured.max(1);
        Self {
            configured,
            limit: configured,
            successes: 0,
            started: 0,
            first_since: 0,
            throttled: None,
        }
    }

    /// How many jobs may run at once now.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Follows another config.
    pub(crate) fn follow(&mut self, configured: usize) {
        let was_full = self.limit == self.configured;
        self.configured = configured.max(1);
        self.limit = if was_full { self.configured } else { self.limit.min(self.configured) };
    }

    /// Records the start of a job. Its ordinal must be passed to [`Concurrency::ended`].
    pub(crate) fn start(&mut self) -> Ordinal {
        self.started += 1;
        Ordinal(self.started)
    }

    /// Records the end of a job, and its failure.
    pub(crate) fn ended(
        &mut self,
        Ordinal(number): Ordinal,
        namespace: &Arc<str>,
        failed: Option<WriteReason>,
    ) {
        // A job that started before the limit was halved does not count for the new limit.
        if number < self.first_since {
            return;
        }
        match failed {
            None => self.succeeded(),
            Some(WriteReason::Throttled) => self.was_throttled(namespace),
            Some(_) => {}
        }
    }

    fn succeeded(&mut self) {
        self.successes += 1;
        if self.successes >= self.limit {
            self.successes = 0;
            self.limit = self.configured.min(self.limit + 1);
        }
    }

    fn was_throttled(&mut self, namespace: &Arc<str>) {
        // Always the same namespace: a webhook throttles it, which must not slow down others.
        if self.throttled.as_ref() == Some(namespace) {
            return;
        }
        self.throttled = Some(Arc::clone(namespace));
        self.limit = (self.limit / 2).max(1);
        self.successes = 0;
        self.first_since = self.started + 1;
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    impl Concurrency {
        fn end(&mut self, ordinal: Ordinal, namespace: &str, failed: Option<WriteReason>) {
            self.ended(ordinal, &namespace.into(), failed);
        }

        /// A write that starts and ends.
        fn write(&mut self, namespace: &str, failed: Option<WriteReason>) -> usize {
            let ordinal = self.start();
            self.end(ordinal, namespace, failed);
            self.limit()
        }

        fn throttle(&mut self, namespace: &str) -> usize {
            self.write(namespace, Some(WriteReason::Throttled))
        }

        fn succeed(&mut self, times: usize) -> usize {
            for _ in 0..times {
                self.write("good", None);
            }
            self.limit()
        }
    }

    #[test]
    fn a_429_halves_it_down_to_one() {
        let mut concurrency = Concurrency::new(32);
        assert_eq!(concurrency.limit(), 32);
        let limits: Vec<_> =
            ["a", "b", "c", "d", "e", "f", "g"].map(|name| concurrency.throttle(name)).into();
        assert_eq!(limits, [16, 8, 4, 2, 1, 1, 1]);
    }

    #[test]
    fn each_round_of_successes_adds_one_up_to_the_configured_limit() {
        let mut concurrency = Concurrency::new(5);
        for name in ["a", "b", "c"] {
            concurrency.throttle(name);
        }
        let limits: Vec<_> =
            [1, 1, 1, 2, 1, 3, 1, 99].map(|times| concurrency.succeed(times)).into();
        assert_eq!(limits, [2, 2, 3, 3, 4, 4, 5, 5]);
    }

    #[test]
    fn a_burst_of_429_halves_it_once() {
        let mut concurrency = Concurrency::new(32);
        let burst: Vec<_> = (0..32).map(|_| concurrency.start()).collect();
        for (number, ordinal) in burst.into_iter().enumerate() {
            let failed = (number % 4 != 0).then_some(WriteReason::Throttled);
            concurrency.end(ordinal, &format!("team-{number}"), failed);
        }
        assert_eq!(concurrency.limit(), 16);
        assert_eq!(concurrency.throttle("next"), 8);
    }

    #[test]
    fn successes_of_before_the_429_do_not_count() {
        let mut concurrency = Concurrency::new(2);
        let before: Vec<_> = (0..9).map(|_| concurrency.start()).collect();
        concurrency.throttle("a");
        for ordinal in before {
            concurrency.end(ordinal, "b", None);
        }
        assert_eq!(concurrency.limit(), 1);
        assert_eq!(concurrency.succeed(1), 2);
    }

    #[test]
    fn one_namespace_that_is_throttled_again_and_again_slows_down_no_other() {
        let mut concurrency = Concurrency::new(32);
        assert_eq!(concurrency.throttle("bad"), 16);
        for _ in 0..9 {
            assert_eq!(concurrency.throttle("bad"), 16);
        }
        concurrency.succeed(1000);
        assert_eq!(concurrency.throttle("bad"), 32);
        assert_eq!(concurrency.throttle("other"), 16);
        assert_eq!(concurrency.throttle("bad"), 8, "now it is not the only one");
    }

    #[test]
    fn other_failures_change_nothing() {
        let mut concurrency = Concurrency::new(4);
        concurrency.throttle("a");
        for &reason in WriteReason::VARIANTS {
            if reason != WriteReason::Throttled {
                assert_eq!(concurrency.write("b", Some(reason)), 2, "{reason}");
            }
        }
    }

    #[test]
    fn another_config_is_followed() {
        let mut concurrency = Concurrency::new(32);
        concurrency.follow(8);
        assert_eq!(concurrency.limit(), 8);
        concurrency.follow(16);
        assert_eq!(concurrency.limit(), 16);
        concurrency.throttle("a");
        concurrency.follow(64);
        assert_eq!(concurrency.limit(), 8, "it is throttled still");
        assert_eq!(concurrency.succeed(8), 9);
        concurrency.follow(0);
        assert_eq!(concurrency.limit(), 1);
    }
}
