//! Many histories, on all cores.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use ecr_refresher_core::planted::Bug;

use crate::history::{History, Ran, real_time};

/// Which histories are run.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    /// The first seed.
    pub from: u64,
    /// How many seeds.
    pub seeds: u64,
    /// How many at once.
    pub jobs: usize,
    /// After so many that fail, no others are begun.
    pub failures: u64,
}

/// What came of a campaign.
#[derive(Debug, Clone, Copy, Default)]
pub struct Summary {
    /// How many seeds were run.
    pub seeds: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How much virtual time passed in them.
    pub simulated: Duration,
    /// How much real time that took.
    pub took: Duration,
}

/// A planted bug, and what it took to find it.
#[derive(Debug, Clone)]
pub struct Found {
    /// The bug.
    pub bug: Bug,
    /// How many seeds, and the first invariant that was broken; `None` when it was not found.
    pub by: Option<(u64, String)>,
}

/// As many as there are cores.
#[must_use]
pub fn all_cores() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

impl Campaign {
    /// Runs the history of each seed. Each failed one is passed to `failed`, every 200th that ends to
    /// `progress`.
    pub fn run(
        &self,
        failed: impl Fn(&History, &Ran) + Sync,
        progress: impl Fn(Summary) + Sync,
    ) -> Summary {
        let started = real_time();
        let next = AtomicU64::new(self.from);
        let summary = Mutex::new(Summary::default());
        let worker = || {
            while lock(&summary).failed < self.failures {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= self.from + self.seeds {
                    return;
                }
                let history = History::of_seed(seed);
                let ran = history.run();
                let now = {
                    let mut summary = lock(&summary);
                    summary.seeds += 1;
                    summary.failed += u64::from(!ran.violations.is_empty());
                    summary.simulated += ran.simulated;
                    summary.took = started.elapsed();
                    *summary
                };
                if !ran.violations.is_empty() {
                    failed(&history, &ran);
                }
                if now.seeds.is_multiple_of(200) {
                    progress(now);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.jobs {
                scope.spawn(worker);
            }
        });
        *lock(&summary)
    }

    /// Plants each bug in turn, and runs seeds until one fails.
    pub fn plant(&self, found: impl Fn(&Found) + Sync) -> Vec<Found> {
        let next = AtomicUsize::new(0);
        let all = Mutex::new(Vec::new());
        let worker = || {
            while let Some(&bug) = Bug::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                let by = (0..self.seeds).find_map(|offset| {
                    let ran = History::of_seed(self.from + offset).with_bug(bug).run();
                    Some((offset + 1, ran.violations.into_iter().next()?))
                });
                let one = Found { bug, by };
                found(&one);
                lock(&all).push(one);
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.jobs {
                scope.spawn(worker);
            }
        });
        all.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A failing history, in words: the invariants that it breaks, a shorter one that fails too, and how
/// to see all of it.
#[must_use]
pub fn report(history: &History, ran: &Ran, shrink: Option<Duration>) -> String {
    let seed = history.setting.seed;
    let mut lines =
        vec![format!("seed {seed} fails; `make simulate SEED={seed}` shows all of it:")];
    let first =
        |ran: &Ran| ran.violations.iter().take(3).map(|it| format!("  {it}")).collect::<Vec<_>>();
    lines.extend(first(ran));
    if let Some(limit) = shrink {
        let shorter = history.shrunk(limit);
        let (steps, all) = (shorter.steps.len(), history.steps.len());
        lines.push(format!("{steps} of its {all} steps suffice:"));
        lines.push(shorter.describe().trim_end().to_owned());
        lines.extend(first(&shorter.run()));
    }
    lines.join("\n") + "\n"
}
