//! The progress of reading a large cluster: a counter on a terminal, elsewhere a line now and then. Fast reads
//! show none.

use std::{
    io::{IsTerminal, stderr},
    sync::Mutex,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

/// Before that, nothing is shown.
const QUIET: Duration = Duration::from_secs(1);
/// The time between two lines.
const LINE: Duration = Duration::from_secs(10);

/// How many objects were read.
pub(super) struct Progress {
    started: Instant,
    is_terminal: bool,
    bar: ProgressBar,
    /// How many there are, and when the last line was printed.
    state: Mutex<(u64, Instant)>,
}

impl Progress {
    pub(super) fn start() -> Self {
        let started = Instant::now();
        let style = ProgressStyle::with_template("reading the cluster: {pos} objects so far");
        let bar = ProgressBar::no_length()
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        Self { started, is_terminal: stderr().is_terminal(), bar, state: Mutex::new((0, started)) }
    }

    /// One more was read.
    pub(super) fn count(&self) {
        let Ok(mut state) = self.state.lock() else { return };
        let (read, printed) = &mut *state;
        *read += 1;
        if self.is_terminal {
            if self.started.elapsed() > QUIET {
                self.bar.set_position(*read);
            }
        } else if printed.elapsed() > LINE {
            *printed = Instant::now();
            eprintln!("reading the cluster: {read} objects so far");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
