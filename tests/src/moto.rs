//! moto: an independent fake of AWS, with an STS that recognises its own sessions.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::process::Guarded;
use crate::tools::Tool;

const READY_WITHIN: Duration = Duration::from_mins(1);

/// What it logs once it listens.
const LISTENING: &str = "Running on ";

/// A running server, which dies with this value.
pub struct Moto {
    process: Guarded,
    endpoint: String,
    _folder: TempDir,
}

impl Moto {
    /// Starts one on a free port. Blocks while it is installed, where it is missing.
    ///
    /// # Errors
    /// When it is not available, ends early or is not ready in time.
    pub async fn start() -> Result<Self> {
        let program = tokio::task::spawn_blocking(|| Tool::Moto.path()).await??;
        let folder = TempDir::new()?;
        let log = folder.path().join("log");
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", "0"]);
        let mut process = Guarded::spawn("moto", &command, &log)?;
        let endpoint = process.logs("moto to listen", READY_WITHIN, endpoint_in).await?;
        Ok(Self { process, endpoint, _folder: folder })
    }

    /// The URL for the SDK's `endpoint_url`, for all services alike.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How many requests it has answered.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn requests(&self) -> Result<usize> {
        let log = std::fs::read_to_string(self.process.log_path())?;
        Ok(log.matches("\"POST / HTTP/1.1\"").count())
    }
}

fn endpoint_in(log: &str) -> Result<String> {
    let url = log.split_once(LISTENING).context("it does not listen yet")?.1;
    let line = url.split_inclusive('\n').next().filter(|line| line.ends_with('\n'));
    Ok(line.context("its address is not complete yet")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_read_off_the_log() {
        let log = "WARNING\n * Running on http://127.0.0.1:36797\nPress";
        assert_eq!(endpoint_in(log).unwrap(), "http://127.0.0.1:36797");
        assert!(endpoint_in(" * Running on http://127.0.0.1:36").is_err());
    }
}
