//! `run`: the daemon.

use std::sync::Arc;

use anyhow::{Context, Result};
use ecr_refresher_core::clock::Now;
use ecr_refresher_sync::{Engine, Leadership, Notices};
use jiff::Timestamp;
use kube::Client;
use tokio::{
    runtime::Runtime,
    sync::{mpsc, watch},
};
use tracing::info;

use crate::{
    cli::{Failure, HomeArgs, RunArgs},
    config::{self, Config, Follower},
    election::Election,
    events::{self, Publisher},
    http::Server,
    kubernetes, logging,
    metrics::Metrics,
    reload::Reload,
    tasks::Tasks,
    tokens::Tokens,
};

/// How many updates of registries may wait for the engine.
const UPDATES: usize = 16;
/// Runs the daemon until it is told to stop.
pub(crate) fn execute(args: &RunArgs) -> Result<(), Failure> {
    logging::start(args.log_format);
    let path = &args.config.config;
    let (config, text) = config::load(path).map_err(|error| Failure::Usage(error.to_string()))?;
    info!(version = env!("CARGO_PKG_VERSION"), config = %path.display(), "starting");
    Ok(runtime()?.block_on(run(args, config, Follower::new(path, text)))?)
}

/// One thread: the work is waiting for others, and memory is what is short.
pub(crate) fn runtime() -> Result<Runtime> {
    // The one TLS provider of the process; it fails only when there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().context("the asynchronous runtime cannot be started")
}

async fn run(args: &RunArgs, config: Config, follower: Follower) -> Result<()> {
    let now: Now = Timestamp::now;
    let identity = identity();
    let client = kubernetes::client(&args.cluster, &identity).await?;
    let home = Home::new(&client, &args.home);
    let mut tasks = Tasks::default();
    // Whoever holds one of these writes under the lease.
    let (worker, workers) = mpsc::channel(1);
    let leadership = match config.leader_election {
        None => Leadership::always(now),
        Some(times) => {
            let (election, leadership) =
                Election::new(&client, home.clone(), identity.clone(), times, now);
            tasks.spawn_last("leader election", election.run(tasks.shutdown(), workers));
            leadership
        }
    };

    let metrics = Metrics::register(leadership.clone(), now())?;
    let sync_metrics = metrics.sync.clone();
    let (engine, handle) =
        Engine::new(client.clone(), config.sync.clone(), sync_metrics, leadership.clone(), now);
    let (tell, notices) = mpsc::channel(events::WAITING);
    let publisher = Publisher::new(client.clone(), identity, leadership.clone(), notices);
    let notices = Notices::new(tell);
    let engine = engine.with_notices(notices.clone());
    let server = Server::bind(config.listen, metrics.clone(), handle.clone()).await?;
    let (engine_updates, updates) = mpsc::channel(UPDATES);
    let (config, current) = watch::channel(Arc::new(config));
    let tokens = Tokens {
        client,
        home: home.clone(),
        notices: notices.clone(),
        config: current,
        metrics: metrics.tokens,
        engine: engine_updates,
        leadership,
        now,
    };
    let reload =
        Reload { follower, engine: handle, config, metrics: metrics.config, home, notices, now };

    let shutdown = tasks.shutdown();
    let sync = async move { Ok(engine.run(updates, shutdown).await?) };
    tasks.spawn_last("sync", holding(worker.clone(), sync));
    tasks.spawn_last("tokens", holding(worker, tokens.run(tasks.shutdown())));
    tasks.spawn("reload", reload.run());
    tasks.spawn("events", publisher.run());
    tasks.spawn("http", server.serve());
    tasks.run_until_told_to_stop().await
}

/// Holds a value until a task ends.
async fn holding<H, T>(held: H, task: impl Future<Output = T>) -> T {
    let ended = task.await;
    drop(held);
    ended
}

/// Who this replica is. Not the host's name alone: two Pods with `hostNetwork` may share it.
pub(crate) fn identity() -> String {
    let pod = std::env::var("POD_NAME").ok().filter(|name| !name.is_empty());
    pod.unwrap_or_else(|| format!("ecr-refresher-{:016x}", fastrand::u64(..)))
}

/// Where the daemon's own objects are, and what their names begin with.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Home {
    pub(crate) fn new(client: &Client, args: &HomeArgs) -> Self {
        let namespace = args.namespace.as_deref().unwrap_or(client.default_namespace());
        Self { namespace: namespace.to_owned(), name: args.name.clone() }
    }

    /// The name of the Secret that is the token cache.
    pub(crate) fn token_cache(&self) -> String {
        format!("{}-tokens", self.name)
    }
}
