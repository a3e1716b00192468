//! Builds the external programs that the tests run, and says where they are.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use ecr_refresher_tests::architecture::Architecture;
use ecr_refresher_tests::ci::in_ci;
use ecr_refresher_tests::daemon;
use ecr_refresher_tests::tools::Tool;

/// Finds or builds the programs that the tests run.
#[derive(Parser)]
enum Arguments {
    /// Build what is missing, and the daemon for its image.
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

fn build(tools: Vec<Tool>) -> Result<()> {
    let all = tools.is_empty();
    let tools = if all { Tool::ALL.to_vec() } else { tools };
    for tool in tools {
        // Tests that need an unavailable program are skipped; in CI that is a failure.
        match tool.obtainable() {
            Err(reason) if all && !in_ci() => println!("{}: left out: {reason:#}", tool.name()),
            _ => println!("{}: {}", tool.name(), tool.path()?.display()),
        }
    }
    if all && Tool::NEEDED_BY_IMAGE.into_iter().all(|tool| tool.obtainable().is_ok()) {
        println!("building the daemon for its image: takes about 6 min the first time");
        for architecture in Architecture::ALL {
            println!("ecr-refresher: {}", daemon::static_program(architecture)?.display());
        }
    }
    Ok(())
}
