//! Repairs of one object, which slow down while another client keeps changing it.

use std::time::Duration;

use ecr_refresher_core::planted::{Bug, is_planted};

use crate::job::backoff;

/// Repairs that are further apart than this do not count together.
const WINDOW: Duration = Duration::from_mins(10);
/// This many repairs in a row are made at once.
const AT_ONCE: u8 = 2;

/// The content that was last written to an object, and how often it had to be written again.
#[derive(Debug, Clone, Default)]
pub(super) struct Repairs {
    /// The uptime of the last repair, rounded up to a second: 4 bytes are enough for a century.
    last: u32,
    /// The first bytes of the hash of the content; 0 before the first write.
    content: u32,
    count: u8,
}

impl Repairs {
    /// Whether a write of this content is a repair: it was written before, and is not there any more.
    /// A write of other content never is.
    pub(super) fn is_repair(&self, content: u32) -> bool {
        self.content == content
    }

    /// Records a write. Returns the number of recent repairs if they slow down.
    pub(super) fn record(&mut self, content: u32, is_repair: bool, now: Duration) -> Option<u32> {
        self.content = content;
        if !is_repair {
            return None;
        }
        let is_recent = self.count > 0 && now.saturating_sub(self.last()) <= WINDOW;
        self.count = if is_recent { self.count.saturating_add(1) } else { 1 };
        let seconds = now.as_secs() + u64::from(now.subsec_nanos() > 0);
        self.last = u32::try_from(seconds).unwrap_or(u32::MAX);
        (self.count >= AT_ONCE).then_some(self.count.into())
    }

    /// The uptime before which this content is not written, if that is a repair: the delay doubles
    /// from 1 s to 5 minutes.
    pub(super) fn not_before(&self, content: u32) -> Duration {
        let slows_down = self.is_repair(content)
            && self.count >= AT_ONCE
            && !is_planted(Bug::RepairsNeverSlowDown);
        if !slows_down {
            return Duration::ZERO;
        }
        self.last() + backoff::delay(u32::from(self.count - AT_ONCE) + 1, None, 1.0)
    }

    fn last(&self) -> Duration {
        Duration::from_secs(self.last.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contested_object_is_written_at_most_twelve_times_in_ten_minutes() {
        let mut repairs = Repairs::default();
        let (mut now, mut writes) = (Duration::ZERO, 1);
        repairs.record(1, false, now);
        while repairs.not_before(1).max(now) <= WINDOW {
            now = repairs.not_before(1).max(now);
            assert!(repairs.is_repair(1));
            repairs.record(1, true, now);
            writes += 1;
        }
        assert!((10..=12).contains(&writes), "{writes}");
    }

    #[test]
    fn new_content_is_never_a_repair_and_never_waits() {
        let mut repairs = Repairs::default();
        for _ in 0..9 {
            repairs.record(1, true, Duration::ZERO);
        }
        assert!(!repairs.is_repair(2));
        assert_eq!(repairs.not_before(2), Duration::ZERO);
    }
}
