//! Before the curtain: says what is needed, builds what is missing, and starts it.

use std::time::Duration;

use anyhow::Result;
use ecr_refresher_tests::{control_plane::ControlPlane, daemon, tools::Tool};

use super::progress::Progress;
use super::stage::{LISTED, PATTERNS, Stage, TOKEN_LIFE};
use super::steps;

/// Builds and starts everything but the daemon.
pub(crate) async fn stage(progress: Progress) -> Result<Stage> {
    announce()?;
    // These show their progress themselves. Builds block, for minutes.
    tokio::task::spawn_blocking(|| {
        Tool::NEEDED_BY_DEMO.into_iter().try_for_each(|tool| tool.path().map(drop))
    })
    .await??;
    let program = async { tokio::task::spawn_blocking(daemon::program).await? };
    progress.of("building the daemon", program).await?;
    let control_plane = progress.of("starting the control plane", ControlPlane::start()).await?;
    progress.of("making namespaces and installing the chart", Stage::set_up(control_plane)).await
}

fn announce() -> Result<()> {
    println!(
        "A demo of ecr-refresher, on this machine alone: a real Kubernetes control plane,\n\
         a fake AWS that issues tokens for {} s instead of 12 hours, and the daemon between\n\
         them, with the rights and the config of its chart. On its list: {},\n\
         which means the namespaces {}.\n",
        TOKEN_LIFE.as_secs(),
        PATTERNS.join(" and "),
        LISTED.join(", ")
    );
    println!("What it takes:");
    println!("  {}", control_plane_line()?);
    println!("  the daemon: built by cargo; 3 minutes the first time, seconds after that");
    println!("  then the control plane starts, in about 10 seconds");
    println!("  and {} steps follow, which take about a minute\n", steps::STEPS.len());
    Ok(())
}

fn control_plane_line() -> Result<String> {
    let mut missing = Vec::new();
    let mut time = Duration::ZERO;
    for tool in Tool::NEEDED_BY_DEMO {
        if let Some(build_time) = tool.build_time()? {
            missing.push(tool.name());
            time += build_time;
        }
    }
    let all = Tool::NEEDED_BY_DEMO.map(Tool::name).join(", ");
    Ok(if missing.is_empty() {
        format!("{all}: there already")
    } else {
        format!(
            "{}: built from the Go module proxy, once; about {} minutes on 2 cores",
            missing.join(", "),
            time.as_secs().div_ceil(60)
        )
    })
}
