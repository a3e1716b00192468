//! Runs the engine: the loop around [`Engine::step`], which does the I/O.

use std::time::Duration;

use ecr_refresher_core::{
    ErrorChain, Random,
    clock::Clock,
    planted::{Bug, is_planted},
    tokens::SharedTokenStore,
};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use kube::Client;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    handle::{EngineHandle, Health, Request},
    step::{Effect, Engine, Facts, Input, StartedJob},
};
use crate::{
    desired::settings::Settings,
    leadership::Leadership,
    release::Release,
    report::{
        CopyState, Report,
        digest::{Digest, Line, Topic},
        metrics::SyncMetrics,
        notice::{Notices, Severity},
    },
    watch::{WatchEvent, Watches},
    writer,
};

/// The two clocks may differ by this much without a suspension.
const SLACK: Duration = Duration::from_secs(1);
/// How often it is looked whether the first sync is done: that reads the state of every copy.
const SYNC_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long running jobs may take to end at the shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// The dependencies of the engine.
pub struct EngineDependencies {
    /// The API server.
    pub client: Client,
    /// The release that it runs for.
    pub release: Release,
    /// The owner of the tokens.
    pub tokens: SharedTokenStore,
    /// The right to write.
    pub leadership: Leadership,
    /// Changes when etcd was restored to an older revision: then everything is listed again.
    pub restores: watch::Receiver<u64>,
    /// The clocks.
    pub clock: Clock,
    /// For jitter.
    pub random: Random,
}

/// Runs an [`Engine`].
pub struct Runner {
    client: Client,
    pub(super) release: Release,
    engine: Engine,
    pub(super) watches: Watches,
    pub(super) jobs: FuturesUnordered<BoxFuture<'static, Input>>,
    tokens: SharedTokenStore,
    leadership: Leadership,
    restores: watch::Receiver<u64>,
    pub(super) clock: Clock,
    pub(super) metrics: SyncMetrics,
    pub(super) notices: Option<Notices>,
    /// The log lines about many objects.
    pub(super) log: Digest,
    /// How many copies were written so far.
    pub(super) written: u64,
    started: Instant,
    /// When to look next whether the first sync is done, while it is not.
    sync_check_at: Duration,
    pub(super) requests: mpsc::Receiver<Request>,
    /// The uptime and the time of the timers at the last comparison.
    compared: (Duration, Instant),
}

/// The watches have ended, which they never do by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the watches have ended")]
pub struct WatchEnded;

impl Runner {
    /// A runner of an engine that follows `settings`, and writes during terms of leadership. It watches
    /// from its first run on.
    #[must_use]
    pub fn new(
        dependencies: EngineDependencies,
        settings: Settings,
        metrics: SyncMetrics,
    ) -> (Self, EngineHandle) {
        let EngineDependencies { client, release, tokens, leadership, restores, clock, random } =
            dependencies;
        let (sender, requests) = mpsc::channel(8);
        let engine = Engine::new(settings, release.clone(), random.number());
        let compared = (clock.uptime(), Instant::now());
        let mut runner = Self {
            watches: Watches::start(client.clone(), release.clone(), clock.clone(), random),
            client,
            release,
            engine,
            jobs: FuturesUnordered::new(),
            tokens,
            leadership,
            restores,
            clock,
            metrics,
            notices: None,
            log: Digest::default(),
            written: 0,
            started: Instant::now(),
            sync_check_at: Duration::ZERO,
            requests,
            compared,
        };
        runner.follow_watches();
        (runner, EngineHandle(sender))
    }

    /// Publishes failures of single copies and ServiceAccounts as Events.
    #[must_use]
    pub fn with_notices(self, notices: Notices) -> Self {
        Self { notices: Some(notices), ..self }
    }

    /// Runs until `shutdown`, and then until the running jobs have ended.
    ///
    /// # Errors
    /// If the watches end.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), WatchEnded> {
        let mut tokens = self.tokens.changes();
        let mut input = Input::Wake;
        loop {
            self.step(input);
            let (term, wait) = (self.engine.term(), self.until_due());
            input = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(request) = self.requests.recv() => self.answer(request),
                () = self.leadership.changed(term) => Input::Wake,
                Ok(()) = tokens.changed() => Input::Wake,
                Ok(()) = self.restores.changed() => {
                    if !is_planted(Bug::RestoreIgnored) {
                        self.watches.list_all_again();
                    }
                    Input::Wake
                }
                event = self.watches.next() => self.observe(event.ok_or(WatchEnded)?),
                Some(done) = self.jobs.next() => done,
                () = sleep(wait) => Input::Wake,
            };
        }
        self.finish_jobs(|_| ()).await;
        Ok(())
    }

    /// How long the machine was suspended since the last call: the uptime went on, the timers did not.
    fn suspension(&mut self) -> Option<Duration> {
        let (uptime, timers) = (self.clock.uptime(), Instant::now());
        let passed = uptime.saturating_sub(self.compared.0);
        let suspended = passed.saturating_sub(timers.duration_since(self.compared.1));
        self.compared = (uptime, timers);
        (suspended > SLACK).then_some(suspended)
    }

    /// Takes a step and carries out its effects. Returns those that report something.
    pub(super) fn step(&mut self, input: Input) -> Vec<Effect> {
        if let Some(suspended) = self.suspension() {
            info!("the machine was suspended for {} s", suspended.as_secs());
            self.engine.suspended(suspended, self.clock.now());
        }
        let effects = {
            let (engine, now) = (&mut self.engine, self.clock.now());
            let (term, current) = (self.leadership.term(), self.watches.are_namespaces_current());
            self.tokens.read(|tokens| {
                engine.step(input, &Facts { now, term, tokens, are_namespaces_current: current })
            })
        };
        self.metrics.set_job_limit(self.engine.job_limit());
        let reports = effects.into_iter().filter_map(|effect| self.carry_out(effect)).collect();
        self.log.take_due(self.clock.uptime()).iter().for_each(Line::log);
        if self.sync_check().is_some_and(|at| at <= self.clock.uptime()) {
            self.is_synced();
        }
        reports
    }

    /// Whether the first sync is done. Logs it once.
    fn is_synced(&mut self) -> bool {
        let (now, term) = (self.clock.now(), self.leadership.term());
        let (is_synced, is_first) = self.engine.is_synced(now, term);
        if is_first {
            self.log_first_sync();
        }
        self.sync_check_at = now.uptime.saturating_add(SYNC_CHECK_INTERVAL);
        is_synced
    }

    /// When to look whether the first sync is done; `None` once it is, and for a follower.
    fn sync_check(&self) -> Option<Duration> {
        self.engine.is_in_first_sync().then_some(self.sync_check_at)
    }

    fn log_first_sync(&self) {
        let report = self.engine.report(self.clock.now(), self.leadership.term());
        let (copies, conflicts) = (report.copies(), report.count(CopyState::Conflict));
        let took = format!("{:.1}s", self.started.elapsed().as_secs_f64());
        info!(copies, written = self.written, conflicts, took, "first sync done");
        log_unselected(&report);
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Effect> {
        match effect {
            Effect::Start(started) => self.start(started),
            Effect::CancelJobs => self.jobs.clear(),
            Effect::FollowWatches => self.follow_watches(),
            Effect::ListNamespaces => self.watches.list_namespaces_again(),
            Effect::ListOutdated => self.watches.list_outdated_again(),
            report => {
                self.report_effect(&report);
                return Some(report);
            }
        }
        None
    }

    fn start(&mut self, started: StartedJob) {
        let (client, release) = (self.client.clone(), self.release.clone());
        self.jobs.push(Box::pin(async move {
            let start = Instant::now();
            let result = writer::run(&client, &release, &started.job).await;
            Input::Done { started, result, took: start.elapsed() }
        }));
    }

    fn follow_watches(&mut self) {
        let index = self.engine.index();
        let secrets = index.secrets().map(|(slot, secret)| (slot, secret.name.as_str()));
        self.watches.follow(secrets, index.accounts());
        index.secrets().for_each(|(_, secret)| self.metrics.announce(&secret.name));
        index.accounts().for_each(|(_, name)| self.metrics.announce_account(name));
    }

    pub(super) fn observe(&mut self, (resource, event): WatchEvent) -> Input {
        match event {
            Ok(event) => Input::Observed(event),
            Err(error) => {
                self.metrics.watch_failed(resource);
                let resource = resource.as_str();
                let error = ErrorChain(&error);
                debug!(resource, "the watch failed and is resumed: {error}");
                let text = "watches failed and are resumed";
                let topic = Topic { severity: Severity::Warning, text, by: None };
                let object = resource.to_owned();
                self.log.add(topic, object, &error.to_string(), self.clock.uptime());
                Input::Wake
            }
        }
    }

    pub(super) fn answer(&mut self, request: Request) -> Input {
        // The other end may be gone.
        match request {
            Request::Report { reply } => {
                let report = self.engine.report(self.clock.now(), self.leadership.term());
                let _ = reply.send(Report { watches: self.watches.report(), ..report });
            }
            Request::Health { reply } => {
                let _ = reply.send(self.health());
            }
            Request::Configure { settings, reply } => {
                self.step(Input::Configure(settings));
                let report = self.engine.report(self.clock.now(), self.leadership.term());
                log_unselected(&report);
                let _ = reply.send(());
            }
        }
        Input::Wake
    }

    fn health(&mut self) -> Health {
        let synced = self.is_synced();
        // A follower is ready once it is known which replica leads.
        let is_decided = self.leadership.is_decided();
        Health { synced: synced && is_decided, watches: self.watches.report() }
    }

    pub(super) fn until_due(&self) -> Duration {
        let uptime = self.clock.uptime();
        let due = self.engine.until_due(uptime, self.watches.are_namespaces_current());
        let others = self.log.next_due().into_iter().chain(self.sync_check());
        others.map(|at| at.saturating_sub(uptime)).fold(due, Duration::min)
    }

    /// Whether a pass has nothing left to do.
    pub(super) fn is_done(&self, attempts: u32) -> bool {
        self.engine.is_done(self.clock.now(), attempts)
    }

    pub(super) fn held_back(&self) -> u64 {
        self.engine.held_back(self.clock.uptime())
    }

    pub(super) fn full_report(&self) -> Report {
        self.engine.full_report(self.clock.now())
    }

    /// Waits for the running jobs, and passes each report to `on_report`. No other job starts.
    pub(super) async fn finish_jobs(&mut self, mut on_report: impl FnMut(&Effect)) {
        self.step(Input::Stop);
        let jobs = self.jobs.len();
        let all = async {
            while let Some(done) = self.jobs.next().await {
                self.step(done).iter().for_each(&mut on_report);
            }
        };
        if timeout(SHUTDOWN_TIMEOUT, all).await.is_ok() {
            debug!(jobs, "the running jobs have ended");
        } else {
            warn!("some jobs had not ended after {} s", SHUTDOWN_TIMEOUT.as_secs());
        }
        self.log.take_all().iter().for_each(Line::log);
    }
}

/// Warns of label selectors that select nothing: the patterns alone would.
fn log_unselected(report: &Report) {
    for secret in &report.secrets {
        if let Some(namespaces) = secret.unselected {
            let secret = &secret.name;
            warn!(
                secret,
                namespaces,
                "the label selector selects none of the namespaces that the patterns match"
            );
        }
    }
}
