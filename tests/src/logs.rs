//! Where the logs of daemons are, and the search for passwords in them.

use std::{path::Path, sync::LazyLock};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::fake_aws::leaks_password;

/// The folder of all daemons' logs in this process: what is in it at the end is searched for
/// passwords.
///
/// # Errors
/// When it cannot be made.
pub fn logs() -> Result<&'static Path> {
    static LOGS: LazyLock<Option<TempDir>> = LazyLock::new(|| TempDir::new().ok());
    LOGS.as_ref().map(TempDir::path).context("making the folder of logs")
}

/// Searches the logs of all daemons for what the fake AWS gave out, and for `others`. Returns how many
/// logs there are.
///
/// # Errors
/// When a log shows a password, or cannot be read.
pub fn search_for_passwords(others: &[&str]) -> Result<usize> {
    let mut searched = 0;
    for entry in std::fs::read_dir(logs()?).context("reading the folder of logs")? {
        let path = entry?.path();
        let log = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        for (index, line) in log.lines().enumerate() {
            if leaks_password(line) || others.iter().any(|other| line.contains(other)) {
                bail!("line {} of the log {} shows a password", index + 1, path.display());
            }
        }
        searched += 1;
    }
    Ok(searched)
}

/// Removes the logs of all daemons: the folder does not go by itself when the process ends.
///
/// # Errors
/// When they cannot be removed.
pub fn remove() -> Result<()> {
    std::fs::remove_dir_all(logs()?).context("removing the folder of logs")
}
