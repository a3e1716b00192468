//! One pass of the engine, for `run --once`.

use std::time::Duration;

use futures::StreamExt;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    runner::{Runner, WatchEnded},
    step::{Effect, Input},
};
use crate::{
    job::JobClass,
    report::{CopyState, Report},
};

/// The number of attempts at a job with temporary failures: over about 15 s.
const ATTEMPTS: u32 = 5;

/// The result of one pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pass {
    /// Whether nothing was left to do when it ended.
    pub is_complete: bool,
    /// How many copies it wrote.
    pub written: u64,
    /// How many copies it deleted that were no longer wanted.
    pub deleted: u64,
    /// How many copies it did not delete because of `prune.limit`.
    pub held_back: u64,
    /// The copies as it left them, each with its last failure.
    pub report: Report,
}

impl Pass {
    /// Whether every copy is up to date.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let copies = || self.report.secrets.iter().flat_map(|secret| &secret.copies);
        self.is_complete
            && self.held_back == 0
            && copies().all(|copy| copy.state == CopyState::Fresh)
    }

    fn count(&mut self, effect: &Effect) {
        let Effect::ReportJob { job, outcome, .. } = effect else { return };
        match job.action.class() {
            JobClass::Apply => self.written += u64::from(outcome.is_done),
            JobClass::Delete => self.deleted += u64::from(outcome.is_done),
            JobClass::Patch => {}
        }
    }
}

impl Runner {
    /// Writes once what the token store has. Ends when every job is done or has finally failed, after
    /// `timeout`, or at the `shutdown`; running jobs end in any case.
    ///
    /// # Errors
    /// If the watches end.
    pub async fn run_once(
        mut self,
        timeout: Duration,
        shutdown: CancellationToken,
    ) -> Result<Pass, WatchEnded> {
        let mut pass = Pass::default();
        let deadline = Instant::now() + timeout;
        let mut input = Input::Wake;
        loop {
            self.step(input).iter().for_each(|effect| pass.count(effect));
            pass.is_complete = self.is_done(ATTEMPTS);
            if pass.is_complete {
                break;
            }
            let wait = self.until_due();
            input = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(request) = self.requests.recv() => self.answer(request),
                event = self.watches.next() => self.observe(event.ok_or(WatchEnded)?),
                Some(done) = self.jobs.next() => done,
                () = sleep_until(deadline) => break,
                () = sleep(wait) => Input::Wake,
            };
        }
        self.finish_jobs(|effect| pass.count(effect)).await;
        pass.held_back = self.held_back();
        pass.report = self.full_report();
        Ok(pass)
    }
}
