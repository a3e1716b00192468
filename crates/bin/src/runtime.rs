//! The asynchronous runtime.

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};

/// A runtime of one thread: the work is waiting for others, and memory is scarce.
pub(crate) fn runtime() -> Result<Runtime> {
    // The one TLS provider of the process. It fails only if there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.context("could not start the asynchronous runtime")
}
