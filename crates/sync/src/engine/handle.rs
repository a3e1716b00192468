//! Requests to the running engine.

use std::time::Duration;

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    desired::settings::Settings,
    report::{Report, WatchReport},
};

/// An engine that does not reply within this time has stalled.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends requests to the running engine.
#[derive(Debug, Clone)]
pub struct EngineHandle(pub(super) mpsc::Sender<Request>);

/// The engine did not reply in time, or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the engine has stalled: it has not replied for {} s", REPLY_TIMEOUT.as_secs())]
pub struct Stalled;

/// The health of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether everything was listed once, and every missing copy was tried.
    pub synced: bool,
    /// The watches.
    pub watches: Vec<WatchReport>,
}

#[derive(Debug)]
pub(super) enum Request {
    Report { reply: oneshot::Sender<Report> },
    Health { reply: oneshot::Sender<Health> },
    Configure { settings: Box<Settings>, reply: oneshot::Sender<()> },
}

impl EngineHandle {
    /// The state of all copies, and of each copy that has a series of its own.
    ///
    /// # Errors
    /// If the engine has stalled.
    pub async fn report(&self) -> Result<Report, Stalled> {
        self.ask(|reply| Request::Report { reply }).await
    }

    /// The health, for probes: cheap.
    ///
    /// # Errors
    /// If the engine has stalled.
    pub async fn health(&self) -> Result<Health, Stalled> {
        self.ask(|reply| Request::Health { reply }).await
    }

    /// Makes the engine follow other settings.
    ///
    /// # Errors
    /// If the engine has stalled.
    pub async fn configure(&self, settings: Settings) -> Result<(), Stalled> {
        let settings = Box::new(settings);
        self.ask(|reply| Request::Configure { settings, reply }).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Stalled> {
        let (reply, replied) = oneshot::channel();
        let asked = async {
            self.0.send(request(reply)).await.map_err(|_| Stalled)?;
            replied.await.map_err(|_| Stalled)
        };
        timeout(REPLY_TIMEOUT, asked).await.unwrap_or(Err(Stalled))
    }
}
