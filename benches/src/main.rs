//! The scale benchmark: the daemon in a cluster of thousands of namespaces, against a bare loop that
//! does the same work.

mod bounds;
mod floor;
mod measure;
mod numbers;
mod population;
mod progress;
mod report;
mod row;
mod stage;
mod traffic;
mod usage;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use ecr_refresher_tests::{control_plane::ControlPlane, daemon};

use crate::{
    bounds::{Bounds, Measured},
    measure::{edit, latency::Newcomers, passes, rest, restart},
    population::{make_namespaces, make_other_secrets},
    progress::say,
    report::Report,
    row::Row,
    stage::Stage,
};

/// Measures the daemon in a cluster of many namespaces.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many namespaces, one size after another.
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,50000")]
    namespaces: Vec<usize>,
    /// How many Secrets of 10 KB there are beside the copies.
    #[arg(long, default_value_t = 20_000)]
    other_secrets: usize,
    /// How often each pass is measured.
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// How many seconds the daemon is watched at rest.
    #[arg(long, default_value_t = 60)]
    rest: u64,
    /// How many new namespaces are waited for.
    #[arg(long, default_value_t = 200)]
    samples: usize,
    /// Measures 1,000 namespaces only, in about a minute, with bounds for a busy machine.
    #[arg(long)]
    check: bool,
    /// The folder for results as JSON and as a plot.
    #[arg(long)]
    output: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            say("some bounds were not kept");
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("the benchmark failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: Arguments) -> Result<bool> {
    ensure!(!cfg!(debug_assertions), "only an optimised build is worth measuring: add --release");
    // The one TLS provider of the process; it fails only when there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if arguments.check {
        arguments.namespaces = vec![1000];
        arguments.other_secrets = 1000;
        arguments.rest = 10;
        arguments.samples = 60;
    }
    arguments.namespaces.sort_unstable();
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(measure(&arguments))?;
    print!("{}", report.table());
    if let Some(folder) = &arguments.output {
        report.write(folder)?;
    }
    Ok(report.passes())
}

async fn measure(arguments: &Arguments) -> Result<Report> {
    let bounds = if arguments.check { Bounds::CHECK } else { Bounds::FULL };
    say("building the daemon and starting the control plane");
    let program = tokio::task::spawn_blocking(daemon::program).await??;
    let binary = usize::try_from(program.metadata().context("the daemon's binary")?.len())?;
    let stage = Stage::set_up(ControlPlane::start().await?, edit::first_config()).await?;
    // Namespaces are as the daemon sees them, without objects of their own.
    stage.control_plane.stop_controller_manager().await;
    let starts = restart::measure_empty(&stage, 5).await?;
    make_other_secrets(&stage.admin(), arguments.other_secrets).await?;
    let mut cluster = Cluster { stage: &stage, listed: Vec::new(), squads: Vec::new() };
    let mut sizes = Vec::new();
    for &namespaces in &arguments.namespaces {
        sizes.push(cluster.measure(arguments, namespaces).await?);
    }
    let mut rows: Vec<Row> = sizes.iter().flat_map(|size| size.rows(&bounds)).collect();
    rows.extend(bounds::growth(&sizes, &bounds));
    rows.extend(bounds::fixed(binary, &starts, &bounds));
    Ok(Report::new(stage.control_plane.version(), rows))
}

/// The namespaces so far.
struct Cluster<'a> {
    stage: &'a Stage,
    /// On the list from the beginning.
    listed: Vec<String>,
    /// On it only after an edit.
    squads: Vec<String>,
}

impl Cluster<'_> {
    /// Grows to so many namespaces, and measures.
    async fn measure(&mut self, arguments: &Arguments, namespaces: usize) -> Result<Measured> {
        let stage = self.stage;
        say(&format!("{namespaces} namespaces"));
        self.grow(namespaces).await?;
        passes::clear(stage, &[]).await.ok();
        let (passes, daemon) = passes::measure(stage, &self.listed, arguments.rounds).await?;
        let copies = self.listed.len();
        let rest = rest::measure(&daemon, Duration::from_secs(arguments.rest)).await?;
        let (restarts, daemon) = restart::measure(stage, daemon, 3).await?;
        let edit = edit::measure(stage, &daemon, &self.squads).await?;
        let mut newcomers = Newcomers::start(stage).await?;
        let idle = newcomers.idle(arguments.samples).await?;
        let loaded = newcomers.under_load(&daemon, arguments.samples).await?;
        self.listed.append(&mut newcomers.names);
        drop(newcomers);
        ensure!(daemon.stop().await?.success(), "the daemon failed when it stopped");
        passes::clear(stage, &self.listed).await?;
        let other_secrets = arguments.other_secrets;
        Ok(Measured {
            namespaces, copies, other_secrets, passes, rest, restarts, idle, loaded, edit,
        })
    }

    async fn grow(&mut self, namespaces: usize) -> Result<()> {
        let name = |kind: &str, number: usize| format!("{kind}-{number:05}");
        let (from, squads) = (self.listed.len(), self.squads.len());
        let teams: Vec<_> = (from..namespaces).map(|number| name("team", number)).collect();
        let added: Vec<_> = (squads..namespaces / 10).map(|number| name("squad", number)).collect();
        let all = teams.iter().chain(&added).cloned().collect();
        make_namespaces(&self.stage.admin(), all).await?;
        self.listed.extend(teams);
        self.squads.extend(added);
        Ok(())
    }
}
