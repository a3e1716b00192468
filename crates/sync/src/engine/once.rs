//! One pass, for those who run no daemon.

use std::time::Duration;

use futures::StreamExt;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Engine, WatchEnded, writes::Done};
use crate::{
    desired::settings::PerNamespace,
    index::event::{Event, Outcome},
    report::{CopyState, Report},
};

/// How often a write is tried whose failure may pass: over about 15 s.
const ATTEMPTS: u32 = 5;

/// What became of one pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pass {
    /// Whether nothing was left to do when it ended.
    pub is_complete: bool,
    /// How many copies it wrote.
    pub written: u64,
    /// How many copies it deleted, which were wanted no more.
    pub deleted: u64,
    /// The copies as it left them, each with its last failure.
    pub report: Report,
}

impl Pass {
    /// Whether every copy is as it is to be.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let copies = || self.report.secrets.iter().flat_map(|secret| &secret.copies);
        self.is_complete && copies().all(|copy| copy.state == CopyState::Fresh)
    }

    fn count(&mut self, done: &Done) {
        match &done.event {
            Event::Written { outcome: Outcome::Written(_), .. } => self.written += 1,
            Event::Deleted { failure: None, .. } => self.deleted += 1,
            _ => {}
        }
    }
}

impl Engine {
    /// Writes once what the token store has. Ends when all is written or has
    /// failed for good, after `patience`, or at the `shutdown`; writes under way end in any case.
    ///
    /// # Errors
    /// When the watches end.
    pub async fn run_once(
        mut self,
        patience: Duration,
        shutdown: CancellationToken,
    ) -> Result<Pass, WatchEnded> {
        let mut pass = Pass::default();
        let deadline = Instant::now() + patience;
        loop {
            self.check_leadership();
            self.render_news();
            self.tell_of_conflicts();
            self.start_writes();
            pass.is_complete = self.writes.is_empty()
                && self.index.is_listed()
                && !self.index.is_busy(self.clock.now(), ATTEMPTS);
            if pass.is_complete {
                break;
            }
            let wait = self.until_due();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                told = self.watches.next() => self.take_event(told.ok_or(WatchEnded)?),
                Some(done) = self.writes.next() => {
                    pass.count(&done);
                    self.take_done(done);
                }
                () = sleep_until(deadline) => break,
                () = sleep(wait) => {}
            }
        }
        self.finish_writes(|done| pass.count(done)).await;
        pass.report = self.index.report(self.clock.now(), PerNamespace::All);
        Ok(pass)
    }
}
