//! Shows that a long build is getting on: a line that updates on a terminal, else one now and then.

use std::io::{IsTerminal, Write, stderr};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often to say something where lines cannot be updated, as in a CI log.
const PLAIN_PERIOD: Duration = Duration::from_secs(30);
const TERMINAL_PERIOD: Duration = Duration::from_secs(1);

/// The progress of one build, on standard error.
pub(super) struct Progress {
    name: String,
    start: Instant,
    next: Duration,
    terminal: bool,
}

impl Progress {
    /// Says what is built, how long that takes and where it is kept.
    pub(super) fn start(name: &str, package: &str, usual: Duration, path: &Path) -> Self {
        eprintln!(
            "building {name} ({package}): takes about {} the first time, kept as {}",
            spoken(usual),
            path.display()
        );
        let terminal = stderr().is_terminal();
        Self {
            name: name.to_owned(),
            start: Instant::now(),
            next: if terminal { Duration::ZERO } else { PLAIN_PERIOD },
            terminal,
        }
    }

    /// Shows where the build is, if it is time to; `count` is asked only then.
    pub(super) fn tick(&mut self, elapsed: Duration, count: impl FnOnce() -> usize) {
        if elapsed < self.next {
            return;
        }
        let line =
            format!("building {}: {}, {} packages compiled", self.name, spoken(elapsed), count());
        if self.terminal {
            self.next = elapsed + TERMINAL_PERIOD;
            eprint!("\r{line}\x1b[K");
            // Only a display: a failure to flush is not a failure of the build.
            let _ = stderr().flush();
        } else {
            self.next = elapsed + PLAIN_PERIOD;
            eprintln!("{line}");
        }
    }

    /// Leaves the updating line, so that an error starts on a line of its own.
    pub(super) fn fail(&self) {
        self.clear();
    }

    /// Says that the build is done.
    pub(super) fn finish(&self, packages: usize) {
        self.clear();
        let took = spoken(self.start.elapsed());
        eprintln!("built {} in {took} ({packages} packages)", self.name);
    }

    fn clear(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}

/// A duration as one would say it.
pub(super) fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_one_would_say_them() {
        assert_eq!(spoken(Duration::from_secs(30)), "30 s");
        assert_eq!(spoken(Duration::from_mins(5)), "5 min");
        assert_eq!(spoken(Duration::from_secs(125)), "2 min 5 s");
    }
}
