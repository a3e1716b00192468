//! `run`: the daemon.

use anyhow::{Context, Result};
use ecr_refresher_core::{aws, clock::Now};
use ecr_refresher_sync::Engine;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tracing::info;

use crate::{
    cli::{Failure, RunArgs},
    config::{self, Config, Follower},
    http::Server,
    keepers::Keepers,
    kubernetes, logging,
    metrics::Metrics,
    reload::Reload,
    tasks::Tasks,
};

/// How many updates of registries may wait for the engine; a keeper waits for a place.
const UPDATES: usize = 16;
/// The engine's task: it ends last, when its writes have.
const ENGINE: &str = "sync";

/// Runs the daemon until it is told to stop.
pub(crate) fn execute(args: &RunArgs) -> Result<(), Failure> {
    logging::start(args.log_format);
    let path = &args.config.config;
    let (config, text) = config::load(path).map_err(|error| Failure::Usage(error.to_string()))?;
    info!(version = env!("CARGO_PKG_VERSION"), config = %path.display(), "starting");
    // One thread: the work is waiting for others, and memory is what is short.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the asynchronous runtime cannot be started")?;
    Ok(runtime.block_on(run(args, config, Follower::new(path, text)))?)
}

async fn run(args: &RunArgs, config: Config, follower: Follower) -> Result<()> {
    // The one TLS provider of the process; it fails only when there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let now: Now = Timestamp::now;
    let client = kubernetes::client(&args.cluster).await?;
    let metrics = Metrics::register(now())?;
    let (updates, heard) = mpsc::channel(UPDATES);
    let mut keepers = Keepers::new(aws::load_config().await, metrics.tokens.clone(), now, updates);
    keepers.follow(&config.registries, config.at_fraction);
    let (sync, handle) = Engine::new(client, config.sync, metrics.sync.clone(), now);
    let server = Server::bind(config.listen, metrics.clone(), handle.clone()).await?;
    let reload = Reload {
        follower,
        keepers,
        engine: handle,
        metrics: metrics.config,
        listen: config.listen,
        now,
    };

    let mut tasks = Tasks::default();
    let shutdown = tasks.shutdown();
    tasks.spawn(ENGINE, async move { Ok(sync.run(heard, shutdown).await?) });
    tasks.spawn("config", reload.run());
    tasks.spawn("http", async move {
        server.serve().await;
        Ok(())
    });
    tasks.run_until_told_to_stop(ENGINE).await
}
