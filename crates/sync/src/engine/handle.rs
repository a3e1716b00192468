//! How others talk to the engine while it runs.

use std::time::Duration;

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    desired::settings::Settings,
    report::{Report, WatchReport},
};

/// A loop that does not answer within this time has stalled.
const PATIENCE: Duration = Duration::from_secs(5);

/// How others talk to the engine while it runs.
#[derive(Debug, Clone)]
pub struct EngineHandle(pub(super) mpsc::Sender<Request>);

/// The engine did not answer in time, or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the loop has stalled: it has not answered for {} s", PATIENCE.as_secs())]
pub struct Stalled;

/// Whether the engine is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether everything has once been listed, and everything that was missing then been tried.
    pub synced: bool,
    /// The watches.
    pub watches: Vec<WatchReport>,
}

#[derive(Debug)]
pub(super) enum Request {
    Report { answer: oneshot::Sender<Report> },
    Health { answer: oneshot::Sender<Health> },
    Configure { settings: Box<Settings>, answer: oneshot::Sender<()> },
}

impl EngineHandle {
    /// The state of all copies now, and each single one that is to have a series of its own.
    ///
    /// # Errors
    /// When the loop has stalled.
    pub async fn report(&self) -> Result<Report, Stalled> {
        self.ask(|answer| Request::Report { answer }).await
    }

    /// What probes ask for, which costs next to nothing.
    ///
    /// # Errors
    /// When the loop has stalled.
    pub async fn health(&self) -> Result<Health, Stalled> {
        self.ask(|answer| Request::Health { answer }).await
    }

    /// Has the engine follow other settings.
    ///
    /// # Errors
    /// When the loop has stalled.
    pub async fn configure(&self, settings: Settings) -> Result<(), Stalled> {
        let settings = Box::new(settings);
        self.ask(|answer| Request::Configure { settings, answer }).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Stalled> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.0.send(request(answer)).await.map_err(|_| Stalled)?;
            answered.await.map_err(|_| Stalled)
        };
        timeout(PATIENCE, asked).await.unwrap_or(Err(Stalled))
    }
}
