//! Deletions of many copies at once: announced, and held back where they are too many. Pure.

use std::time::Duration;

use ecr_refresher_core::clock::Now;

use crate::index::{Index, unwanted::Unwanted};

/// As many at once are never too many.
const ALWAYS_ALLOWED: u64 = 20;
/// How often the copies are counted that are no longer wanted.
const INTERVAL: Duration = Duration::from_secs(5);
/// The same, while some are due to be deleted.
const SHORT_INTERVAL: Duration = Duration::from_secs(1);
/// A growing number is announced again after this time, or once it has doubled.
const PAUSE: Duration = Duration::from_mins(1);

/// Follows how many copies are no longer wanted.
#[derive(Debug, Default)]
pub(super) struct PruneGuard {
    counted_at: Option<Duration>,
    unwanted: Unwanted,
    /// The number that was announced last, and when.
    announced: Option<(u64, Duration)>,
    is_held: bool,
}

/// Many copies that are no longer wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MassPrune {
    /// How many.
    pub unwanted: Unwanted,
    /// The largest share of all copies that may be deleted at once.
    pub limit: f64,
    /// Whether they are more than that, so that none is deleted.
    pub is_held: bool,
    /// Whether they are so few that nobody needs to be told but the log.
    pub is_small: bool,
}

impl PruneGuard {
    /// Counts again if that was some time ago. Returns the change to report.
    pub(super) fn follow(&mut self, index: &Index, limit: f64, now: Now) -> Option<MassPrune> {
        self.count(index, limit, now, INTERVAL)
    }

    /// The same, for a decision whether copies may be deleted now: see [`Self::is_held`].
    pub(super) fn decide(&mut self, index: &Index, limit: f64, now: Now) -> Option<MassPrune> {
        self.count(index, limit, now, SHORT_INTERVAL)
    }

    /// The config has changed.
    pub(super) fn reset(&mut self) {
        self.counted_at = None;
    }

    /// Whether deletions are held back.
    pub(super) fn is_held(&self) -> bool {
        self.is_held
    }

    /// How many deletions are held back that are due.
    pub(super) fn held_back(&self, uptime: Duration) -> u64 {
        let is_due = self.unwanted.first_due.is_some_and(|due| due <= uptime);
        if self.is_held && is_due { self.unwanted.count } else { 0 }
    }

    fn count(
        &mut self,
        index: &Index,
        limit: f64,
        now: Now,
        interval: Duration,
    ) -> Option<MassPrune> {
        let is_recent = |at: Duration| now.uptime < at.saturating_add(interval);
        if self.counted_at.is_some_and(is_recent) {
            return None;
        }
        self.counted_at = Some(now.uptime);
        self.unwanted = index.unwanted();
        let was_held = std::mem::replace(&mut self.is_held, is_too_many(self.unwanted, limit));
        let is_news = self.is_news(now.uptime);
        let Self { unwanted, is_held, .. } = *self;
        let is_small = unwanted.count <= ALWAYS_ALLOWED;
        let prune = MassPrune { unwanted, limit, is_held, is_small };
        (was_held != is_held || is_news).then_some(prune)
    }

    /// Whether more copies are no longer wanted than was announced.
    fn is_news(&mut self, now: Duration) -> bool {
        let count = self.unwanted.count;
        if count == 0 {
            self.announced = None;
            return false;
        }
        let is_known = |(announced, at): (u64, Duration)| {
            count <= announced || (count < 2 * announced && now < at.saturating_add(PAUSE))
        };
        if self.announced.is_some_and(is_known) {
            return false;
        }
        self.announced = Some((count, now));
        true
    }
}

#[expect(clippy::cast_precision_loss, reason = "no cluster has 2^52 copies")]
fn is_too_many(Unwanted { count, all, .. }: Unwanted, limit: f64) -> bool {
    count > ALWAYS_ALLOWED && count as f64 > limit * all as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_twenty_copies_that_are_more_than_the_share_are_too_many() {
        let too_many =
            |count, all, limit| is_too_many(Unwanted { count, all, first_due: None }, limit);
        assert!(!too_many(20, 20, 0.5) && too_many(21, 21, 0.5));
        assert!(!too_many(50, 100, 0.5) && too_many(51, 100, 0.5));
        assert!(!too_many(100, 100, 1.0) && too_many(21, 100, 0.0));
    }

    #[test]
    fn a_growing_number_is_announced_again_when_it_has_doubled_or_after_a_minute() {
        let mut guard = PruneGuard::default();
        let mut is_news = |count, seconds| {
            guard.unwanted.count = count;
            guard.is_news(Duration::from_secs(seconds))
        };
        let news =
            [(10, 0), (10, 5), (15, 10), (20, 15), (21, 20), (21, 76), (5, 80), (0, 85), (5, 90)]
                .map(|(count, seconds)| is_news(count, seconds));
        assert_eq!(news, [true, false, false, true, false, true, false, false, true]);
    }
}
