//! `run --once`: one pass, for a `CronJob`.

mod credentials;
mod summary;

use anyhow::{Context, Result};
use ecr_refresher_core::{aws::Aws, clock::Now, keeper::Update};
use ecr_refresher_sync::{Engine, Leadership, Pass, SyncMetrics};
use jiff::Timestamp;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::info;

use self::{credentials::get_all, summary::Summary};
use crate::{
    cli::{Failure, RunArgs},
    config::{self, Config},
    kubernetes, logging, output,
    run::{Home, identity, runtime},
    signals::Signals,
    token_cache::TokenCache,
};

/// Does one pass and prints what became of it.
pub(crate) fn execute(args: &RunArgs) -> Result<(), Failure> {
    logging::start(args.log_format);
    let path = &args.config.config;
    let (config, _) = config::load(path).map_err(|error| Failure::Usage(error.to_string()))?;
    info!(version = env!("CARGO_PKG_VERSION"), config = %path.display(), "one pass");
    let summary = runtime()?.block_on(pass(args, config))?;
    output::print(summary.render(args.once.output))?;
    if summary.is_good() { Ok(()) } else { Err(Failure::Told) }
}

/// One pass, without the lease: whoever runs this has no daemon beside it.
async fn pass(args: &RunArgs, mut config: Config) -> Result<Summary> {
    let now: Now = Timestamp::now;
    let started = Instant::now();
    let patience = args.once.timeout;
    let client = kubernetes::client(&args.cluster, &identity()).await?;
    let home = Home::new(&client, &args.home);
    let shutdown = stopped()?;

    let aws = Aws::load().await;
    let getting = async {
        let mut cache = TokenCache::load(&client, &home, now).await;
        cache.follow(&config.registries);
        let updates = get_all(&config, &cache, &aws, now).await;
        for update in &updates {
            cache.take(update);
        }
        cache.finish().await;
        updates
    };
    let updates: Vec<Update> = tokio::select! {
        updates = timeout(patience, getting) => updates.with_context(|| {
            format!("neither tokens nor the API server could be had within {patience:?}")
        })?,
        () = shutdown.cancelled() => anyhow::bail!("stopped before anything was written"),
    };
    let summary = Summary::new(&updates);

    // There is no later to spread writes over.
    config.sync.spread = std::time::Duration::ZERO;
    let metrics = SyncMetrics::register(&prometheus::Registry::new())?;
    let (engine, _handle) = Engine::new(client, config.sync, metrics, Leadership::always(now), now);
    let left = patience.saturating_sub(started.elapsed());
    let pass: Pass = engine.run_once(updates, left, shutdown).await?;
    Ok(summary.with(pass))
}

/// Cancelled when the process is told to stop.
fn stopped() -> Result<CancellationToken> {
    let mut signals = Signals::listen()?;
    let token = CancellationToken::new();
    let stopped = token.clone();
    tokio::spawn(async move {
        let signal = signals.next().await;
        info!(signal, "stopping");
        stopped.cancel();
    });
    Ok(token)
}
