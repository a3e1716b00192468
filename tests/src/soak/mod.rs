//! A soak: the daemon in two replicas on a real control plane, under faults of every kind, while an
//! observer checks without a pause what the copies hold.
//!
//! Faults come from a `plan` that a seed decides. What the copies should hold at each moment is an
//! `expectation`, and what may never be seen in them are `rules`.

mod cluster_acts;
mod config;
mod ending;
mod expectation;
mod fault;
mod journal;
mod observation;
mod perform;
mod plan;
mod replicas;
mod rules;
mod stage;

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::Result;
use futures::future::try_join_all;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep_until};

pub use self::journal::Report;
use self::{fault::Lane, observation::Observation, rules::Rules, stage::Stage};
use crate::control_plane::ControlPlane;

/// The environment variable with the seed of the faults.
pub const SEED: &str = "SOAK_SEED";

/// How often the copies are observed.
const PERIOD: Duration = Duration::from_millis(500);
/// How long there are no faults at the end.
const CALM: Duration = Duration::from_secs(15);
/// How often a long soak prints where it is.
const PROGRESS: Duration = Duration::from_secs(30);

/// How long a soak runs, and with which faults.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long, from the first copies to the end of the calm; longer than a minute.
    pub duration: Duration,
    /// The seed of its faults: the same one gives the same faults in the same order.
    pub seed: u64,
    /// What to print meanwhile, beside violations.
    pub output: Output,
}

/// What a soak prints while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Output {
    /// Its seed.
    Seed,
    /// And where it is, every half minute.
    Progress,
    /// And each fault, when it begins and when it ends.
    Faults,
}

/// Runs a soak. A control plane can have one at a time.
///
/// # Errors
/// When something cannot be set up, a replica ends by itself, or the copies are not exact and fresh
/// in the calm at the end. What the observer saw before that is in the report, or was printed.
pub async fn run(control_plane: &Arc<ControlPlane>, options: Options) -> Result<Report> {
    let Options { duration, seed, .. } = options;
    println!("soak: {} s of faults with seed {seed}", duration.as_secs());
    let stage = Stage::set_up(control_plane, options.output).await?;
    let start = Instant::now();
    let story = async {
        let planned = plan::plan(seed, duration.saturating_sub(CALM));
        let lanes = Lane::ALL.map(|lane| {
            let of_lane = planned.iter().filter(|planned| planned.fault.lane() == lane);
            perform::perform(&stage, of_lane.cloned().collect(), start)
        });
        try_join_all(lanes).await?;
        // A fault may have taken longer than planned, as a replica that ends slowly.
        sleep_until((start + duration).max(Instant::now() + CALM)).await;
        ending::check(&stage).await
    };
    tokio::select! {
        ended = story => ended?,
        failed = observe(&stage) => match failed? {},
        never = print_progress(&stage, options, start) => match never {},
    }
    stage.replicas.stop().await?;
    Ok(stage.journal.report(seed))
}

/// Checks all copies twice a second.
async fn observe(stage: &Stage) -> Result<Infallible> {
    let mut rules = Rules::new(stage.foreign.clone());
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let observation = Observation::take(&stage.client, &stage.aws).await?;
        // Whatever could be seen is expected by now.
        let expected = stage.expectation().copies();
        stage.journal.observed(expected.len());
        stage.journal.violated(&rules.check(&observation, &expected));
        stage.replicas.check_alive()?;
    }
}

async fn print_progress(stage: &Stage, options: Options, start: Instant) -> Infallible {
    let mut ticks = interval_at(start + PROGRESS, PROGRESS);
    loop {
        ticks.tick().await;
        if options.output >= Output::Progress {
            let left = options.duration.saturating_sub(stage.journal.elapsed());
            println!("{}, {} s left", stage.journal.report(options.seed), left.as_secs());
        }
    }
}
