//! The progress of reading a large cluster. Fast reads show none.

use std::{sync::Mutex, time::Duration};

use indicatif::ProgressBar;
use tokio::time::Instant;

use crate::progress::{self, LINE};

/// Before that, nothing is shown.
const QUIET: Duration = Duration::from_secs(1);
const BAR: &str = "reading the cluster: {pos} objects so far";

/// How many objects were read.
pub(super) struct Progress {
    started: Instant,
    bar: Option<ProgressBar>,
    /// How many there are, and when the last line was printed.
    state: Mutex<(u64, Instant)>,
}

impl Progress {
    pub(super) fn start() -> Self {
        let started = Instant::now();
        Self { started, bar: progress::bar(BAR), state: Mutex::new((0, started)) }
    }

    /// One more was read.
    pub(super) fn count(&self) {
        let Ok(mut state) = self.state.lock() else { return };
        let (read, printed) = &mut *state;
        *read += 1;
        if let Some(bar) = &self.bar {
            if self.started.elapsed() > QUIET {
                bar.set_position(*read);
            }
        } else if printed.elapsed() > LINE {
            *printed = Instant::now();
            eprintln!("reading the cluster: {read} objects so far");
        }
    }
}
