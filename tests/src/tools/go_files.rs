//! Files of a Go module of which nothing is built: downloaded once, into Go's own cache.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::build::check_go;
use super::recipes::Module;

/// About how long a download takes.
pub(super) const DOWNLOAD_TIME: Duration = Duration::from_secs(10);

/// A folder in the dependency that gives the module its version.
pub(super) struct GoFiles {
    pub(super) module: &'static Module,
    pub(super) folder: &'static str,
}

/// The folder, downloaded first if it is not there. Go holds what it has against go.sum.
pub(super) fn cached_or_downloaded(name: &str, files: &GoFiles) -> Result<PathBuf> {
    check_go(name, files.module, false)?;
    let module = files.module.main;
    let answer = go(files, &["mod", "download", "-json", module])?;
    let answer: Value = serde_json::from_str(&answer).context("reading what go says")?;
    let folder = answer["Dir"].as_str().with_context(|| format!("go has no files of {module}"))?;
    Ok(PathBuf::from(folder).join(files.folder))
}

/// Whether the files have been downloaded before.
pub(super) fn is_cached(files: &GoFiles) -> bool {
    let folder = go(files, &["list", "-m", "-f", "{{.Dir}}", files.module.main]);
    folder.is_ok_and(|folder| !folder.trim().is_empty())
}

fn go(files: &GoFiles, arguments: &[&str]) -> Result<String> {
    let output = Command::new("go")
        .args(arguments)
        .current_dir(files.module.path())
        .output()
        .context("starting go")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    // With `-json` the reason is in the answer.
    let answer = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "go {} failed: {errors}{answer}", arguments.join(" "));
    Ok(answer.into_owned())
}
