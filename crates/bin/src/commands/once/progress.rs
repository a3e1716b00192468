//! The progress of a pass: a bar on a terminal, elsewhere a log line now and then.

use std::{
    convert::Infallible,
    io::{IsTerminal, stderr},
    time::Duration,
};

use ecr_refresher_sync::{
    engine::handle::EngineHandle,
    report::{CopyState, Report},
};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use strum::VariantArray;
use tokio::time::sleep;
use tracing::info;

/// The time between two steps of the bar.
const STEP: Duration = Duration::from_millis(200);
/// The time between two lines.
const LINE: Duration = Duration::from_secs(10);
const BAR: &str = "{bar:40} {pos} of {len} copies are up to date";

/// Shows it until it is dropped.
pub(super) async fn show(engine: &EngineHandle) -> Infallible {
    let is_terminal = stderr().is_terminal();
    let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::no_length().with_style(style).with_finish(ProgressFinish::AndClear);
    let pause = if is_terminal { STEP } else { LINE };
    loop {
        if let Ok(report) = engine.report().await {
            let (fresh, copies) = fresh(&report);
            if is_terminal {
                bar.set_length(copies);
                bar.set_position(fresh);
            } else {
                info!(copies, fresh, "the pass goes on");
            }
        }
        sleep(pause).await;
    }
}

/// How many copies are up to date, and how many there are.
fn fresh(report: &Report) -> (u64, u64) {
    let counts =
        report.secrets.iter().flat_map(|secret| CopyState::VARIANTS.iter().zip(secret.counts));
    counts.fold((0, 0), |(fresh, copies), (&state, count)| {
        (fresh + if state == CopyState::Fresh { count } else { 0 }, copies + count)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ecr_refresher_sync::report::SecretReport;

    use super::*;

    #[test]
    fn fresh_copies_are_counted_among_all() {
        let secret = |fresh, missing| {
            let count = |state: &CopyState| match state {
                CopyState::Fresh => fresh,
                CopyState::Missing => missing,
                _ => 0,
            };
            let counts = CopyState::VARIANTS.iter().map(count).collect::<Vec<u64>>();
            SecretReport {
                name: "ecr-pull".to_owned(),
                counts: counts.try_into().expect("a count for each state"),
                earliest_expiration: None,
                patterns: Vec::new(),
                unselected: None,
                copies: Vec::new(),
                conflicts: BTreeMap::new(),
                contested: BTreeMap::new(),
                unwanted: 0,
            }
        };
        let report = Report { secrets: vec![secret(3, 4), secret(2, 0)], ..Report::default() };
        assert_eq!(fresh(&report), (5, 9));
    }
}
