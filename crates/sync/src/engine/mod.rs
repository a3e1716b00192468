//! The loop that feeds the index and does what it says.

pub mod handle;
pub mod once;
mod tell;
mod writes;

use std::{sync::Arc, time::Duration};

use ecr_refresher_core::{
    Chain, Random,
    clock::{Clock, POLL_INTERVAL},
    planted::{Bug, is_planted},
    tokens::SharedTokenStore,
};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use kube::Client;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::{handle::Request, writes::Done};
pub use self::{
    handle::{EngineHandle, Health, Stalled},
    once::Pass,
};
use crate::{
    desired::{
        document::{Document, document},
        manifest::Manifest,
        settings::Settings,
    },
    index::{Index, event::Event},
    job::concurrency::Concurrency,
    leadership::Leadership,
    observed::resource::Watch,
    report::{Report, metrics::SyncMetrics, notice::Notices},
    watch::Watches,
};

/// The two clocks may differ by so much without a suspension.
const SLACK: Duration = Duration::from_secs(1);

/// What the engine works with.
pub struct EngineDependencies {
    /// The API server.
    pub client: Client,
    /// The owner of the tokens, which is read whenever something is rendered.
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

/// Keeps all copies as they are wanted.
pub struct Engine {
    client: Client,
    settings: Settings,
    metrics: SyncMetrics,
    notices: Option<Notices>,
    clock: Clock,
    leadership: Leadership,
    /// The term that it was held in when it was last checked.
    term: Option<u64>,
    tokens: SharedTokenStore,
    /// The version of the token store that was rendered last.
    rendered: Option<u64>,
    restores: watch::Receiver<u64>,
    index: Index,
    watches: Watches,
    writes: FuturesUnordered<BoxFuture<'static, Done>>,
    concurrency: Concurrency,
    synced: bool,
    requests: mpsc::Receiver<Request>,
    /// The uptime and the time of the timers when they were last compared.
    checked: (Duration, Instant),
}

/// The watches have ended, which they never do by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the watches have ended")]
pub struct WatchEnded;

impl Engine {
    /// An engine that follows `settings`, and writes while the leadership is held. It watches from its
    /// first run on.
    #[must_use]
    pub fn new(
        surroundings: EngineDependencies,
        settings: Settings,
        metrics: SyncMetrics,
    ) -> (Self, EngineHandle) {
        let EngineDependencies { client, tokens, leadership, restores, clock, random } =
            surroundings;
        let (ask, requests) = mpsc::channel(8);
        let uptime = clock.uptime();
        let concurrency = Concurrency::new(settings.concurrency);
        let mut engine = Self {
            index: Index::new(&settings, random.number()),
            watches: Watches::start(client.clone(), clock.clone(), random),
            client,
            settings,
            metrics,
            notices: None,
            clock,
            leadership,
            term: None,
            tokens,
            rendered: None,
            restores,
            writes: FuturesUnordered::new(),
            concurrency,
            synced: false,
            requests,
            checked: (uptime, Instant::now()),
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
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), WatchEnded> {
        let mut tokens = self.tokens.changes();
        loop {
            self.check_suspended();
            self.check_leadership();
            self.render_news();
            self.tell_of_conflicts();
            self.start_writes();
            let wait = self.until_due();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(request) = self.requests.recv() => self.take_request(request),
                () = self.leadership.changed(self.term) => {}
                Ok(()) = tokens.changed() => {}
                Ok(()) = self.restores.changed() => {
                    if !is_planted(Bug::RestoreIgnored) {
                        self.watches.list_all_again();
                    }
                }
                told = self.watches.next() => self.take_event(told.ok_or(WatchEnded)?),
                Some(done) = self.writes.next() => self.take_done(done),
                () = sleep(wait) => {}
            }
        }
        self.finish_writes(|_| ()).await;
        Ok(())
    }

    /// Notes a suspension of the machine: the uptime has gone on, and the timers have not.
    fn check_suspended(&mut self) {
        let (uptime, timers) = (self.clock.uptime(), Instant::now());
        let passed = uptime.saturating_sub(self.checked.0);
        let suspended = passed.saturating_sub(timers.duration_since(self.checked.1));
        self.checked = (uptime, timers);
        if suspended > SLACK {
            info!("the machine was suspended for {} s", suspended.as_secs());
            self.index.suspended(suspended, self.clock.now());
        }
    }

    /// Begins or stops to write, as the leadership comes and goes.
    fn check_leadership(&mut self) {
        let term = self.leadership.term();
        if self.term != term {
            if self.term.is_some() && !is_planted(Bug::WritesOutliveTerm) {
                // Their requests are cut off: another replica may write the same copies now.
                self.writes.clear();
                self.index.stand_by(self.clock.now());
            }
            (self.term, self.rendered) = (term, None);
        }
    }

    fn take_event(&mut self, (watch, event): (Watch, kube::runtime::watcher::Result<Event>)) {
        match event {
            Ok(event) => {
                self.index.apply(event, self.clock.now());
            }
            Err(error) => {
                self.metrics.watch_failed(watch);
                let resource = watch.as_str();
                warn!(resource, "the watch failed and is taken up again: {}", Chain(&error));
            }
        }
    }

    /// Renders the manifests anew if the token store may have something else for them. In a new term
    /// it has, once it has read the token cache.
    fn render_news(&mut self) {
        let (term, version) = self.tokens.read(|store| (store.term(), store.version()));
        if self.term.is_none() || self.term != term || self.rendered == Some(version) {
            return;
        }
        if is_planted(Bug::RenderedOnce) && self.rendered.is_some() {
            return;
        }
        self.rendered = Some(version);
        let now = self.clock.now();
        let readings = self.tokens.read(|store| store.read(now));
        let mut manifests = Vec::new();
        for (secret, settings) in self.index.secrets() {
            let Some(document) = document(settings, &readings) else { continue };
            let Document { config, is_complete } = document;
            match Manifest::render(settings, &config) {
                Ok(manifest) => {
                    manifests.push((secret, Arc::new(Manifest { is_complete, ..manifest })));
                }
                Err(error) => error!(secret = settings.name, "no manifest: {error}"),
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
        let changes = self.index.reconfigure(&settings, self.clock.now());
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
        self.rendered = None;
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
        self.check_leadership();
        let watches = self.watches.report();
        if self.term.is_none() && !is_planted(Bug::FollowerShowsCopies) {
            return Report { watches, ..Report::default() };
        }
        let report = self.index.report(self.clock.now(), self.settings.per_namespace);
        Report { watches, ..report }
    }

    fn health(&mut self) -> Health {
        // Whoever leads since a moment ago is not ready as those who follow are.
        self.check_leadership();
        Health { synced: self.is_synced(), watches: self.watches.report() }
    }

    /// Whoever does not lead is ready to, once it knows what is there.
    fn is_synced(&mut self) -> bool {
        if self.term.is_none() {
            return self.leadership.is_decided() && self.index.is_listed();
        }
        if !self.synced && self.index.is_synced(self.clock.now()) {
            info!("first sync done");
            self.synced = true;
        }
        self.synced
    }

    fn until_due(&self) -> Duration {
        let now = self.clock.uptime();
        match self.index.next_due() {
            // What is due now waits for a write to end, which wakes the loop.
            Some(due) if due > now => due.saturating_sub(now).min(POLL_INTERVAL),
            _ => POLL_INTERVAL,
        }
    }
}
