//! How a command fails, and its exit code.

use std::process::ExitCode;

use crate::{config::ConfigError, daemon::StopSignal};

/// Something failed.
const FAILED: u8 = 1;
/// The command line or the config is invalid.
const USAGE: u8 = 2;
/// Ended by a signal: its number is added, as shells do.
const SIGNAL: u8 = 128;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The config is invalid. An empty message was printed already.
    Usage(String),
    /// The failure was printed already.
    Reported,
    /// It was stopped by a signal, and the rest is printed already.
    Stopped(StopSignal),
    /// Any other error.
    Other(anyhow::Error),
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.text())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl Failure {
    /// Prints it, unless that is done already. Returns its exit code.
    pub(crate) fn print(self) -> u8 {
        let message = self.message();
        if !message.is_empty() {
            eprintln!("{message}");
        }
        match self {
            Self::Reported | Self::Other(_) => FAILED,
            Self::Stopped(signal) => SIGNAL + signal as u8,
            Self::Usage(_) => USAGE,
        }
    }

    /// The message to print; empty if that is done already.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Reported | Self::Stopped(_) => String::new(),
            Self::Usage(message) => message.clone(),
            Self::Other(error) => format!("error: {error:#}"),
        }
    }
}

/// Prints the failure of a command, if any, and returns its exit code.
pub(crate) fn exit_code(result: Result<(), Failure>) -> ExitCode {
    result.map_or_else(|failure| ExitCode::from(failure.print()), |()| ExitCode::SUCCESS)
}
