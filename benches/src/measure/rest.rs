//! A daemon that has nothing to do.

use std::time::Duration;

use anyhow::Result;
use ecr_refresher_tests::daemon::Daemon;
use tokio::time::sleep;

use crate::{
    progress::say,
    usage::{self, Memory},
};

/// After a rollout, this long until it is at rest.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);

/// What a daemon at rest uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rest {
    /// At the end.
    pub(crate) memory: Memory,
    /// The share of one core.
    pub(crate) cpu: f64,
}

/// Watches it for a while, and asks it nothing.
pub(crate) async fn measure(daemon: &Daemon, duration: Duration) -> Result<Rest> {
    say(&format!("  daemon: at rest for {} s", duration.as_secs()));
    sleep(SETTLES_WITHIN).await;
    let before = usage::exact_cpu(daemon.pid())?;
    sleep(duration).await;
    let used = usage::exact_cpu(daemon.pid())?.saturating_sub(before);
    let cpu = used.as_secs_f64() / duration.as_secs_f64();
    Ok(Rest { memory: usage::memory(daemon.pid())?, cpu })
}
