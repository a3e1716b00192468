//! The loop that feeds the index and does what it says.

mod handle;
mod once;
mod tell;
mod writes;

use std::{sync::Arc, time::Duration};

use ecr_refresher_core::{Chain, clock::Now, keeper::Update};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use jiff::SignedDuration;
use kube::Client;
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::{handle::Request, writes::Done};
pub use self::{
    handle::{EngineHandle, Health, Stalled},
    once::Pass,
};
use crate::{
    Event, Index, Leadership, Notices, Report, Settings, SyncMetrics,
    concurrency::Concurrency,
    registries::Registries,
    watch::{Watch, Watches},
};

/// The wall clock is looked at this often at least: timers stand still in a suspended machine.
const GLANCE: SignedDuration = SignedDuration::from_secs(10);

/// Keeps all copies as they are wanted.
pub struct Engine {
    client: Client,
    settings: Settings,
    metrics: SyncMetrics,
    notices: Option<Notices>,
    now: Now,
    leadership: Leadership,
    /// Whether it was held when it was last looked at.
    leads: bool,
    registries: Registries,
    index: Index,
    watches: Watches,
    writes: FuturesUnordered<BoxFuture<'static, Done>>,
    concurrency: Concurrency,
    synced: bool,
    requests: mpsc::Receiver<Request>,
}

/// The watches have ended, which they never do by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the watches have ended")]
pub struct WatchEnded;

impl Engine {
    /// An engine that follows `settings`, and writes while `leadership` is held. It watches from its
    /// first run on.
    #[must_use]
    pub fn new(
        client: Client,
        settings: Settings,
        metrics: SyncMetrics,
        leadership: Leadership,
        now: Now,
    ) -> (Self, EngineHandle) {
        let (ask, requests) = mpsc::channel(8);
        let concurrency = Concurrency::new(settings.concurrency);
        let mut engine = Self {
            index: Index::new(&settings, fastrand::u64(..)),
            registries: Registries::default(),
            watches: Watches::start(client.clone(), now),
            client,
            settings,
            metrics,
            notices: None,
            now,
            leadership,
            leads: false,
            writes: FuturesUnordered::new(),
            concurrency,
            synced: false,
            requests,
        };
        let places: Vec<_> = engine.index.secrets().map(|(place, _)| place).collect();
        engine.watch_copies(&places);
        let places: Vec<_> = engine.index.accounts().map(|(place, _)| place).collect();
        engine.watch_accounts(&places);
        (engine, EngineHandle(ask))
    }

    /// Tells of what goes wrong with single copies and ServiceAccounts.
    #[must_use]
    pub fn with_notices(self, notices: Notices) -> Self {
        Self { notices: Some(notices), ..self }
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
            self.heed_leadership();
            self.tell_of_conflicts();
            self.start_writes();
            let wait = self.until_due();
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = turn(&mut self.leadership, self.leads) => {}
                told = self.watches.next() => self.take_event(told.ok_or(WatchEnded)?),
                Some(update) = updates.recv() => self.take_update(update),
                Some(done) = self.writes.next() => self.take_done(done),
                Some(request) = self.requests.recv() => self.take_request(request),
                () = sleep(wait) => {}
            }
        }
        self.finish_writes(|_| ()).await;
        Ok(())
    }

    /// Begins or stops to write, as the leadership comes and goes.
    fn heed_leadership(&mut self) {
        let leads = self.leadership.is_held();
        if self.leads && !leads {
            // Their requests are cut off: whoever leads now may write the same copies.
            self.writes.clear();
            self.registries = Registries::default();
            self.index.stand_by((self.now)());
        }
        self.leads = leads;
    }

    fn take_event(&mut self, (watch, event): (Watch, kube::runtime::watcher::Result<Event>)) {
        match event {
            Ok(event) => {
                self.index.apply(event, (self.now)());
            }
            Err(error) => {
                self.metrics.watch_failed(watch);
                let resource = watch.as_str();
                warn!(resource, "the watch failed and is taken up again: {}", Chain(&error));
            }
        }
    }

    fn take_update(&mut self, update: Update) {
        self.heed_leadership();
        if self.leads && self.registries.update(update) {
            self.render();
        }
    }

    /// Renders what the registries hold now; only a manifest that differs is news.
    fn render(&mut self) {
        let now = (self.now)();
        let mut manifests = Vec::new();
        for (place, secret) in self.index.secrets() {
            match self.registries.manifest(secret) {
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
            Request::Report { answer } => {
                let _ = answer.send(self.report());
            }
            Request::Health { answer } => {
                let _ = answer.send(self.health());
            }
            Request::Configure { settings, answer } => {
                self.configure(*settings);
                let _ = answer.send(());
            }
        }
    }

    fn configure(&mut self, settings: Settings) {
        let changes = self.index.reconfigure(&settings, (self.now)());
        self.concurrency.follow(settings.concurrency);
        self.settings = settings;
        for &place in &changes.removed {
            self.watches.forget_copies(place);
        }
        self.watch_copies(&changes.added);
        for &place in &changes.accounts_removed {
            self.watches.forget_accounts(place);
        }
        self.watch_accounts(&changes.accounts_added);
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

    fn watch_accounts(&mut self, places: &[usize]) {
        for (place, name) in self.index.accounts().filter(|(place, _)| places.contains(place)) {
            self.metrics.announce_account(name);
            self.watches.watch_accounts(place, name);
        }
    }

    /// Whoever does not lead shows no copies, so that none is counted twice.
    fn report(&mut self) -> Report {
        self.heed_leadership();
        let watches = self.watches.report();
        if !self.leads {
            return Report { watches, ..Report::default() };
        }
        let report = self.index.report((self.now)(), self.settings.per_namespace);
        Report { watches, ..report }
    }

    fn health(&mut self) -> Health {
        // Whoever leads since a moment ago is not ready as those who follow are.
        self.heed_leadership();
        Health { synced: self.is_synced(), watches: self.watches.report() }
    }

    /// Whoever does not lead is ready to, once it knows what is there.
    fn is_synced(&mut self) -> bool {
        if !self.leads {
            return self.leadership.is_decided() && self.index.is_listed();
        }
        if !self.synced && self.index.is_synced((self.now)()) {
            info!("first sync done");
            self.synced = true;
        }
        self.synced
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
}

/// Waits until the leadership is gained or lost.
async fn turn(leadership: &mut Leadership, leads: bool) {
    if leads { leadership.lost().await } else { leadership.gained().await }
}
