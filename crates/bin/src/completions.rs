//! `completions`: completes the command line in a shell.

use clap::CommandFactory;
use clap_complete::generate;

use crate::{
    cli::{Cli, CompletionsArgs, Failure},
    output,
};

/// Prints the script for a shell.
pub(crate) fn execute(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut script);
    output::print(script)
}
