//! Two minutes of faults of every kind. `make soak` runs them for longer.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    control_plane::ControlPlane,
    soak::{self, Options, Output},
};

use crate::scenario::Scenario;

const DURATION: Duration = Duration::from_mins(2);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![Scenario::new("whatever fails, every copy always holds tokens that work", soak)]
}

async fn soak(control_plane: Arc<ControlPlane>) -> Result<()> {
    let seed = match std::env::var(soak::SEED) {
        Ok(seed) => seed.parse().with_context(|| format!("{} is not a number", soak::SEED))?,
        Err(_) => fastrand::u64(..),
    };
    let replay = || format!("replay its faults with {}={seed}", soak::SEED);
    let options = Options { duration: DURATION, seed, output: Output::Seed };
    let report = soak::run(&control_plane, options).await.with_context(replay)?;
    println!("{report}");
    ensure!(report.violations == 0, "{report}; {}\n{}", replay(), report.details.join("\n"));
    Ok(())
}
