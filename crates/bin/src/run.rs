//! `run`: the daemon.

use anyhow::{Context, Result};
use ecr_refresher_core::{Files, Random, aws::Aws, clock::Clock};
use tokio::runtime::Runtime;
use tracing::info;

use crate::{
    cli::{Failure, RunArgs},
    config::{self, Config, Follower},
    daemon::{self, Home, Outside, Server, identity},
    kubernetes, logging,
};

/// Runs the daemon until it is told to stop.
pub(crate) fn execute(args: &RunArgs) -> Result<(), Failure> {
    logging::start(args.log_format);
    let (path, files) = (&args.config.config, Files::system());
    let (config, text) =
        config::load(path, &files).map_err(|error| Failure::Usage(error.to_string()))?;
    info!(version = env!("CARGO_PKG_VERSION"), config = %path.display(), "starting");
    let follower = Follower::new(path, text, files);
    Ok(runtime()?.block_on(run(args, config, follower))?)
}

/// One thread: the work is waiting for others, and memory is scarce.
pub(crate) fn runtime() -> Result<Runtime> {
    // The one TLS provider of the process; it fails only when there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().context("the asynchronous runtime cannot be started")
}

async fn run(args: &RunArgs, config: Config, follower: Follower) -> Result<()> {
    let outside = outside(args).await?;
    let server = Server::bind(config.listen).await?;
    let mut daemon = daemon::start(outside, config, follower)?;
    daemon.serve(server);
    daemon.run_until_signalled().await
}

/// The world outside of this process.
pub(crate) async fn outside(args: &RunArgs) -> Result<Outside> {
    let (clock, files, random) = (Clock::system(), Files::system(), Random::from_system());
    let identity = identity(&random);
    let client = kubernetes::client(&args.cluster, &identity).await?;
    let home = Home::new(&client, &args.home);
    let aws = Aws::load(clock.clone(), files.clone()).await;
    Ok(Outside { client, aws, files, clock, random, home, identity })
}
