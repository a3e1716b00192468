//! The commands, a module each.

mod check;
mod completions;
mod inspect;
mod man_pages;
pub mod once;
mod run;
mod schema;

use crate::{
    cli::{Cli, Command},
    failure::Failure,
};

/// Runs the command of a command line.
pub(crate) fn execute(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Run(args) if args.once.once => once::execute(&args),
        Command::Run(args) => run::execute(&args),
        Command::Check(args) => check::execute(&args),
        Command::Status(args) => inspect::status(&args),
        Command::Plan(args) => inspect::plan(&args),
        Command::Explain(args) => inspect::explain(&args),
        Command::Schema => schema::execute(),
        Command::Completions(args) => completions::execute(&args),
        Command::ManPages(args) => man_pages::execute(&args),
    }
}
