//! `ecr-refresher` as a library: the program, and the daemon for its simulation.

mod admission;
mod cli;
pub mod commands;
pub mod config;
pub mod daemon;
mod failure;
pub mod home;
mod kubernetes;
mod lease_tokens;
pub mod logging;
mod metrics;
mod output;
mod progress;
mod registry_status;
mod runtime;
mod screen;
mod words;

use std::process::ExitCode;

/// Runs the command of the command line; exit code 2 if that is invalid.
#[must_use]
pub fn main() -> ExitCode {
    failure::exit_code(commands::execute(cli::Cli::of_process()))
}
