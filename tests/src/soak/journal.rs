//! What happened in a soak: the faults, and what the observer saw.

use std::{
    fmt::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Output, rules::Violation};

/// So many of the last faults are part of what a violation says.
const LAST_FAULTS: usize = 8;

/// Written by all that runs, at once.
#[derive(Debug)]
pub(super) struct Journal {
    start: Instant,
    output: Output,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    faults: Vec<String>,
    observations: usize,
    violations: usize,
    details: Vec<String>,
}

/// What a soak came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed of its faults.
    pub seed: u64,
    /// How often a copy was looked at.
    pub observations: usize,
    /// How many faults there were.
    pub faults: usize,
    /// How often something was seen that should not be.
    pub violations: usize,
    /// What was seen: each observation that had a new violation, with its time and the last faults.
    pub details: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, observations, faults, violations, .. } = self;
        write!(
            f,
            "soak: {observations} observations of copies, {faults} faults, {violations} violations, \
             seed {seed}"
        )
    }
}

impl Journal {
    pub(super) fn new(output: Output) -> Self {
        Self { start: Instant::now(), output, entries: Mutex::default() }
    }

    /// How long the soak has run.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Notes that a fault begins.
    pub(super) fn fault(&self, fault: &str) {
        let line = format!("{} {fault}", self.time());
        if self.output == Output::Faults {
            println!("soak: {line}");
        }
        self.lock().faults.push(line);
    }

    /// Notes that the last fault of that description has ended.
    pub(super) fn end(&self, fault: &str) {
        let time = self.time();
        let mut entries = self.lock();
        let line = entries.faults.iter_mut().rev().find(|line| line.ends_with(fault));
        if let Some(line) = line {
            // A String takes whatever is written to it.
            let _ = write!(line, ", until {time}");
            if self.output == Output::Faults {
                println!("soak: {line}");
            }
        }
    }

    /// Notes how many copies were looked at.
    pub(super) fn observed(&self, copies: usize) {
        self.lock().observations += copies;
    }

    /// Notes the new violations of one observation, and prints them.
    pub(super) fn violated(&self, violations: &[Violation]) {
        if violations.is_empty() {
            return;
        }
        let time = self.time();
        let violated: Vec<_> = violations.iter().map(ToString::to_string).collect();
        let violated = violated.join("\n    ");
        let mut entries = self.lock();
        let first = entries.faults.len().saturating_sub(LAST_FAULTS);
        let faults = entries.faults[first..].join("\n    ");
        let text = format!("{time} violated:\n    {violated}\n  the last faults:\n    {faults}");
        println!("soak: {text}");
        entries.violations += violations.len();
        entries.details.push(text);
    }

    /// What there is so far.
    pub(super) fn report(&self, seed: u64) -> Report {
        let entries = self.lock();
        Report {
            seed,
            observations: entries.observations,
            faults: entries.faults.len(),
            violations: entries.violations,
            details: entries.details.clone(),
        }
    }

    /// The time of the soak and that of the logs.
    fn time(&self) -> String {
        format!("{:.1} s ({:.1})", self.elapsed().as_secs_f64(), jiff::Timestamp::now())
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{config::PULL, rules::Problem};
    use super::*;

    #[test]
    fn a_violation_comes_with_the_last_faults() {
        let journal = Journal::new(Output::Seed);
        for number in 0..10 {
            journal.fault(&format!("fault {number}"));
        }
        journal.end("fault 9");
        journal.observed(3);
        journal.violated(&[]);
        let violation = Violation {
            copy: ("team-a".to_owned(), PULL),
            host: String::new(),
            problem: Problem::NoCopy,
            seen: "it was due".to_owned(),
        };
        journal.violated(&[violation.clone(), violation]);
        let report = journal.report(7);
        assert_eq!(
            report.to_string(),
            "soak: 3 observations of copies, 10 faults, 2 violations, seed 7"
        );
        let [violation] = &report.details[..] else { panic!("{report:?}") };
        assert!(
            violation.contains("NoCopy in the copy team-a/soak-pull: it was due\n")
                && violation.contains("fault 2\n")
        );
        assert!(violation.contains("fault 9, until ") && !violation.contains("fault 1\n"));
    }
}
