//! Shows that something long is getting on: a line that updates, or else a line now and then.

use std::io::{Write, stdout};
use std::pin::pin;
use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, interval_at};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// By one line that is written over, as a terminal can.
    Updated,
    /// By lines that stay, as in a CI log.
    Plain,
}

impl Progress {
    /// Waits for `work` and says how long it has taken so far, and in the end.
    pub(crate) async fn of<T>(
        self,
        what: &str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let start = Instant::now();
        let mut ticks = interval_at(start + self.period(), self.period());
        let clean = CleanLine(self);
        let mut work = pin!(work);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                _ = ticks.tick() => {
                    self.show(&format!("  {what}: {} s", start.elapsed().as_secs()));
                }
            }
        };
        drop(clean);
        if done.is_ok() {
            println!("  {what}: done in {:.1} s", start.elapsed().as_secs_f64());
        }
        done
    }

    fn period(self) -> Duration {
        Duration::from_secs(if self == Self::Updated { 1 } else { 30 })
    }

    fn show(self, line: &str) {
        match self {
            Self::Plain => println!("{line}"),
            Self::Updated => {
                print!("\r{line}\x1b[K");
                // Only a display: a failure to flush is not a failure of the work.
                let _ = stdout().flush();
            }
        }
    }
}

/// Takes the updated line away when the work ends, and also when it is given up.
struct CleanLine(Progress);

impl Drop for CleanLine {
    fn drop(&mut self) {
        if self.0 == Progress::Updated {
            print!("\r\x1b[K");
        }
    }
}
