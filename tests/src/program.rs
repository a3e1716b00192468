//! The daemon's binary, built when it is needed.

use std::{path::PathBuf, process::Command, sync::OnceLock};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The daemon's binary: the one that `ECR_REFRESHER_BINARY` names, or else one of the profile of these
/// tests, built first if need be.
///
/// # Errors
/// When it cannot be built.
pub fn program() -> Result<PathBuf> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let named = || std::env::var_os("ECR_REFRESHER_BINARY").map(PathBuf::from);
    let program = PROGRAM
        .get_or_init(|| named().map_or_else(build, Ok).map_err(|error| format!("{error:#}")));
    program.clone().map_err(anyhow::Error::msg)
}

fn build() -> Result<PathBuf> {
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let mut cargo = Command::new(env!("CARGO"));
    // What an outer cargo says of this package. Build scripts of dependencies run again when it
    // changes (`ring` is one), and then half of the daemon is built again, each time.
    for (key, _) in std::env::vars_os() {
        let name = key.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&key);
        }
    }
    let output = cargo
        .args([
            "build",
            "--package",
            "ecr-refresher",
            "--message-format",
            "json-render-diagnostics",
            "--profile",
        ])
        .arg(profile)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .context("starting cargo")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the daemon cannot be built: {errors}");
    let messages = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let executable =
        messages.filter_map(|message| message.ok()?["executable"].as_str().map(PathBuf::from));
    executable.last().context("cargo built no executable")
}
