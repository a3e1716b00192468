//! Repairs of one object, which slow down while another client keeps changing it.

use std::{sync::Arc, time::Duration};

use ecr_refresher_core::planted::{Bug, is_planted};

use crate::job::{AccountPatch, Action, Apply, Contest, JobResult, backoff, failure::WriteReason};

/// Repairs that are further apart than this do not count together.
const WINDOW: Duration = Duration::from_mins(10);
/// This many repairs in a row are made at once.
const AT_ONCE: u32 = 2;

/// The content that was last written to an object, and how often it had to be written again.
#[derive(Debug, Clone, Default)]
pub(super) struct Repairs {
    /// The first bits of the hash of the content; 0 before the first write.
    content: u32,
    /// Boxed, because nearly no object has one.
    recent: Option<Box<Recent>>,
}

/// Recent repairs.
#[derive(Debug, Clone)]
struct Recent {
    contest: Contest,
    /// The uptime of the last one.
    last: Duration,
}

impl Recent {
    fn is_contested(&self) -> bool {
        self.contest.repairs >= AT_ONCE
    }
}

impl Repairs {
    /// Whether a write of this content is a repair: it was written before, and is not there any more.
    /// A write of other content never is.
    pub(super) fn is_repair(&self, content: u32) -> bool {
        self.content == content
    }

    /// Records that a content was written.
    pub(super) fn written(&mut self, content: u32) {
        self.content = content;
    }

    /// Records the result of a job, if that was a repair. Returns the contest, if there is one.
    pub(super) fn job_done(
        &mut self,
        action: &Action,
        result: &JobResult,
        now: Duration,
    ) -> Option<Contest> {
        let (Action::Apply(Apply { is_repair: true, changed_by, .. })
        | Action::Patch(AccountPatch { is_repair: true, changed_by, .. })) = action
        else {
            return None;
        };
        // It was done, or the other client was faster.
        let counts = result.as_ref().err().is_none_or(|it| it.reason == WriteReason::Changed);
        if counts { self.repaired(changed_by.clone(), now) } else { None }
    }

    /// Records a repair of what `client` has changed. Returns the contest, if there is one.
    fn repaired(&mut self, client: Option<Arc<String>>, now: Duration) -> Option<Contest> {
        let recent = self.recent.take().filter(|recent| now.saturating_sub(recent.last) <= WINDOW);
        let (repairs, known) =
            recent.map_or((0, None), |it| (it.contest.repairs, it.contest.client));
        let contest = Contest { repairs: repairs.saturating_add(1), client: client.or(known) };
        let recent = Recent { contest, last: now };
        let contest = recent.is_contested().then(|| recent.contest.clone());
        self.recent = Some(Box::new(recent));
        contest
    }

    /// The contest that goes on, if there is one.
    pub(super) fn contest(&self, now: Duration) -> Option<&Contest> {
        let recent = self.recent.as_deref()?;
        let goes_on = recent.is_contested() && now.saturating_sub(recent.last) <= WINDOW;
        goes_on.then_some(&recent.contest)
    }

    /// The uptime before which this content is not written, if that is a repair: the delay doubles
    /// from 1 s to 5 minutes.
    pub(super) fn not_before(&self, content: u32) -> Duration {
        let slows_down = |recent: &&Recent| {
            self.is_repair(content)
                && recent.is_contested()
                && !is_planted(Bug::RepairsNeverSlowDown)
        };
        self.recent.as_deref().filter(slows_down).map_or(Duration::ZERO, |recent| {
            let count = recent.contest.repairs - AT_ONCE + 1;
            recent.last.saturating_add(backoff::delay(count, None, 1.0))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contested_object_is_written_at_most_twelve_times_in_ten_minutes() {
        let mut repairs = Repairs::default();
        let (mut now, mut writes) = (Duration::ZERO, 1);
        repairs.written(1);
        while repairs.not_before(1).max(now) <= WINDOW {
            now = repairs.not_before(1).max(now);
            assert!(repairs.is_repair(1));
            repairs.repaired(None, now);
            writes += 1;
        }
        assert!((10..=12).contains(&writes), "{writes}");
    }

    #[test]
    fn new_content_is_never_a_repair_and_never_waits() {
        let mut repairs = Repairs::default();
        repairs.written(1);
        for _ in 0..9 {
            repairs.repaired(None, Duration::ZERO);
        }
        assert!(!repairs.is_repair(2));
        assert_eq!(repairs.not_before(2), Duration::ZERO);
    }

    #[test]
    fn a_contest_names_the_client_that_was_seen_last_and_ends_after_ten_quiet_minutes() {
        let mut repairs = Repairs::default();
        let client = |name: &str| Some(Arc::new(name.to_owned()));
        let at = Duration::from_secs;
        repairs.written(1);
        assert_eq!(repairs.repaired(client("one"), at(1)), None);
        assert_eq!(repairs.contest(at(1)), None);
        let contest = Contest { repairs: 2, client: client("two") };
        assert_eq!(repairs.repaired(client("two"), at(2)), Some(contest));
        // It has deleted the object, so that nothing tells its name.
        let contest = Contest { repairs: 3, client: client("two") };
        assert_eq!(repairs.repaired(None, at(3)), Some(contest.clone()));
        assert_eq!(repairs.contest(at(603)), Some(&contest));
        assert_eq!(repairs.contest(at(604)), None);
        assert_eq!(repairs.repaired(None, at(604)), None);
    }
}
