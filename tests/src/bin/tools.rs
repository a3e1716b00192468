//! Builds the external programs that the tests run, and says where they are.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use ecr_refresher_tests::tools::Tool;

/// Finds or builds the external programs that the tests run.
#[derive(Parser)]
enum Arguments {
    /// Build what is missing.
    Build {
        /// Names of tools; all that the tests need when there are none.
        #[arg(value_parser = Tool::named)]
        tools: Vec<Tool>,
    },
    /// Print the path of a tool, which is built first if it is missing.
    Path {
        /// Name of the tool.
        #[arg(value_parser = Tool::named)]
        tool: Tool,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse() {
        Arguments::Build { tools } => build(tools),
        Arguments::Path { tool } => tool.path().map(|path| println!("{}", path.display())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn build(mut tools: Vec<Tool>) -> Result<()> {
    if tools.is_empty() {
        tools = Tool::NEEDED_BY_TESTS.to_vec();
    }
    for tool in tools {
        println!("{}: {}", tool.name(), tool.path()?.display());
    }
    Ok(())
}
