//! Child processes that cannot outlive their owner, however the owner ends.

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::wait::eventually;

/// Writes a program: these commands of a shell.
///
/// # Errors
/// When the file cannot be written.
pub fn write_script(path: &Path, commands: &str) -> Result<()> {
    fs::write(path, format!("#!/bin/sh\n{commands}\n"))?;
    Ok(fs::set_permissions(path, Permissions::from_mode(0o755))?)
}

/// Starts the real program in place of the shell, after leaving a watcher in its process group.
///
/// The watcher reads a pipe. Only the owner has its other end: when the owner is gone, for
/// whatever reason, the read ends and the whole group is killed. As the watcher is in the group
/// itself, the group's number cannot have been given to anyone else by then.
const GUARD: &str = r#"
exec 3<&0 </dev/null
{ read -r _ <&3; kill -s KILL -- "-$$"; } >/dev/null 2>&1 &
exec "$@" 3<&-
"#;

/// How often an end is looked for.
const PAUSE: Duration = Duration::from_millis(20);

/// A child process, in a process group of its own, that dies with this value: when it is dropped,
/// and also when this process panics, is interrupted or is killed.
#[derive(Debug)]
pub struct Guarded {
    name: String,
    child: Child,
    pid: Pid,
    log: PathBuf,
}

impl Guarded {
    /// Starts `command`, with both its outputs appended to the file `log` and no input.
    ///
    /// Program, arguments, environment and working folder are taken from `command`; a cleared
    /// environment (`env_clear`) and redirections are not.
    ///
    /// # Errors
    /// When the log cannot be opened or the process not be started. A program that is not there is
    /// exit status 127, with the reason in the log.
    pub fn spawn(name: &str, command: &Command, log: &Path) -> Result<Self> {
        let output = append_to(log)?;
        let errors = output.try_clone()?;
        Self::spawn_with(name, command, log, output, errors)
    }

    /// As [`Guarded::spawn`], with standard output in the file `output` of its own.
    ///
    /// # Errors
    /// As for [`Guarded::spawn`].
    pub fn spawn_with_output(
        name: &str,
        command: &Command,
        output: &Path,
        log: &Path,
    ) -> Result<Self> {
        Self::spawn_with(name, command, log, append_to(output)?, append_to(log)?)
    }

    fn spawn_with(
        name: &str,
        command: &Command,
        log: &Path,
        output: File,
        errors: File,
    ) -> Result<Self> {
        let mut guard = Command::new("/bin/sh");
        guard
            .args(["-c", GUARD, name])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => guard.env(key, value),
                None => guard.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            guard.current_dir(folder);
        }
        let child = guard.spawn().with_context(|| format!("starting {name}"))?;
        let pid = Pid::from_child(&child);
        Ok(Self { name: name.to_owned(), child, pid, log: log.to_owned() })
    }

    /// The process id, which is also the id of the process group.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file that has what the process wrote.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The last lines of the log, for an error message.
    #[must_use]
    pub fn log_tail(&self) -> String {
        last_lines(&self.log, 30)
    }

    /// Waits until `read` succeeds on the log, and no longer once the process has
    /// ended.
    ///
    /// # Errors
    /// When it does not in time, with the end of the log.
    pub async fn logs<T>(
        &mut self,
        what: &str,
        deadline: Duration,
        read: impl Fn(&str) -> Result<T>,
    ) -> Result<T> {
        let log = self.log.clone();
        let found = eventually(what, deadline, async || read(&std::fs::read_to_string(&log)?));
        tokio::select! {
            found = found => found.with_context(|| self.log_tail()),
            status = self.ended() => bail!("it ended with {}: {}", status?, last_lines(&log, 30)),
        }
    }

    /// Sends `signal` to the process alone, not to its group.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        // Its number may belong to someone else once it has been reaped.
        if let Some(status) = self.try_status()? {
            bail!("{} has ended with {status}", self.name);
        }
        kill_process(self.pid, signal)
            .with_context(|| format!("sending {signal:?} to {}", self.name))
    }

    /// The exit status, if the process has ended. What it left in its group is then killed.
    ///
    /// # Errors
    /// When the system returns an error.
    pub fn try_status(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            drop(self.child.stdin.take());
        }
        Ok(status)
    }

    /// Waits until the process ends by itself.
    ///
    /// # Errors
    /// When the system returns an error.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.try_status()? {
                return Ok(status);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the process ends by itself, for at most `deadline`.
    ///
    /// # Errors
    /// When it still runs then.
    pub async fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let Ok(status) = tokio::time::timeout(deadline, self.ended()).await else {
            bail!("{} still runs after {deadline:?}:\n{}", self.name, self.log_tail());
        };
        status
    }

    /// Asks the process to end (SIGTERM) and waits for that, for at most `deadline`.
    ///
    /// # Errors
    /// When it still runs then, or had ended before.
    pub async fn terminate(&mut self, deadline: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait(deadline).await
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Closing the pipe would be enough; killing the group here saves a turn of the shell. Both
        // can only fail when there is nothing left to kill.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Runs `command` to its end, blocking, and calls `tick` about five times a second meanwhile.
///
/// # Errors
/// When it cannot be started, or `tick` fails (the process is killed then).
pub fn run_to_end(
    name: &str,
    command: &Command,
    log: &Path,
    mut tick: impl FnMut(Duration) -> Result<()>,
) -> Result<ExitStatus> {
    let start = Instant::now();
    let mut process = Guarded::spawn(name, command, log)?;
    loop {
        if let Some(status) = process.try_status()? {
            return Ok(status);
        }
        tick(start.elapsed())?;
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Has a command ask for everything directly, whatever the environment says.
pub fn without_proxy(command: &mut Command) {
    for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        command.env_remove(proxy);
    }
}

/// The last `count` lines of a text file, or nothing when it cannot be read.
#[must_use]
pub fn last_lines(path: &Path, count: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn append_to(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("opening {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::test_kill_process_group;

    const DEADLINE: Duration = Duration::from_secs(10);
    const LOG_OF_OWNER: &str = "ECR_REFRESHER_TEST_LOG_OF_OWNER";

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    /// Writes its number into its log, and would then run for ever, in two processes.
    fn endless() -> Command {
        shell("sleep 1000 & echo $$; wait")
    }

    async fn pid_in(log: &Path) -> Pid {
        let number: i32 = eventually("a process id in the log", DEADLINE, async || {
            Ok(std::fs::read_to_string(log)?.trim().parse()?)
        })
        .await
        .unwrap();
        Pid::from_raw(number).unwrap()
    }

    async fn group_ends(group: Pid) {
        eventually("the whole group to end", DEADLINE, async || {
            anyhow::ensure!(test_kill_process_group(group).is_err(), "{group:?} is there");
            Ok(())
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn exit_status_and_output_come_through() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut process =
            Guarded::spawn("exits", &shell("echo out; echo err >&2; exit 7"), &log).unwrap();
        assert_eq!(process.wait(DEADLINE).await.unwrap().code(), Some(7));
        assert_eq!(process.log_tail(), "out\nerr");
        let pid = Pid::from_raw(process.pid().try_into().unwrap()).unwrap();
        group_ends(pid).await;
    }

    #[tokio::test]
    async fn a_signal_reaches_the_program_itself() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        // Not SIGINT, which a shell cannot trap when the tests run in the background of another.
        let script = "trap 'exit 3' TERM; echo $$; while :; do sleep 0.02; done";
        let mut process = Guarded::spawn("traps", &shell(script), &log).unwrap();
        assert_eq!(pid_in(&log).await, process.pid);
        process.signal(Signal::TERM).unwrap();
        assert_eq!(process.wait(DEADLINE).await.unwrap().code(), Some(3));
        assert!(process.signal(Signal::TERM).is_err());
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_status_127() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let command = Command::new("/no/such/program");
        let mut process = Guarded::spawn("absent", &command, &log).unwrap();
        assert_eq!(process.wait(DEADLINE).await.unwrap().code(), Some(127));
        assert!(process.log_tail().contains("/no/such/program"));
    }

    #[tokio::test]
    async fn the_group_dies_when_the_owner_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let process = Guarded::spawn("endless", &endless(), &log).unwrap();
        let pid = pid_in(&log).await;
        drop(process);
        group_ends(pid).await;
    }

    /// The other process of the next test: owns a child until it is killed.
    fn own(log: &Path) {
        let _process = Guarded::spawn("endless", &endless(), log).unwrap();
        std::thread::sleep(Duration::from_secs(1000));
    }

    #[tokio::test]
    async fn the_group_dies_when_the_owner_is_killed() {
        if let Some(log) = std::env::var_os(LOG_OF_OWNER) {
            return own(Path::new(&log));
        }
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let this = "process::tests::the_group_dies_when_the_owner_is_killed";
        let mut owner = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", this])
            .env(LOG_OF_OWNER, &log)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pid = pid_in(&log).await;
        owner.kill().unwrap();
        owner.wait().unwrap();
        group_ends(pid).await;
    }
}
