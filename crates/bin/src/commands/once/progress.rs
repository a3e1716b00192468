//! The progress of a pass: a bar on a terminal, elsewhere a log line now and then.

use std::{
    convert::Infallible,
    io::{IsTerminal, stderr},
    time::Duration,
};

use ecr_refresher_sync::{engine::handle::EngineHandle, report::CopyState};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
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
            let (fresh, copies) = (report.count(CopyState::Fresh), report.copies());
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
