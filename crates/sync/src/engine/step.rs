//! One step of the engine: an input and the facts go in, effects come out. Pure.

use std::{sync::Arc, time::Duration};

use ecr_refresher_core::{
    clock::{Now, POLL_INTERVAL},
    planted::{Bug, is_planted},
    tokens::TokenStore,
};

use super::prune::{MassPrune, PruneGuard};
use crate::{
    desired::{
        document::{Document, document},
        manifest::Manifest,
        settings::{PerNamespace, Settings},
    },
    index::{Index, conflicts::Conflict, event::Event},
    job::{
        Job, JobClass, JobOutcome, JobResult,
        concurrency::{Concurrency, Ordinal},
    },
    release::Release,
    report::Report,
};

/// The memory for the bodies of running jobs, in bytes. Each is there twice: rendered for its Secret, and
/// on its way to the connection.
const MEMORY_FOR_BODIES: usize = 16 << 20;

/// The state of the engine.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    release: Release,
    index: Index,
    concurrency: Concurrency,
    /// How many jobs are running.
    running: usize,
    /// The term at the last step.
    term: Option<u64>,
    /// The version of the token store that was rendered last.
    rendered: Option<u64>,
    is_synced: bool,
    is_stopping: bool,
    prune: PruneGuard,
}

/// The facts that the engine reads from their owners at each step.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The clocks.
    pub now: Now,
    /// The term of leadership; `None` while this replica does not lead.
    pub term: Option<u64>,
    /// The owner of the tokens.
    pub tokens: &'a TokenStore,
    /// Whether the namespaces were listed since their watch was started, and it is alive. While it is
    /// not, a copy that seems unwanted may be wanted again.
    pub are_namespaces_current: bool,
}

/// An input of a step.
#[derive(Debug)]
pub enum Input {
    /// The facts may have changed.
    Wake,
    /// A list or a watch shows something.
    Observed(Event),
    /// A job has ended.
    Done {
        /// The job.
        started: StartedJob,
        /// The answer of the API server.
        result: JobResult,
        /// How long it took.
        took: Duration,
    },
    /// The config has changed.
    Configure(Box<Settings>),
    /// The process is stopping: no job starts any more.
    Stop,
}

/// An effect of a step.
#[derive(Debug)]
pub enum Effect {
    /// Start a job. Its end is an input.
    Start(StartedJob),
    /// Cut off all running jobs: another replica may write the same copies now.
    CancelJobs,
    /// Watch the objects of the config's names, and no others.
    FollowWatches,
    /// List the namespaces again.
    ListNamespaces,
    /// List everything again that was not listed just now: the observations of before a term may be
    /// those of before a restore of etcd.
    ListOutdated,
    /// Report the end of a job.
    ReportJob {
        /// The job.
        job: Job,
        /// Its outcome.
        outcome: JobOutcome,
        /// How long it took.
        took: Duration,
    },
    /// Report a Secret of another owner where a copy is wanted.
    ReportConflict(Conflict),
    /// Report copies that are no longer wanted.
    ReportPrune(MassPrune),
    /// Report a pull Secret that could not be rendered.
    ReportUnrendered {
        /// The name of the pull Secret.
        secret: String,
        /// The error.
        error: String,
    },
}

/// A job that is running.
#[derive(Debug)]
pub struct StartedJob {
    /// The job.
    pub job: Job,
    ordinal: Ordinal,
}

impl Engine {
    /// An engine of this release that follows `settings`. `seed` decides all jitter.
    #[must_use]
    pub fn new(settings: Settings, release: Release, seed: u64) -> Self {
        Self {
            release,
            index: Index::new(&settings, seed),
            concurrency: Concurrency::new(settings.concurrency),
            settings,
            running: 0,
            term: None,
            rendered: None,
            is_synced: false,
            is_stopping: false,
            prune: PruneGuard::default(),
        }
    }

    /// Takes one step: settles the term, merges the input, renders new tokens, and starts what is due.
    pub fn step(&mut self, input: Input, facts: &Facts<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let has_begun = self.settle_term(facts, &mut effects);
        match input {
            Input::Wake => {}
            Input::Observed(event) => self.index.apply(event, facts.now),
            Input::Done { started, result, took } => {
                effects.extend(self.job_done(started, result, took, facts.now));
            }
            Input::Configure(settings) => self.configure(*settings, facts.now, &mut effects),
            Input::Stop => self.is_stopping = true,
        }
        self.render(facts, &mut effects);
        if self.term.is_some() {
            let conflicts = self.index.take_conflicts().into_iter();
            effects.extend(conflicts.map(Effect::ReportConflict));
            self.start_jobs(JobClass::Patch, facts.now, &mut effects);
            // The lists of before the term may be too old to decide that a copy is not wanted.
            if facts.are_namespaces_current && !has_begun {
                self.delete(facts.now, &mut effects);
            }
        }
        effects
    }

    /// The machine was suspended for this time. To be called before anything is decided by the time.
    pub(super) fn suspended(&mut self, duration: Duration, now: Now) {
        self.index.suspended(duration, now);
    }

    /// Follows the term. Returns whether one has begun.
    fn settle_term(&mut self, facts: &Facts<'_>, effects: &mut Vec<Effect>) -> bool {
        if self.term == facts.term {
            return false;
        }
        if self.term.is_some() && !is_planted(Bug::WritesOutliveTerm) {
            effects.push(Effect::CancelJobs);
            self.running = 0;
            self.index.end_term(facts.now);
        }
        if facts.term.is_some() {
            effects.push(Effect::ListOutdated);
        }
        (self.term, self.rendered) = (facts.term, None);
        self.term.is_some()
    }

    fn job_done(
        &mut self,
        StartedJob { job, ordinal }: StartedJob,
        result: JobResult,
        took: Duration,
        now: Now,
    ) -> Option<Effect> {
        self.running = self.running.saturating_sub(1);
        let outcome = self.index.job_done(&job, result, now)?;
        let failed = outcome.failure.as_ref().map(|repeated| repeated.failure.reason);
        self.concurrency.ended(ordinal, &job.namespace, failed);
        Some(Effect::ReportJob { job, outcome, took })
    }

    fn configure(&mut self, settings: Settings, now: Now, effects: &mut Vec<Effect>) {
        let labels_are_missing = self.index.reconfigure(&settings, now);
        self.concurrency.follow(settings.concurrency);
        self.settings = settings;
        self.rendered = None;
        self.prune.reset();
        effects.push(Effect::FollowWatches);
        if labels_are_missing {
            effects.push(Effect::ListNamespaces);
        }
    }

    /// Renders the manifests again if the config or the token store has changed. In a new term, once
    /// the store has read the token cache.
    fn render(&mut self, facts: &Facts<'_>, effects: &mut Vec<Effect>) {
        let version = facts.tokens.version();
        let is_settled = self.term.is_some() && facts.tokens.term() == self.term;
        if !is_settled || self.rendered == Some(version) {
            return;
        }
        if is_planted(Bug::RenderedOnce) && self.rendered.is_some() {
            return;
        }
        self.rendered = Some(version);
        let readings = facts.tokens.read(facts.now);
        let mut manifests = Vec::new();
        for (slot, secret) in self.index.secrets() {
            let Some(Document { config, is_complete }) = document(secret, &readings) else {
                continue;
            };
            match Manifest::render(secret, &self.release, &config) {
                Ok(manifest) => manifests.push((slot, Manifest { is_complete, ..manifest })),
                Err(error) => effects.push(Effect::ReportUnrendered {
                    secret: secret.name.clone(),
                    error: error.to_string(),
                }),
            }
        }
        for (secret, manifest) in manifests {
            let manifest = Arc::new(manifest);
            self.index.apply(Event::Manifest { secret, manifest }, facts.now);
        }
    }

    /// Starts due deletions, unless there are too many.
    fn delete(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let limit = self.settings.prune_limit;
        let is_due = self.index.next_due(JobClass::Delete).is_some_and(|due| due <= now.uptime);
        let report = if is_due {
            self.prune.decide(&self.index, limit, now)
        } else {
            self.prune.follow(&self.index, limit, now)
        };
        effects.extend(report.map(Effect::ReportPrune));
        if is_due && !self.prune.is_held() {
            self.start_jobs(JobClass::Delete, now, effects);
        }
    }

    /// Starts due jobs of the classes up to `last`.
    fn start_jobs(&mut self, last: JobClass, now: Now, effects: &mut Vec<Effect>) {
        while !self.is_stopping
            && self.running < self.job_limit()
            && let Some(job) = self.index.next_job(now, last)
        {
            self.running += 1;
            let ordinal = self.concurrency.start();
            effects.push(Effect::Start(StartedJob { job, ordinal }));
        }
    }

    /// The term at the last step.
    pub(super) fn term(&self) -> Option<u64> {
        self.term
    }

    /// How long until a job is due, at most [`POLL_INTERVAL`].
    pub(super) fn until_due(&self, uptime: Duration, are_namespaces_current: bool) -> Duration {
        let last = last_class(are_namespaces_current && !self.prune.is_held());
        let due = self.index.next_due(last);
        let left = due.map(|due| due.saturating_sub(uptime));
        // A job that is due waits for another one to end, which is an input.
        left.filter(|left| !left.is_zero()).map_or(POLL_INTERVAL, |left| left.min(POLL_INTERVAL))
    }

    /// How many jobs may run at once now: fewer where documents are large.
    pub(super) fn job_limit(&self) -> usize {
        let fit = MEMORY_FOR_BODIES / (2 * self.index.largest_body()).max(1);
        self.concurrency.limit().min(fit.max(1))
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// Whether no job is running, due, or worth waiting for.
    pub(super) fn is_done(&self, now: Now, attempts: u32) -> bool {
        let last = last_class(!self.prune.is_held());
        self.running == 0 && self.index.is_listed() && !self.index.is_busy(now, attempts, last)
    }

    /// The state of the copies, without the watches. A follower shows none, so that no copy is counted
    /// twice.
    #[must_use]
    pub fn report(&self, now: Now, term: Option<u64>) -> Report {
        if term.is_none() && !is_planted(Bug::FollowerShowsCopies) {
            return Report::default();
        }
        self.report_with(now, self.settings.per_namespace)
    }

    /// How many copies would be deleted now if they were not too many.
    pub(super) fn held_back(&self, uptime: Duration) -> u64 {
        self.prune.held_back(uptime)
    }

    /// The state of each copy, for one pass.
    pub(super) fn full_report(&self, now: Now) -> Report {
        self.report_with(now, PerNamespace::All)
    }

    fn report_with(&self, now: Now, shown: PerNamespace) -> Report {
        let report = self.index.report(now, shown);
        Report { is_prune_held: self.prune.is_held(), ..report }
    }

    /// Whether the leader is still in its first sync, as far as [`Self::is_synced`] was asked.
    pub(super) fn is_in_first_sync(&self) -> bool {
        self.term.is_some() && !self.is_synced
    }

    /// Whether everything was listed, and the leader has tried every missing copy once. Returns also
    /// whether that is so for the first time.
    pub(super) fn is_synced(&mut self, now: Now, term: Option<u64>) -> (bool, bool) {
        if term.is_none() {
            return (self.index.is_listed(), false);
        }
        let was_synced = self.is_synced;
        // A term that has just begun has no content yet.
        let is_settled = term == self.term;
        self.is_synced = was_synced || (is_settled && self.index.is_synced(now));
        (self.is_synced, self.is_synced && !was_synced)
    }
}

/// The last class of jobs that may start.
fn last_class(may_delete: bool) -> JobClass {
    if may_delete { JobClass::Delete } else { JobClass::Patch }
}
