//! Runs random histories of the whole daemon, and prints those that fail.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use ecr_refresher_simulation::{
    campaign::{Campaign, all_cores, report},
    history::History,
};

/// Runs random histories of the whole daemon.
#[derive(Parser)]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run this seed alone, and print all that happens.
    #[arg(long)]
    seed: Option<u64>,
    /// How many at once; by default, as many as there are cores.
    #[arg(long)]
    jobs: Option<usize>,
    /// Do not look for shorter histories that fail too.
    #[arg(long)]
    no_shrink: bool,
    /// Plant each bug in turn, and count the seeds until it is found.
    #[arg(long)]
    plant: bool,
    /// Stop after so many seeds that fail.
    #[arg(long, default_value_t = 5)]
    failures: u64,
}

/// How long to look for a shorter history.
const SHRINK: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let args = Args::parse();
    let Args { from, seeds, failures, .. } = args;
    let campaign = Campaign { from, seeds, failures, jobs: args.jobs.unwrap_or_else(all_cores) };
    let is_good = match args.seed {
        Some(seed) => replay(seed),
        None if args.plant => plant(&campaign),
        None => run(&campaign, (!args.no_shrink).then_some(SHRINK)),
    };
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn replay(seed: u64) -> bool {
    let history = History::of_seed(seed);
    let ran = history.run();
    ran.lines.iter().for_each(|line| println!("{line}"));
    println!("{}", history.describe());
    println!("seed {seed}: {} violations, hash {:016x}", ran.violations.len(), ran.hash);
    if !ran.violations.is_empty() {
        print!("{}", report(&history, &ran, Some(SHRINK)));
    }
    ran.violations.is_empty()
}

fn run(campaign: &Campaign, shrink: Option<Duration>) -> bool {
    let summary = campaign.run(
        |history, ran| print!("{}", report(history, ran, shrink)),
        |now| println!("{} of {} seeds, {} s", now.seeds, campaign.seeds, now.took.as_secs()),
    );
    let days = summary.simulated.as_secs_f64() / 86_400.0;
    let (seeds, failed, took) = (summary.seeds, summary.failed, summary.took.as_secs());
    println!("simulation: {seeds} seeds, {failed} failed, {days:.1} days simulated in {took} s");
    failed == 0
}

fn plant(campaign: &Campaign) -> bool {
    let all = campaign.plant(|found| match &found.by {
        Some((seeds, what)) => println!("{:?}: {seeds} seeds: {what}", found.bug),
        None => println!("{:?}: not found within {} seeds", found.bug, campaign.seeds),
    });
    let found = all.iter().filter(|it| it.by.is_some()).count();
    println!("planted bugs: {found} of {} found", all.len());
    found == all.len()
}
