//! The wish to stop: Ctrl-C, and what the system sends when it or the terminal goes.

use std::pin::pin;

use anyhow::{Context, Result};
use futures::future::select_all;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens from when it is made: from then on, no such signal ends the process untidily.
pub(crate) struct Interrupt {
    signals: Vec<Signal>,
}

impl Interrupt {
    /// Begins to listen.
    pub(crate) fn listen() -> Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let signals = kinds.into_iter().map(signal).collect::<Result<_, _>>();
        Ok(Self { signals: signals.context("listening for Ctrl-C")? })
    }

    /// Waits for the first such signal.
    pub(crate) async fn comes(&mut self) {
        let signals = self.signals.iter_mut().map(|signal| Box::pin(signal.recv()));
        pin!(select_all(signals)).await;
    }
}
