//! `ecr-refresher` keeps a fresh Amazon ECR pull Secret in every namespace that an allow-list names.

mod check;
mod cli;
mod completions;
mod config;
mod election;
mod events;
mod http;
mod inspect;
mod keepers;
mod kubernetes;
mod logging;
mod metrics;
mod once;
mod output;
mod reload;
mod run;
mod schema;
mod signals;
mod tasks;
mod token_cache;
mod tokens;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::parse().execute()
}
