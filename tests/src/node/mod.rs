//! A real node of a control plane: containerd and kubelet, a scheduler, and the registry that its
//! images are in.
//!
//! The node has a mount and a process namespace of its own. So whatever ends it, its containers,
//! their shims and their mounts end with it, and nothing of it is seen elsewhere on the machine.

mod containerd;
mod kubelet;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use crate::control_plane::{ControlPlane, NODE};
use crate::image;
use crate::image_registry::ImageRegistry;
use crate::process::Guarded;
use crate::run_folder::RunFolder;
use crate::tools::Tool;
use crate::wait::eventually;

/// A slow machine gets this long.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// What is in each Pod beside its containers.
const SANDBOX: &str = "pause:1";

/// Runs what is named in its arguments as the first process of new namespaces. Where programs keep
/// sockets and locks by default, the machine's own are not seen.
const NAMESPACES: [&str; 6] =
    ["--pid", "--fork", "--kill-child", "--mount-proc", "--mount", "--propagation=private"];

/// The first process waits for both, and so also for whatever loses its parent.
const SCRIPT: &str = r#"
set -e
mount -t tmpfs run /run
"$CONTAINERD" --config "$FOLDER/containerd.toml" >"$FOLDER/containerd.log" 2>&1 &
"$KUBELET" "$@" >"$FOLDER/kubelet.log" 2>&1 &
wait
"#;

/// A running node. Dropping it ends all that runs on it.
pub struct Node {
    // Dropped in this order: who uses another goes first.
    _scheduler: Guarded,
    _process: Guarded,
    registry: ImageRegistry,
    folder: RunFolder,
}

/// The programs of a node.
struct Programs {
    containerd: PathBuf,
    kubelet: PathBuf,
    scheduler: PathBuf,
    /// Folders of what containerd starts.
    path: String,
    pause: PathBuf,
}

impl Node {
    /// Whether a node can be expected to start here; builds nothing.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn obtainable() -> Result<()> {
        ensure!(cfg!(target_os = "linux"), "a node runs on Linux only");
        ensure!(rustix::process::geteuid().is_root(), "a node runs as root only");
        let namespaces = Command::new("unshare").args(NAMESPACES).arg("true").output();
        let possible = namespaces.context("unshare, of util-linux, cannot be run")?;
        let reason = String::from_utf8_lossy(&possible.stderr);
        ensure!(possible.status.success(), "a node needs namespaces of its own: {}", reason.trim());
        Tool::NEEDED_BY_NODE.into_iter().try_for_each(Tool::obtainable)
    }

    /// Starts the only node of the control plane and waits until Pods can run on it. Builds and
    /// installs the programs first where they are missing.
    ///
    /// # Errors
    /// When a program cannot be had, or the node is not ready in time.
    pub async fn start(control_plane: &ControlPlane) -> Result<Self> {
        let programs = tokio::task::spawn_blocking(Programs::get).await??;
        let folder = RunFolder::create("node")?;
        let registry = ImageRegistry::start().await?;
        let layout = folder.path().join("pause-image");
        image::write_layout(&layout, &programs.pause)?;
        registry.push(&layout, SANDBOX).await?;

        let sandbox = format!("{}/{SANDBOX}", registry.address());
        containerd::configure(folder.path(), &sandbox)?;
        kubelet::configure(folder.path())?;
        let log = folder.path().join("node.log");
        let command = programs.command(folder.path(), control_plane.node_kubeconfig());
        let mut process = Guarded::spawn("the node", &command, &log)?;
        let scheduler = programs.scheduler(control_plane, &folder)?;
        let admin = control_plane.admin_client();
        tokio::select! {
            ready = ready(&admin) => ready.with_context(|| last_words(folder.path()))?,
            status = process.ended() => bail!("it ended with {}: {}", status?, last_words(folder.path())),
        }
        Ok(Self { _scheduler: scheduler, _process: process, registry, folder })
    }

    /// The registry that nodes reach without credentials, at its own address.
    #[must_use]
    pub fn registry(&self) -> &ImageRegistry {
        &self.registry
    }

    /// Has containerd pull from `host` at an address of loopback.
    ///
    /// # Errors
    /// When its configuration cannot be written.
    pub fn resolve(&self, host: &str, address: SocketAddr) -> Result<()> {
        containerd::resolve(self.folder.path(), host, address)
    }

    /// The end of the node's logs, for an error message.
    #[must_use]
    pub fn last_words(&self) -> String {
        last_words(self.folder.path())
    }
}

impl Programs {
    /// Finds, builds or installs them; blocks.
    fn get() -> Result<Self> {
        let folder = |tool: Tool| -> Result<String> {
            let path = tool.path()?;
            Ok(path.parent().context("a program has a folder")?.display().to_string())
        };
        let search = std::env::var("PATH").unwrap_or_default();
        Ok(Self {
            containerd: Tool::Containerd.path()?,
            kubelet: Tool::Kubelet.path()?,
            scheduler: Tool::KubeScheduler.path()?,
            path: format!("{}:{}:{search}", folder(Tool::ContainerdShim)?, folder(Tool::Runc)?),
            pause: Tool::Pause.path()?,
        })
    }

    fn command(&self, folder: &Path, kubeconfig: &Path) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(NAMESPACES)
            .args(["sh", "-c", SCRIPT, "node"])
            .args(kubelet::flags(folder, kubeconfig))
            .env("CONTAINERD", &self.containerd)
            .env("KUBELET", &self.kubelet)
            .env("FOLDER", folder)
            .env("PATH", &self.path)
            .current_dir(folder);
        for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            command.env_remove(proxy);
        }
        command
    }

    fn scheduler(&self, control_plane: &ControlPlane, folder: &RunFolder) -> Result<Guarded> {
        let mut command = Command::new(&self.scheduler);
        command
            .arg(format!("--kubeconfig={}", control_plane.admin_kubeconfig().display()))
            // There is only one, and nobody asks how it is.
            .args(["--leader-elect=false", "--secure-port=0"]);
        Guarded::spawn("kube-scheduler", &command, &folder.path().join("kube-scheduler.log"))
    }
}

/// Waits until the node says that it is ready, and takes away the taint that it was born with: a
/// controller would, which would also evict Pods of a node that a busy machine keeps silent.
async fn ready(admin: &Client) -> Result<()> {
    let nodes = Api::<NodeObject>::all(admin.clone());
    eventually("the node to be ready", READY_WITHIN, async || {
        let status = nodes.get(NODE).await?.status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
        let ready = ready.context("it does not say whether it is ready")?;
        ensure!(ready.status == "True", "{:?}", ready.message);
        Ok(())
    })
    .await?;
    let untainted = Patch::Merge(json!({ "spec": { "taints": null } }));
    nodes.patch(NODE, &PatchParams::default(), &untainted).await?;
    Ok(())
}

fn last_words(folder: &Path) -> String {
    let logs = ["node.log", "containerd.log", "kubelet.log"];
    let tails = logs.map(|log| {
        format!("{log} ends so:\n{}", crate::process::last_lines(&folder.join(log), 15))
    });
    tails.join("\n")
}
