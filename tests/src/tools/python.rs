//! Programs of Python packages, each in a virtual environment of its own in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use super::cache::{hash, lock, tools};
use super::progress::spoken;
use crate::process::{last_lines, run_to_end};

/// What is in an environment once all is installed.
const COMPLETE: &str = "complete";

/// A program of the packages that `requirements.txt` names, with their versions, in a folder of its
/// own under `tests/tools`.
pub(super) struct PythonProgram {
    pub(super) folder: &'static str,
    /// About how long the first installation takes.
    pub(super) first_install: Duration,
}

/// The path of the program in the cache, installed first if it is not there.
pub(super) fn cached_or_installed(name: &str, program: &PythonProgram) -> Result<PathBuf> {
    let environment = environment(program)?;
    if !environment.join(COMPLETE).is_file() {
        check(name)?;
        let _lock = lock(name)?;
        // Another process may have installed it while this one waited.
        if !environment.join(COMPLETE).is_file() {
            install(name, program, &environment)?;
        }
    }
    Ok(environment.join("bin").join(name))
}

/// Whether the program has been installed before.
pub(super) fn is_cached(program: &PythonProgram) -> Result<bool> {
    Ok(environment(program)?.join(COMPLETE).is_file())
}

/// Fails when there is no Python that can make a virtual environment.
pub(super) fn check(name: &str) -> Result<()> {
    let advice = format!(
        "installing {name} needs Python 3.10 or newer with its module venv: on Debian, `apt-get install python3-venv`"
    );
    let script = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))";
    let output = Command::new("python3").args(["-c", script]).output();
    let output = output.map_err(|error| anyhow!("python3 cannot be run ({error}); {advice}"))?;
    ensure!(output.status.success(), "{advice}");
    Ok(())
}

fn install(name: &str, program: &PythonProgram, environment: &Path) -> Result<()> {
    let start = Instant::now();
    eprintln!(
        "installing {name} (a virtual environment): takes about {}, kept in {}",
        spoken(program.first_install),
        environment.display()
    );
    // The remains of an earlier attempt would look complete.
    if environment.exists() {
        fs::remove_dir_all(environment)
            .with_context(|| format!("removing {}", environment.display()))?;
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(environment);
    run(name, &make)?;
    let mut install = Command::new(environment.join("bin/python"));
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
    ]);
    run(name, install.arg(requirements(program)))?;
    fs::write(environment.join(COMPLETE), "").context("noting that the environment is complete")?;
    eprintln!("installed {name} in {}", spoken(start.elapsed()));
    Ok(())
}

fn run(name: &str, command: &Command) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let status = run_to_end(name, command, &log, |_| Ok(()))?;
    ensure!(status.success(), "installing {name} failed ({status}):\n{}", last_lines(&log, 15));
    Ok(())
}

/// `…/tools/FOLDER-HASH`, where the hash covers all that is installed.
fn environment(program: &PythonProgram) -> Result<PathBuf> {
    let path = requirements(program);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(tools()?.join(format!("{}-{}", program.folder, hash([text.as_str()]))))
}

fn requirements(program: &PythonProgram) -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools");
    tools.join(program.folder).join("requirements.txt")
}
