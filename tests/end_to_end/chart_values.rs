//! Values that the chart refuses: each with its location and the problem.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use ecr_refresher_tests::{chart, tools::Tool};
use futures::{StreamExt, TryStreamExt, stream};

use crate::scenario::Scenario;

/// So many are looked at, or else the folder was not found.
const AT_LEAST: usize = 20;
const AT_A_TIME: usize = 4;

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::apart("bad values are refused, each with its place and reason", refused)
            .needing(&[Tool::Helm]),
    ]
}

async fn refused() -> Result<()> {
    let files = chart::bad_values()?;
    ensure!(files.len() >= AT_LEAST, "there are only {} bad values", files.len());
    let failures: Vec<_> = stream::iter(files)
        .map(|file| async move {
            let refused = tokio::task::spawn_blocking(move || ensure_refused(&file)).await?;
            anyhow::Ok(refused.err().map(|error| format!("{error:#}")))
        })
        .buffered(AT_A_TIME)
        .try_filter_map(async |failure| Ok(failure))
        .try_collect()
        .await?;
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// Renders the chart with the values in a file. Its first line has `# error: ` and what the
/// reason has to contain.
fn ensure_refused(file: &Path) -> Result<()> {
    let name = file.file_name().unwrap_or_default().display();
    let text = std::fs::read_to_string(file)?;
    let expected = text.lines().next().and_then(|line| line.strip_prefix("# error: "));
    let expected = expected.with_context(|| format!("{name} does not state its problem"))?;
    let Err(error) = chart::render_file(file, "bad", "bad") else {
        bail!("{name} is rendered, and should be refused: {expected}");
    };
    let error = format!("{error:#}");
    ensure!(error.contains(expected), "{name}: expected {expected:?}, and not: {error}");
    Ok(())
}
