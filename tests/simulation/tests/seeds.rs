//! Thousands of random histories, and bugs that are planted to prove that these would find them.

#![allow(clippy::print_stderr, clippy::unwrap_used, reason = "these are tests")]

use std::time::Duration;

use ecr_refresher_simulation::campaign::{Campaign, all_cores, report};

/// How many histories a test run has; `SIMULATION_SEEDS` says otherwise.
const SEEDS: u64 = 2_000;
/// Within how many seeds each planted bug must be found.
const SEEDS_TO_FIND: u64 = 1_500;

#[test]
fn random_histories_keep_every_invariant() {
    let seeds = std::env::var("SIMULATION_SEEDS").ok().and_then(|it| it.parse().ok());
    let seeds = seeds.unwrap_or(SEEDS);
    let campaign = Campaign { from: 0, seeds, jobs: all_cores(), failures: 3 };
    let summary = campaign.run(
        |history, ran| eprint!("{}", report(history, ran, Some(Duration::from_secs(20)))),
        |now| eprintln!("{} of {seeds} seeds, {} s", now.seeds, now.took.as_secs()),
    );
    assert_eq!((summary.seeds, summary.failed), (seeds, 0));
}

#[test]
fn every_planted_bug_is_found() {
    let campaign = Campaign { from: 0, seeds: SEEDS_TO_FIND, jobs: all_cores(), failures: 1 };
    let found = campaign.plant(|found| match &found.by {
        Some((seeds, what)) => eprintln!("{:?}: {seeds} seeds: {what}", found.bug),
        None => eprintln!("{:?}: not found", found.bug),
    });
    let missed: Vec<_> = found.iter().filter(|it| it.by.is_none()).map(|it| it.bug).collect();
    assert_eq!(missed, [], "of {} bugs", found.len());
    assert!(found.len() >= 25);
}
