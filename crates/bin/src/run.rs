//! `run`: the daemon.

use anyhow::{Context, Result};
use ecr_refresher_core::{aws, clock::Now, keeper::Update};
use ecr_refresher_sync::{Engine, EngineHandle};
use jiff::Timestamp;
use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    cli::{ClusterArgs, Failure, RunArgs},
    config::{self, Config, Follower},
    http::Server,
    keepers::Keepers,
    kubernetes, logging,
    metrics::Metrics,
    reload::Reload,
    tasks::Tasks,
    token_cache::TokenCache,
};

/// How many updates of registries may wait for the engine; a keeper waits for a place.
const UPDATES: usize = 16;
/// The engine's task: it ends when its writes have.
const ENGINE: &str = "sync";
/// The task of the registries: it ends when the token cache is written.
const REGISTRIES: &str = "registries";

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
    let (engine, handle) =
        Engine::new(client.clone(), config.sync.clone(), metrics.sync.clone(), now);
    let server = Server::bind(config.listen, metrics.clone(), handle.clone()).await?;
    let (updates, heard) = mpsc::channel(UPDATES);
    let home = Home::new(&client, &args.cluster);

    let mut tasks = Tasks::default();
    let shutdown = tasks.shutdown();
    tasks.spawn(ENGINE, async move { Ok(engine.run(heard, shutdown).await?) });
    tasks.spawn("http", async move {
        server.serve().await;
        Ok(())
    });
    let shutdown = tasks.shutdown();
    tasks.spawn(REGISTRIES, async move {
        let cache = tokio::select! {
            cache = TokenCache::load(&client, &home.namespace, &home.name) => cache,
            () = shutdown.cancelled() => return Ok(()),
        };
        let follow = FollowRegistries { config, follower, cache, engine: handle, metrics, now };
        follow.run(updates, shutdown).await
    });
    tasks.run_until_told_to_stop(&[ENGINE, REGISTRIES]).await
}

/// Keeps the credentials of the registries fresh, and follows the config.
struct FollowRegistries {
    config: Config,
    follower: Follower,
    cache: TokenCache,
    engine: EngineHandle,
    metrics: Metrics,
    now: Now,
}

impl FollowRegistries {
    async fn run(
        mut self,
        updates: mpsc::Sender<Update>,
        shutdown: CancellationToken,
    ) -> Result<()> {
        let (fetched, to_cache) = mpsc::channel(UPDATES);
        let Config { registries, at_fraction, listen, .. } = self.config;
        let aws = aws::load_config().await;
        let mut keepers = Keepers::new(aws, self.metrics.tokens, self.now, fetched);
        self.cache.follow(&registries);
        keepers.follow(&registries, at_fraction, |registry| {
            self.cache.credentials(registry, self.now)
        });
        let policy = keepers.policy();
        let (registries, current) = watch::channel(registries);
        let reload = Reload {
            follower: self.follower,
            keepers,
            engine: self.engine,
            registries,
            metrics: self.metrics.config,
            listen,
            now: self.now,
        };
        tokio::select! {
            ended = self.cache.run(to_cache, current, updates, policy, shutdown) => ended,
            ended = reload.run() => ended,
        }
    }
}

/// Where the daemon's own objects are, and what their names begin with.
struct Home {
    namespace: String,
    name: String,
}

impl Home {
    fn new(client: &Client, args: &ClusterArgs) -> Self {
        let namespace = args.namespace.as_deref().unwrap_or(client.default_namespace());
        Self { namespace: namespace.to_owned(), name: args.name.clone() }
    }
}
