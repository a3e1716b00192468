//! The daemon's binary, built when it is needed.

use std::{path::PathBuf, process::Command, sync::OnceLock};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{architecture::Architecture, tools::Tool};

/// The daemon's binary: the one that `ECR_REFRESHER_BINARY` names, or else one of the profile of these
/// tests, built first if need be. An optimised one is static, as what is released.
///
/// # Errors
/// When it cannot be built.
pub fn program() -> Result<PathBuf> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let named = || std::env::var_os("ECR_REFRESHER_BINARY").map(PathBuf::from);
    let build = || {
        if cfg!(debug_assertions) { build(&mut cargo()) } else { static_program(Architecture::OWN) }
    };
    let program = PROGRAM
        .get_or_init(|| named().map_or_else(build, Ok).map_err(|error| format!("{error:#}")));
    program.clone().map_err(anyhow::Error::msg)
}

/// The daemon's binary for an architecture, linked statically as in its image; built first if need be.
///
/// # Errors
/// When it cannot be built.
pub fn static_program(architecture: Architecture) -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-musl", architecture.name());
    let listed = Command::new("rustup").args(["target", "list", "--installed"]).output();
    let listed = listed.context("rustup cannot be run: it has the library of static programs")?;
    if !String::from_utf8_lossy(&listed.stdout).lines().any(|line| line == target) {
        let added = Command::new("rustup").args(["target", "add", &target]).output()?;
        let errors = String::from_utf8_lossy(&added.stderr);
        ensure!(added.status.success(), "rustup target add {target} failed: {errors}");
    }
    let variable = target.replace('-', "_");
    let is_own = architecture == Architecture::OWN;
    let compiler = if is_own { Tool::MuslGcc } else { Tool::CrossGcc }.path()?;
    let mut cargo = cargo();
    if !is_own {
        cargo.env(format!("CARGO_TARGET_{}_LINKER", variable.to_uppercase()), &compiler);
    }
    build(cargo.args(["--target", &target]).env(format!("CC_{variable}"), compiler))
}

/// `cargo build` of the daemon, in the profile of these tests.
fn cargo() -> Command {
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
    cargo
        .args(["build", "--package", "ecr-refresher", "--profile", profile])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    cargo
}

/// Runs it, and returns what it built.
fn build(cargo: &mut Command) -> Result<PathBuf> {
    let output = cargo.output().context("starting cargo")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the daemon cannot be built: {errors}");
    let messages = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let executable =
        messages.filter_map(|message| message.ok()?["executable"].as_str().map(PathBuf::from));
    executable.last().context("cargo built no executable")
}
