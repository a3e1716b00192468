//! Programs that the system's package manager installs, where this is root and the system Debian's kin.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::cache::lock;
use super::progress::spoken;
use crate::process::{last_lines, run_to_end};

/// About how long a package takes, with what it needs.
pub(super) const INSTALL_TIME: Duration = Duration::from_secs(20);

/// Where Debian keeps programs for administrators: a user's `PATH` may not name it.
const ADMINISTRATORS: &str = "/usr/sbin";

/// The program on the machine, if it is there.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from(ADMINISTRATORS)]);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Fails when the package cannot be installed from here.
pub(super) fn check(name: &str, package: &str) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root() && find("apt-get").is_some(),
        "there is no {name} here: install it, on Debian as root with `apt-get install {package}`"
    );
    Ok(())
}

/// Installs the package and returns the program's path.
pub(super) fn installed(name: &str, package: &str) -> Result<PathBuf> {
    check(name, package)?;
    let _lock = lock(name)?;
    // Another process may have installed it while this one waited.
    if find(name).is_none() {
        install(name, package)?;
    }
    find(name).with_context(|| format!("the package {package} has no program {name}"))
}

fn install(name: &str, package: &str) -> Result<()> {
    let start = Instant::now();
    eprintln!(
        "installing {name} (apt-get install {package}): takes about {}",
        spoken(INSTALL_TIME)
    );
    let options = ["install", "--yes", "--no-install-recommends"];
    let install: Vec<_> = options.into_iter().chain(package.split(' ')).collect();
    // The lists of packages may be missing or old: then they are read, and it is tried again.
    if apt_get(&install).is_err() {
        apt_get(&["update"])?;
        apt_get(&install)?;
    }
    eprintln!("installed {name} in {}", spoken(start.elapsed()));
    Ok(())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let mut command = Command::new("apt-get");
    // In this run level, services that a package brings are not started.
    command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1").args(arguments);
    let status = run_to_end("apt-get", &command, &log, |_| Ok(()))?;
    let words = arguments.join(" ");
    ensure!(status.success(), "apt-get {words} failed ({status}):\n{}", last_lines(&log, 15));
    Ok(())
}
