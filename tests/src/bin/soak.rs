//! Runs the daemon for a while under faults of every kind, and checks all the time what its copies hold.

#![allow(clippy::disallowed_methods, reason = "it runs real programs, in real time")]

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use clap::Parser;
use ecr_refresher_tests::{
    control_plane::ControlPlane,
    logs,
    soak::{self, Options, Output, Report},
};
use jiff::SignedDuration;
use tokio::runtime::Runtime;

/// Runs two replicas of the daemon on a local control plane under faults of every kind, and checks
/// twice a second what their copies hold.
#[derive(Parser)]
struct Arguments {
    /// How long, such as 2m or 1h; longer than a minute.
    #[arg(long = "for", env = "SOAK", default_value = "20m", value_parser = duration)]
    duration: Duration,
    /// The seed of the faults, to replay those of an earlier run; by default a random one.
    #[arg(long, env = soak::SEED)]
    seed: Option<u64>,
    /// Print each fault, when it begins and when it ends.
    #[arg(long)]
    faults: bool,
}

fn main() -> ExitCode {
    let Arguments { duration, seed, faults } = Arguments::parse();
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let output = if faults { Output::Faults } else { Output::Progress };
    let options = Options { duration, seed, output };
    let replay =
        format!("replay its faults with SOAK_SEED={seed} SOAK={}s make soak", duration.as_secs());
    match run(options) {
        Ok(report) if report.violations == 0 => return ExitCode::SUCCESS,
        Ok(_) => {}
        Err(error) => eprintln!("the soak failed: {error:#}"),
    }
    if let Ok(folder) = logs::logs() {
        eprintln!("the logs of the daemons are in {}", folder.display());
    }
    eprintln!("{replay}");
    ExitCode::FAILURE
}

/// Runs the soak, and searches the logs. Removes them when all was well.
fn run(options: Options) -> Result<Report> {
    let runtime = Runtime::new().context("cannot run asynchronous code")?;
    let report = runtime.block_on(async {
        let control_plane = Arc::new(ControlPlane::start().await?);
        soak::run(&control_plane, options).await
    })?;
    let searched = logs::search_for_passwords(&[])?;
    println!("no password is in the {searched} logs of daemons, at TRACE");
    println!("{report}");
    if report.violations == 0 {
        logs::remove()?;
    }
    Ok(report)
}

fn duration(text: &str) -> Result<Duration> {
    let duration = Duration::try_from(text.parse::<SignedDuration>()?)?;
    anyhow::ensure!(duration > Duration::from_mins(1), "a soak takes longer than a minute");
    Ok(duration)
}
