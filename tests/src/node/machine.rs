//! What one node is made of: namespaces of its own, and in them containerd and kubelet.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::{Programs, containerd, kubelet};
use crate::process::{Guarded, last_lines, without_proxy};
use crate::run_folder::RunFolder;
use crate::wait::eventually;

/// Runs what follows as the first process of new namespaces, which end with it.
const NAMESPACES: [&str; 7] = [
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "--mount",
    "--propagation=private",
    "--net",
];

/// An address of documentation (RFC 5737): kubelet wants one that is not loopback.
pub(super) const ADDRESS: &str = "192.0.2.1";

/// What the first process does. Where programs keep sockets and locks by default, the machine's own
/// are not seen. It waits for both programs, and so also for whatever loses its parent. Kubelet gives
/// up when containerd does not answer yet: it is started again, as systemd does on a real node. A Unix
/// socket, of which network namespaces know nothing, leads to kubelet's API.
const SCRIPT: &str = r#"
set -e
mount -t tmpfs run /run
ip link set lo up
ip address add "$ADDRESS/32" dev lo
socat UNIX-LISTEN:"$KUBELET_SOCKET",fork TCP:127.0.0.1:"$KUBELET_PORT" &
"$CONTAINERD" --config "$FOLDER/containerd.toml" >"$FOLDER/containerd.log" 2>&1 &
until "$KUBELET" "$@" >>"$FOLDER/kubelet.log" 2>&1; do sleep 0.2; done &
wait
"#;

/// In the node's folder.
const KUBELET_SOCKET: &str = "kubelet.sock";

/// The namespaces are made in no time, unless the machine is very busy.
const BORN_WITHIN: Duration = Duration::from_secs(30);

/// A running node. It dies with this value.
pub(super) struct Machine {
    _process: Guarded,
    name: &'static str,
    pid: u32,
    folder: PathBuf,
}

/// Fails where namespaces cannot be made.
pub(super) fn namespaces_obtainable() -> Result<()> {
    let made = Command::new("unshare").args(NAMESPACES).args(["ip", "link"]).output();
    let made = made.context("unshare, of util-linux, cannot be run")?;
    let reason = String::from_utf8_lossy(&made.stderr);
    ensure!(
        made.status.success(),
        "a node needs namespaces of its own, and `ip`, of iproute2: {}",
        reason.trim()
    );
    Ok(())
}

impl Machine {
    /// Starts the node of this name, with `sandbox` as the image of what is in each Pod beside its
    /// containers.
    pub(super) async fn start(
        name: &'static str,
        programs: &Programs,
        run: &RunFolder,
        kubeconfig: &Path,
        sandbox: &str,
    ) -> Result<Self> {
        let folder = run.path().join(name);
        fs::create_dir(&folder)?;
        containerd::configure(&folder, sandbox)?;
        kubelet::configure(&folder)?;
        let mut command = Command::new("unshare");
        command
            .args(NAMESPACES)
            .args(["sh", "-c", SCRIPT, name])
            .args(kubelet::flags(name, &folder, kubeconfig))
            .env("ADDRESS", ADDRESS)
            .env("CONTAINERD", &programs.containerd)
            .env("KUBELET", &programs.kubelet)
            .env("KUBELET_PORT", kubelet::PORT.to_string())
            .env("KUBELET_SOCKET", folder.join(KUBELET_SOCKET))
            .env("FOLDER", &folder)
            .env("PATH", &programs.path)
            .current_dir(&folder);
        without_proxy(&mut command);
        let mut process = Guarded::spawn(name, &command, &folder.join("node.log"))?;
        let outer = process.pid();
        let first =
            eventually("the first process of a node", BORN_WITHIN, async || first_inside(outer));
        let pid = tokio::select! {
            pid = first => pid?,
            status = process.ended() => bail!("{name} ended with {}: {}", status?, process.log_tail()),
        };
        Ok(Self { _process: process, name, pid, folder })
    }

    /// The first process of the node, by its number on the machine.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The host and port by which the API server knows kubelet's API, and the socket that leads there.
    pub(super) fn kubelet(&self) -> (String, PathBuf) {
        (format!("{}:{}", self.name, kubelet::PORT), self.folder.join(KUBELET_SOCKET))
    }

    pub(super) fn last_words(&self) -> String {
        let logs = ["node.log", "containerd.log", "kubelet.log"];
        let tails = logs.map(|log| {
            let tail = last_lines(&self.folder.join(log), 15);
            format!("{log} of {} ends so:\n{tail}", self.name)
        });
        tails.join("\n")
    }
}

/// The child of a process that is in another network namespace.
fn first_inside(outer: u32) -> Result<u32> {
    let network = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net"));
    let ours = network("self")?;
    let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children"))?;
    let inside = |pid: &&str| network(pid).is_ok_and(|theirs| theirs != ours);
    let first = children.split_whitespace().find(inside);
    Ok(first.context("there is none yet")?.parse()?)
}
