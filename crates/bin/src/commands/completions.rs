//! `completions`: completes the command line in a shell.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::{
    cli::{Cli, CompletionsArgs},
    failure::Failure,
    output,
};

/// Prints the script for a shell.
pub(crate) fn execute(args: &CompletionsArgs) -> Result<(), Failure> {
    output::print(script(args.shell))
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut script);
    let script = String::from_utf8_lossy(&script);
    // Two parts of the script for bash name its commands differently where the program's name has a hyphen
    // (github.com/clap-rs/clap/issues/6421).
    script.replace("ecr__subcmd__refresher", "ecr__refresher")
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_gets_a_script_with_all_commands() {
        Cli::command().debug_assert();
        for &shell in Shell::value_variants() {
            let script = script(shell);
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }
}
