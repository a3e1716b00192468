//! The progress of a pass.

use std::{convert::Infallible, time::Duration};

use ecr_refresher_sync::{engine::handle::EngineHandle, report::CopyState};
use tokio::time::sleep;
use tracing::info;

use crate::progress::{self, LINE};

/// The time between two steps of the bar.
const STEP: Duration = Duration::from_millis(200);
const BAR: &str = "{bar:40} {pos} of {len} copies are up to date";

/// Shows it until it is dropped.
pub(super) async fn show(engine: &EngineHandle) -> Infallible {
    let bar = progress::bar(BAR);
    let pause = if bar.is_some() { STEP } else { LINE };
    loop {
        if let Ok(report) = engine.report().await {
            let (fresh, copies) = (report.count(CopyState::Fresh), report.copies());
            if let Some(bar) = &bar {
                bar.set_length(copies);
                bar.set_position(fresh);
            } else {
                info!(copies, fresh, "the pass goes on");
            }
        }
        sleep(pause).await;
    }
}
