//! What the benchmark is at, on standard error.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

/// A tenth of this many is a line.
const LINES: usize = 10;
/// Fewer than this are quick: one line is enough.
const FEW: usize = 5000;

/// How many of many are done.
pub(crate) struct Progress {
    what: &'static str,
    all: usize,
    done: AtomicUsize,
    begun: Instant,
}

impl Progress {
    pub(crate) fn start(what: &'static str, all: usize) -> Self {
        Self { what, all, done: AtomicUsize::new(0), begun: Instant::now() }
    }

    /// One more is done.
    pub(crate) fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let step = if self.all < FEW { self.all } else { self.all / LINES };
        if done == self.all || done.is_multiple_of(step) {
            let seconds = self.begun.elapsed().as_secs_f64();
            say(&format!("  {done} of {} {} after {seconds:.1} s", self.all, self.what));
        }
    }
}

/// Says what is done next.
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}
