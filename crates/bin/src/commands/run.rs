//! `run`: the daemon.

use std::path::Path;

use anyhow::Result;
use ecr_refresher_core::{Files, Random, aws::Aws, clock::Clock};
use tracing::info;

use crate::{
    cli::RunArgs,
    config::{self, Config, ConfigError, Follower},
    daemon::{self, Dependencies, Server, identity},
    failure::Failure,
    kubernetes,
    logging::{self, LogFormat},
    runtime::runtime,
};

/// Runs the daemon until a signal stops it.
pub(crate) fn execute(args: &RunArgs) -> Result<(), Failure> {
    logging::start(args.log_format, args.log.verbose);
    let (path, files) = (&args.config.path(), Files::system());
    if path == Path::new(config::STANDARD_INPUT) {
        return Err(Failure::Usage("`run` follows a file: name one".to_owned()));
    }
    let (config, text) = config::load(path, &files, &args.home.name)
        .map_err(|error| refused(error, args.log_format))?;
    info!(version = env!("CARGO_PKG_VERSION"), config = %path.display(), "starting");
    config.warnings.log();
    let follower = Follower::new(path, text, files, &args.home.name);
    Ok(runtime()?.block_on(run(args, config, follower))?)
}

/// The failure of an invalid config, in the format of the log.
pub(crate) fn refused(error: ConfigError, format: LogFormat) -> Failure {
    match format {
        LogFormat::Text => error.into(),
        LogFormat::Json => {
            error.log();
            Failure::Usage(String::new())
        }
    }
}

async fn run(args: &RunArgs, config: Config, follower: Follower) -> Result<()> {
    let dependencies = dependencies(args).await?;
    let server = Server::bind(config.listen)?;
    let mut daemon = daemon::start(dependencies, config, follower)?;
    daemon.serve(server);
    daemon.run_until_signalled().await
}

/// The dependencies of the daemon, as the command line says.
pub(crate) async fn dependencies(args: &RunArgs) -> Result<Dependencies> {
    let (clock, files, random) = (Clock::system(), Files::system(), Random::from_system());
    let identity = identity(&random);
    let client = kubernetes::client(&args.cluster, &identity).await?;
    let home = args.home.home(client.default_namespace());
    let aws = Aws::load(clock.clone(), files.clone()).await?;
    Ok(Dependencies { client, aws, files, clock, random, home, identity })
}
