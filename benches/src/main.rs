//! The scale benchmark: the daemon in a cluster of thousands of namespaces, against a bare loop that
//! does the same work.

#![allow(clippy::disallowed_methods, reason = "it measures real time")]

mod bounds;
mod floor;
mod machine;
mod measure;
mod numbers;
mod plot;
mod population;
mod progress;
mod report;
mod row;
mod rows;
mod shapes;
mod stage;
mod traffic;
mod usage;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use ecr_refresher_tests::daemon;

use crate::{bounds::Bounds, progress::say, report::Report};

/// Measures the daemon in a cluster of many namespaces.
#[derive(Debug, Parser)]
struct Arguments {
    /// What the cluster is like.
    #[arg(long, value_enum, default_value = "sizes")]
    shape: Shape,
    /// How many namespaces, one size after another.
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,50000")]
    namespaces: Vec<usize>,
    /// How many Secrets of 10 KB there are beside the copies.
    #[arg(long, default_value_t = 20_000)]
    other_secrets: usize,
    /// How often each pass is measured: 7 times, and 3 times with more than 10,000 namespaces, unless
    /// it is said.
    #[arg(long)]
    rounds: Option<usize>,
    /// How many seconds the daemon is watched at rest: longer than the 90 after which the API server
    /// closes unused connections.
    #[arg(long, default_value_t = 100)]
    rest: u64,
    /// How many new namespaces are waited for.
    #[arg(long, default_value_t = 200)]
    samples: usize,
    /// Measures 1,000 namespaces in less than a minute, with bounds for a busy machine.
    #[arg(long)]
    check: bool,
    /// The folder for the results, as JSON and as a plot.
    #[arg(long)]
    output: Option<PathBuf>,
}

impl Arguments {
    /// The shorter a pass, the more it is at the mercy of whatever else a machine does. One round is
    /// in the middle of an odd number.
    fn rounds_of(&self, namespaces: usize) -> usize {
        self.rounds.unwrap_or(if namespaces <= 10_000 { 7 } else { 3 })
    }
}

/// What the cluster is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// One pull Secret in more and more namespaces.
    Sizes,
    /// Three pull Secrets of twenty patterns each, in 5,000 namespaces.
    Many,
    /// Namespaces that come and go, a tenant that edits its copy, and quotas that are used up.
    Hostile,
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
    let mut bounds = Bounds::FULL;
    if arguments.check {
        bounds = Bounds::CHECK;
        arguments.namespaces = vec![1000];
        arguments.other_secrets = 1000;
        arguments.rest = 10;
        arguments.samples = 60;
    }
    arguments.namespaces.sort_unstable();
    say("building the daemon");
    daemon::program()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(measure(&arguments, &bounds))?;
    print!("{}", report.table());
    if let Some(folder) = &arguments.output {
        report.write(folder)?;
    }
    Ok(report.passes())
}

async fn measure(arguments: &Arguments, bounds: &Bounds) -> Result<Report> {
    match arguments.shape {
        Shape::Sizes => shapes::sizes::measure(arguments, bounds).await,
        Shape::Many => shapes::many::measure(arguments, bounds).await,
        Shape::Hostile => shapes::hostile::measure(bounds).await,
    }
}
