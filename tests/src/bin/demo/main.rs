//! The demo: the daemon at work on a real control plane, step by step beside a live table.
//!
//! Without a terminal it runs its steps once, in plain lines, and its exit status says whether all
//! came true: so it is a smoke test too.

#![allow(clippy::disallowed_methods, reason = "it runs real programs, in real time")]

mod copy_watch;
mod counts;
mod frame;
mod interrupt;
mod line;
mod live;
mod prepare;
mod progress;
mod scene;
mod screen;
mod snapshot;
mod stage;
mod steps;
mod story;
mod table;

use std::io::{IsTerminal, stdout};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use ecr_refresher_tests::{daemon, process::last_lines};
use tokio::runtime::Runtime;

use self::interrupt::Interrupt;
use self::progress::Progress;
use self::snapshot::Snapshot;
use self::stage::{LEADER, Stage};
use self::story::Story;

/// Shows ecr-refresher at work: a real Kubernetes control plane and a fake AWS on this machine, and
/// the daemon between them.
#[derive(Parser)]
struct Arguments {
    /// Run the steps once in plain lines and exit, as without a terminal.
    #[arg(long)]
    once: bool,
}

/// How the demo ended.
enum Ending {
    AllStepsDone,
    Interrupted,
}

fn main() -> ExitCode {
    let is_live = !Arguments::parse().once && is_live_terminal();
    let ending = Runtime::new().context("cannot run asynchronous code").and_then(|runtime| {
        let ending = runtime.block_on(run(is_live));
        // A build may be under way in a thread; it ends with this process.
        runtime.shutdown_background();
        ending
    });
    remove_logs();
    match ending {
        Ok(Ending::AllStepsDone) => println!("All steps came true. Nothing is left running."),
        Ok(Ending::Interrupted) if is_live => println!("Stopped. Nothing is left running."),
        Ok(Ending::Interrupted) => {
            eprintln!("the demo was interrupted before its last step");
            return ExitCode::FAILURE;
        }
        Err(error) => {
            eprintln!("the demo failed: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Whether there is a terminal that can draw.
fn is_live_terminal() -> bool {
    stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|kind| kind != "dumb")
}

async fn run(is_live: bool) -> Result<Ending> {
    let mut interrupt = Interrupt::listen()?;
    let progress = if is_live { Progress::Updated } else { Progress::Plain };
    let prepared = tokio::select! {
        biased;
        () = interrupt.comes() => return Ok(Ending::Interrupted),
        stage = prepare::stage(progress) => stage,
    };
    let stage = prepared?;
    let shown = if is_live {
        live::show(&stage, &mut interrupt).await
    } else {
        once(&stage, &mut interrupt).await
    };
    match shown {
        Ok(ending) => {
            stage.close().await?;
            Ok(ending)
        }
        Err(error) => Err(with_last_words(error, &stage)),
    }
}

async fn once(stage: &Stage, interrupt: &mut Interrupt) -> Result<Ending> {
    println!();
    let story = Story::printed();
    tokio::select! {
        biased;
        () = interrupt.comes() => return Ok(Ending::Interrupted),
        done = steps::run(stage, &story, Duration::ZERO) => done?,
    }
    let snapshot = Snapshot::take(stage).await?;
    println!();
    for line in table::render(&snapshot, usize::MAX) {
        println!("{}", line.plain());
    }
    println!("\n{}", frame::counts(&snapshot).plain());
    check_still_well(&snapshot)?;
    Ok(Ending::AllStepsDone)
}

/// What the steps brought about must still be so at the end.
fn check_still_well(snapshot: &Snapshot) -> Result<()> {
    match snapshot.counts.as_ref().map(counts::Counts::failing) {
        Some(0) => Ok(()),
        Some(failing) => bail!("the daemon says that {failing} copies are failing"),
        None => bail!("no daemon says that it leads"),
    }
}

/// Adds what the daemon said last, which often is the reason.
fn with_last_words(error: anyhow::Error, stage: &Stage) -> anyhow::Error {
    let Some(log) = stage.log_path(LEADER) else {
        return error;
    };
    anyhow::anyhow!("{error:#}\n\nThe daemon's last words:\n{}", last_lines(&log, 10))
}

/// The folder of logs lives as long as a process of tests: this one is done with it.
fn remove_logs() {
    if let Ok(folder) = daemon::logs() {
        // It is in the system's folder for what is temporary: one that stays does no harm.
        let _ = std::fs::remove_dir_all(folder);
    }
}
