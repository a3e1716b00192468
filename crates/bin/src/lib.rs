//! `ecr-refresher` as a library: the program, and the daemon as its simulation starts it.

mod check;
mod cli;
mod completions;
pub mod config;
pub mod daemon;
mod inspect;
mod kubernetes;
pub mod logging;
mod metrics;
pub mod once;
mod output;
mod run;
mod schema;
mod words;

use std::process::ExitCode;

/// Does what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    cli::parse().execute()
}
