//! The daemon: its tasks, and how they are put together.

mod dependencies;
mod election;
mod events;
mod http;
mod lease;
mod policy;
mod reload;
mod signals;
mod tasks;
mod token_cache;
mod tokens;

use std::sync::Arc;

use anyhow::{Context, Result};
use ecr_refresher_core::tokens::{SharedTokenStore, TokenStore};
use ecr_refresher_sync::{
    engine::{
        handle::EngineHandle,
        runner::{EngineDependencies, Runner},
    },
    leadership::Leadership,
    report::notice::Notices,
};
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

pub use self::dependencies::Dependencies;
pub(crate) use self::{
    dependencies::identity,
    http::{About, Server},
    signals::{Signals, StopSignal},
    token_cache::TokenCache,
    tokens::log as log_token,
};
use self::{
    election::Election, events::Publisher, policy::PolicyCheck, reload::Reload, tasks::Tasks,
    tokens::Tokens,
};
use crate::{
    config::{Config, ConfigState, Follower},
    metrics::Metrics,
};

/// The daemon, put together and started.
pub struct Running {
    tasks: Tasks,
    handle: DaemonHandle,
}

/// A handle of a running daemon.
#[derive(Debug, Clone)]
pub struct DaemonHandle {
    /// Requests to the engine.
    pub engine: EngineHandle,
    /// The right to write.
    pub leadership: Leadership,
    /// The owner of the tokens.
    pub tokens: SharedTokenStore,
    metrics: Metrics,
    about: About,
}

/// Starts the daemon with a config; `follower` watches its file. Must be called within a tokio runtime.
///
/// # Errors
/// When the metrics cannot be registered.
pub fn start(dependencies: Dependencies, config: Config, follower: Follower) -> Result<Running> {
    let Dependencies { client, aws, clock, random, home, identity, .. } = dependencies;
    let mut tasks = Tasks::default();
    let restores = watch::Sender::new(0);
    // The tasks that write under the Lease.
    let writers = TaskTracker::new();
    let leader = watch::Sender::new(None);
    let store = SharedTokenStore::new(TokenStore::new(random.clone()));
    let leadership = match config.leader_election {
        None => {
            leader.send_replace(Some(identity.clone()));
            Leadership::always(clock.clone())
        }
        Some(times) => {
            let (name, senders) = (identity.clone(), (leader.clone(), restores.clone()));
            let facts = (clock.clone(), store.clone());
            let (election, leadership) = Election::new(&client, &home, name, times, facts, senders);
            tasks.spawn_last("leader election", election.run(tasks.shutdown(), writers.clone()));
            leadership
        }
    };
    let about = About {
        release: home.release(),
        replica: identity.clone(),
        leader: leader.subscribe(),
        clock: clock.clone(),
    };
    let state = watch::Sender::new(ConfigState { is_valid: true, since: clock.wall() });
    let metrics = Metrics::register(leadership.clone(), store.clone(), state.subscribe())
        .context("the metrics cannot be registered")?;
    let engine_dependencies = EngineDependencies {
        client: client.clone(),
        release: home.release(),
        tokens: store.clone(),
        leadership: leadership.clone(),
        restores: restores.subscribe(),
        clock: clock.clone(),
        random: random.clone(),
    };
    let (engine, handle) =
        Runner::new(engine_dependencies, config.sync.clone(), metrics.sync.clone());
    let (sender, notices) = mpsc::channel(events::WAITING);
    let publisher = Publisher::new(
        client.clone(),
        identity,
        leadership.clone(),
        notices,
        clock.clone(),
        random.clone(),
    );
    let notices = Notices::new(sender);
    let engine = engine.with_notices(notices.clone());
    let cache = TokenCache::new(
        &client,
        &home,
        store.clone(),
        restores.subscribe(),
        clock.clone(),
        random,
        metrics.tokens.clone(),
    );
    let (config, current) = watch::channel(Arc::new(config));
    let policy = PolicyCheck {
        client,
        home: home.clone(),
        config: current.clone(),
        leadership: leadership.clone(),
        metrics: metrics.admission_policy.clone(),
        notices: notices.clone(),
        clock: clock.clone(),
    };
    let tokens = Tokens {
        aws,
        cache,
        home: home.clone(),
        config: current,
        store: store.clone(),
        metrics: metrics.tokens.clone(),
        notices: notices.clone(),
        leadership: leadership.clone(),
        clock: clock.clone(),
    };
    let reload = Reload { follower, engine: handle.clone(), config, state, home, notices, clock };

    let shutdown = tasks.shutdown();
    let sync = async move { Ok(engine.run(shutdown).await?) };
    tasks.spawn_last("sync", writers.track_future(sync));
    let shutdown = tasks.shutdown();
    tasks.spawn_last("tokens", writers.track_future(tokens.run(shutdown)));
    writers.close();
    tasks.spawn("reload", reload.run());
    tasks.spawn("admission policy", policy.run());
    tasks.spawn("events", publisher.run());
    let handle = DaemonHandle { engine: handle, leadership, tokens: store, metrics, about };
    Ok(Running { tasks, handle })
}

impl Running {
    /// Serves metrics, probes and the page as another task of the daemon.
    pub(crate) fn serve(&mut self, server: Server) {
        let DaemonHandle { engine, metrics, about, .. } = self.handle.clone();
        self.tasks.spawn("http", server.serve(metrics, engine, about));
    }

    /// Runs until the process gets SIGTERM or SIGINT, and then until the tasks have ended in good order.
    ///
    /// # Errors
    /// When a task ends by itself, or badly.
    pub(crate) async fn run_until_signalled(self) -> Result<()> {
        let mut signals = Signals::listen()?;
        self.tasks.run_until(async move { signals.next().await.into() }).await
    }

    /// Runs until `signal` is done, and then until the tasks have ended in good order.
    ///
    /// # Errors
    /// When a task ends by itself, or badly.
    pub async fn run_until(self, signal: impl Future<Output = &'static str>) -> Result<()> {
        self.tasks.run_until(signal).await
    }

    /// A handle of it.
    #[must_use]
    pub fn handle(&self) -> DaemonHandle {
        self.handle.clone()
    }
}

impl DaemonHandle {
    /// The text of `/metrics`.
    ///
    /// # Errors
    /// When the metrics cannot be rendered.
    pub async fn render_metrics(&self) -> Result<String> {
        Ok(self.metrics.render(&self.engine).await?.collect())
    }
}
