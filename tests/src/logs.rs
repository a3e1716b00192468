//! Where the logs of daemons are.

use std::{path::Path, sync::LazyLock};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// The folder of all daemons' logs in this process: what is in it at the end is searched for
/// passwords.
///
/// # Errors
/// When it cannot be made.
pub fn logs() -> Result<&'static Path> {
    static LOGS: LazyLock<Option<TempDir>> = LazyLock::new(|| TempDir::new().ok());
    LOGS.as_ref().map(TempDir::path).context("making the folder of logs")
}
