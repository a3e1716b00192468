//! The scene of a step: the stage, and the story.

use std::pin::pin;
use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, interval_at, sleep};

use super::stage::Stage;
use super::story::Story;

/// No wait is silent for longer.
const SILENCE: Duration = Duration::from_secs(5);

/// A step at work.
pub(crate) struct Scene<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) story: &'a Story,
    /// A pause for the viewer.
    pub(crate) pause: Duration,
}

impl Scene<'_> {
    /// Adds an observation.
    pub(crate) fn note(&self, text: impl Into<String>) {
        self.story.note(text.into());
    }

    /// Waits for `work`, and shows now and then that it still does.
    pub(crate) async fn waiting<T>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut ticks = interval_at(Instant::now() + SILENCE, SILENCE);
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => self.story.still(what),
            }
        }
    }

    /// Waits for the pause of the viewer.
    pub(crate) async fn pause(&self) {
        sleep(self.pause).await;
    }
}
