//! The loop that feeds the index and does what it says.

use std::{sync::Arc, time::Duration};

use ecr_refresher_core::{Chain, clock::Now, keeper::Update};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use jiff::SignedDuration;
use kube::Client;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    Event, Index, Report, Setback, Settings, SyncMetrics, WriteReason,
    registries::Registries,
    watch::{Watch, Watches},
    writer,
};

/// The wall clock is looked at this often at least: timers stand still in a suspended machine.
const GLANCE: SignedDuration = SignedDuration::from_secs(10);
/// How long writes under way may take to end when the process is told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// A loop that does not answer within this time has stalled.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps all copies as they are wanted.
pub struct Engine {
    client: Client,
    settings: Settings,
    metrics: SyncMetrics,
    now: Now,
    registries: Registries,
    index: Index,
    watches: Watches,
    writes: FuturesUnordered<BoxFuture<'static, Done>>,
    synced: bool,
    requests: mpsc::Receiver<Request>,
}

/// How others talk to the engine while it runs.
#[derive(Debug, Clone)]
pub struct EngineHandle(mpsc::Sender<Request>);

/// The engine did not answer in time, or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the loop has stalled: it has not answered for {} s", PATIENCE.as_secs())]
pub struct Stalled;

/// The watches have ended, which they never do by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the watches have ended")]
pub struct WatchEnded;

#[derive(Debug)]
enum Request {
    Report { with_copies: bool, answer: oneshot::Sender<Report> },
    Configure { settings: Box<Settings>, answer: oneshot::Sender<()> },
}

/// A write or a deletion that has ended.
struct Done {
    /// The pull Secret's name.
    secret: String,
    namespace: Arc<str>,
    event: Event,
    took: Duration,
}

impl EngineHandle {
    /// The state of all copies now; `with_copies` asks also for each single one that is to have a
    /// series of its own.
    ///
    /// # Errors
    /// When the loop has stalled.
    pub async fn report(&self, with_copies: bool) -> Result<Report, Stalled> {
        self.ask(|answer| Request::Report { with_copies, answer }).await
    }

    /// Has the engine follow other settings.
    ///
    /// # Errors
    /// When the loop has stalled.
    pub async fn configure(&self, settings: Settings) -> Result<(), Stalled> {
        let settings = Box::new(settings);
        self.ask(|answer| Request::Configure { settings, answer }).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Stalled> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.0.send(request(answer)).await.map_err(|_| Stalled)?;
            answered.await.map_err(|_| Stalled)
        };
        timeout(PATIENCE, asked).await.unwrap_or(Err(Stalled))
    }
}

impl Engine {
    /// An engine that follows `settings`. It watches from its first run on.
    #[must_use]
    pub fn new(
        client: Client,
        settings: Settings,
        metrics: SyncMetrics,
        now: Now,
    ) -> (Self, EngineHandle) {
        let (ask, requests) = mpsc::channel(8);
        let mut engine = Self {
            index: Index::new(&settings, fastrand::u64(..)),
            registries: Registries::default(),
            watches: Watches::start(client.clone()),
            client,
            settings,
            metrics,
            now,
            writes: FuturesUnordered::new(),
            synced: false,
            requests,
        };
        let places: Vec<_> = engine.index.secrets().map(|(place, _)| place).collect();
        engine.watch_copies(&places);
        (engine, EngineHandle(ask))
    }

    /// Runs until `shutdown`, and then until the writes under way have ended.
    ///
    /// # Errors
    /// When the watches end.
    pub async fn run(
        mut self,
        mut updates: mpsc::Receiver<Update>,
        shutdown: CancellationToken,
    ) -> Result<(), WatchEnded> {
        loop {
            self.start_writes();
            let wait = self.until_due();
            tokio::select! {
                () = shutdown.cancelled() => break,
                told = self.watches.next() => self.take_event(told.ok_or(WatchEnded)?),
                Some(update) = updates.recv() => self.take_update(update),
                Some(done) = self.writes.next() => self.take_done(done),
                Some(request) = self.requests.recv() => self.take_request(request),
                () = sleep(wait) => {}
            }
        }
        self.finish_writes().await;
        Ok(())
    }

    fn take_event(&mut self, (watch, event): (Watch, kube::runtime::watcher::Result<Event>)) {
        let now = (self.now)();
        match event {
            Ok(event) => {
                self.metrics.heard(watch, now);
                self.index.apply(event, now);
            }
            Err(error) => {
                self.metrics.watch_failed(watch);
                let resource = watch.as_str();
                warn!(resource, "the watch failed and is taken up again: {}", Chain(&error));
            }
        }
    }

    fn take_update(&mut self, update: Update) {
        if self.registries.update(update) {
            self.render();
        }
    }

    /// Renders what the registries hold now; only a manifest that differs is news.
    fn render(&mut self) {
        let now = (self.now)();
        let mut manifests = Vec::new();
        for (place, secret) in self.index.secrets() {
            match self.registries.manifest(secret, now) {
                Some(Ok(manifest)) => manifests.push((place, Arc::new(manifest))),
                Some(Err(error)) => error!(secret = secret.name, "no manifest: {error}"),
                None => {}
            }
        }
        for (secret, manifest) in manifests {
            self.index.apply(Event::Manifest { secret, manifest }, now);
        }
    }

    fn take_request(&mut self, request: Request) {
        // Whoever asked may have gone meanwhile.
        match request {
            Request::Report { with_copies, answer } => {
                let _ = answer.send(self.report(with_copies));
            }
            Request::Configure { settings, answer } => {
                self.configure(*settings);
                let _ = answer.send(());
            }
        }
    }

    fn configure(&mut self, settings: Settings) {
        let changes = self.index.reconfigure(&settings, (self.now)());
        self.settings = settings;
        for &place in &changes.removed {
            self.watches.forget_copies(place);
        }
        self.watch_copies(&changes.added);
        if changes.labels_are_missing {
            self.watches.list_namespaces_again();
        }
        let secrets = &self.settings.secrets;
        let is_used = |name: &str| {
            secrets.iter().any(|secret| secret.registries.iter().any(|used| **used == *name))
        };
        self.registries.retain(is_used);
        self.render();
    }

    fn watch_copies(&mut self, places: &[usize]) {
        for &place in places {
            if let Some(secret) = self.index.secret(place) {
                self.metrics.announce(&secret.name);
                self.watches.watch_copies(place, &secret.name);
            }
        }
    }

    /// Starts what is due, as long as there is room; deletions last.
    fn start_writes(&mut self) {
        let now = (self.now)();
        while self.writes.len() < self.settings.concurrency {
            let client = self.client.clone();
            if let Some(write) = self.index.next_write(now) {
                self.start(write.secret, Arc::clone(&write.namespace), move |secret| async move {
                    let outcome = writer::write(&client, &secret, &write).await;
                    Event::Written { write, outcome }
                });
            } else if let Some(deletion) = self.index.next_deletion(now) {
                let namespace = Arc::clone(&deletion.namespace);
                self.start(deletion.secret, namespace, move |secret| async move {
                    let failure = writer::delete(&client, &secret, &deletion).await;
                    Event::Deleted { deletion, failure }
                });
            } else {
                return;
            }
        }
    }

    fn start<F: Future<Output = Event> + Send + 'static>(
        &self,
        place: usize,
        namespace: Arc<str>,
        write: impl FnOnce(String) -> F,
    ) {
        let secret = self.index.secret(place).map(|secret| secret.name.clone()).unwrap_or_default();
        let writing = write(secret.clone());
        self.writes.push(Box::pin(async move {
            let started = Instant::now();
            let event = writing.await;
            Done { secret, namespace, event, took: started.elapsed() }
        }));
    }

    fn take_done(&mut self, Done { secret, namespace, event, took }: Done) {
        let is_deletion = matches!(event, Event::Deleted { .. });
        let Some(ended) = self.index.apply(event, (self.now)()) else { return };
        if is_deletion && ended.failure.is_none() {
            info!(secret, %namespace, "deleted the copy, which is wanted no more");
        } else if !is_deletion {
            let failed = ended.failure.as_ref().map(|setback| setback.failure.reason);
            self.metrics.wrote(&secret, failed, took);
            if let Some(waited) = ended.waited {
                self.metrics.served(waited);
            }
            if let Some(repairs) = ended.contested {
                warn!(
                    secret,
                    %namespace,
                    repairs,
                    "somebody keeps changing or deleting the copy: its repairs slow down"
                );
            }
            if failed.is_none() {
                debug!(secret, %namespace, "wrote the copy");
            }
        }
        if let Some(setback) = &ended.failure {
            log_setback(&secret, &namespace, is_deletion, setback);
        }
    }

    fn report(&mut self, with_copies: bool) -> Report {
        let mut report = self.index.report((self.now)(), with_copies);
        if report.synced && !self.synced {
            info!("first sync done");
        }
        self.synced |= report.synced;
        report.synced = self.synced;
        report.showing(self.settings.per_namespace)
    }

    fn until_due(&self) -> Duration {
        let now = (self.now)();
        let wait = match self.index.next_due() {
            // What is due now waits for a write to end, which wakes the loop.
            Some(due) if due > now => due.duration_since(now).min(GLANCE),
            _ => GLANCE,
        };
        Duration::try_from(wait).unwrap_or_default()
    }

    /// Lets the writes under way end; starts no others.
    async fn finish_writes(mut self) {
        let rest = self.writes.len();
        let all = async {
            while let Some(done) = self.writes.next().await {
                self.take_done(done);
            }
        };
        if timeout(GRACE, all).await.is_ok() {
            debug!(writes = rest, "the writes under way have ended");
        } else {
            warn!("some writes had not ended after {} s", GRACE.as_secs());
        }
    }
}

fn log_setback(secret: &str, namespace: &str, is_deletion: bool, setback: &Setback) {
    let Setback { failure, count, delay } = setback;
    // It is on its way out, and its watch will tell.
    if failure.reason == WriteReason::NamespaceGone {
        debug!(secret, namespace, "the namespace is gone: {failure}");
        return;
    }
    let what = if is_deletion { "deleted" } else { "written" };
    warn!(
        secret,
        namespace,
        reason = %failure.reason,
        failures = count,
        retry_in_seconds = delay.as_secs_f64(),
        "the copy was not {what}: {failure}"
    );
}
