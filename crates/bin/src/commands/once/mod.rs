//! `run --once`: one pass, for a `CronJob`.

mod credentials;
mod progress;
mod summary;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context, Result};
use ecr_refresher_core::{
    Files, TokenMetrics,
    tokens::{SharedTokenStore, TokenStore},
};
use ecr_refresher_sync::{
    engine::{
        once::Pass,
        runner::{EngineDependencies, Runner},
    },
    leadership::Leadership,
    report::metrics::SyncMetrics,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use self::credentials::get_all;
pub use self::summary::Summary;
use crate::{
    cli::RunArgs,
    commands::run::{dependencies, refused},
    config::{self, Config, registries},
    daemon::{Dependencies, Signals, StopSignal, TokenCache},
    failure::Failure,
    logging, output,
    runtime::runtime,
};

/// Does one pass and prints what became of it.
pub(crate) fn execute(args: &RunArgs) -> Result<(), Failure> {
    logging::start(args.log_format, args.log.verbose);
    let path = &args.config.path();
    let (config, _) = config::load(path, &Files::system(), &args.home.name)
        .map_err(|error| refused(error, args.log_format))?;
    info!(version = env!("CARGO_PKG_VERSION"), config = %path.display(), "one pass");
    config.warnings.log();
    let stop = Stop::default();
    let passed = runtime()?.block_on(async {
        stop.listen()?;
        pass(dependencies(args).await?, config, args.once.timeout, stop.token.clone()).await
    });
    let stopped = stop.signal.get().copied();
    let summary = match (passed, stopped) {
        (Ok(summary), _) => summary,
        (Err(error), None) => return Err(error.into()),
        (Err(error), Some(signal)) => {
            eprintln!("error: {error:#}");
            return Err(Failure::Stopped(signal));
        }
    };
    output::print(summary.render(args.once.output, stopped))?;
    match stopped {
        _ if summary.is_good() => Ok(()),
        Some(signal) if !summary.is_complete() => Err(Failure::Stopped(signal)),
        _ => Err(Failure::Reported),
    }
}

/// One pass, without the lease: no daemon may run at the same time. It takes no longer than `patience`,
/// and ends early once `shutdown` is cancelled.
///
/// # Errors
/// When neither the API server nor AWS answered, so that nothing could be done.
pub async fn pass(
    dependencies: Dependencies,
    mut config: Config,
    patience: Duration,
    shutdown: CancellationToken,
) -> Result<Summary> {
    let started = Instant::now();
    let (clock, random) = (dependencies.clock.clone(), dependencies.random.clone());
    let store = SharedTokenStore::new(TokenStore::new(random.clone()));
    let (_, restores) = watch::channel(0);
    let mut cache = TokenCache::new(
        &dependencies.client,
        &dependencies.home,
        store.clone(),
        restores.clone(),
        clock.clone(),
        random.clone(),
        TokenMetrics::register(&prometheus::Registry::new())?,
    );
    let getting = async {
        let registries = registries(&config.registries, &dependencies.aws.ecr_defaults());
        let cached = cache.load().await;
        store.update(|store| {
            store.want(registries, config.at_fraction, clock.now());
            store.begin_term(1, &cached, clock.now());
        });
        let failed = get_all(&dependencies, &store).await;
        cache.finish().await;
        // Tokens that the cache does not hold are used too: there is no later pass.
        store.update(|store| store.cached(u64::MAX));
        failed
    };
    let failed = tokio::select! {
        biased;
        () = shutdown.cancelled() => anyhow::bail!("stopped before anything was written"),
        failed = timeout(patience, getting) => failed.with_context(|| {
            format!("neither AWS nor the API server answered within {patience:?}")
        })?,
    };
    let summary = Summary::new(&failed);

    // One pass spreads no writes.
    config.sync.spread = Duration::ZERO;
    let metrics = SyncMetrics::register(&prometheus::Registry::new())?;
    let dependencies = EngineDependencies {
        client: dependencies.client,
        release: dependencies.home.release(),
        tokens: store,
        leadership: Leadership::always(clock.clone()),
        restores,
        clock,
        random,
    };
    let (engine, handle) = Runner::new(dependencies, config.sync, metrics);
    let left = patience.saturating_sub(started.elapsed());
    let pass: Pass = tokio::select! {
        pass = engine.run_once(left, shutdown) => pass?,
        never = progress::show(&handle) => match never {},
    };
    Ok(summary.with(pass))
}

/// The effect of signals on a pass.
#[derive(Debug, Default)]
struct Stop {
    /// Cancelled by the first signal.
    token: CancellationToken,
    /// The first signal.
    signal: Arc<OnceLock<StopSignal>>,
}

impl Stop {
    /// Listens in a task of its own.
    fn listen(&self) -> Result<()> {
        let mut signals = Signals::listen()?;
        let (token, first) = (self.token.clone(), Arc::clone(&self.signal));
        tokio::spawn(async move {
            let signal = signals.next().await;
            info!(%signal, "stopping");
            first.get_or_init(|| signal);
            token.cancel();
        });
        Ok(())
    }
}
