//! Real nodes of a control plane: on each containerd and kubelet; and for all a scheduler, and the
//! registry that their images are in.
//!
//! A node has mount, process and network namespaces of its own. So whatever ends it, its containers,
//! their shims and their mounts end with it; nothing of it is seen elsewhere on the machine; and Pods
//! of several nodes may listen on the same port. What listens on the machine's loopback is reached from
//! the nodes' too, at the same address, once it has been [shared](Nodes::share).

mod containerd;
mod kubelet;
mod kubelet_proxy;
mod machine;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::Mutex;

use self::kubelet_proxy::KubeletProxy;
use self::machine::Machine;
use crate::control_plane::{ControlPlane, NODES};
use crate::image_registry::ImageRegistry;
use crate::loopback::Gate;
use crate::process::Guarded;
use crate::run_folder::RunFolder;
use crate::tools::Tool;
use crate::wait::eventually;

/// A slow machine gets this long.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// The image of what is in each Pod beside its containers.
const SANDBOX: &str = "pause:1";

/// All nodes of a control plane. Dropping them ends all that runs on them.
pub struct Nodes {
    // Dropped in this order: dependents first.
    _scheduler: Guarded,
    _kubelet_proxy: KubeletProxy,
    gates: Mutex<HashMap<SocketAddr, Vec<Gate>>>,
    machines: Vec<Machine>,
    registry: ImageRegistry,
    folder: RunFolder,
}

/// The programs of a node.
struct Programs {
    containerd: PathBuf,
    kubelet: PathBuf,
    /// Folders of what containerd starts, and of what is usual.
    path: String,
}

impl Nodes {
    /// Whether nodes can be expected to start here; builds nothing.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn obtainable() -> Result<()> {
        ensure!(cfg!(target_os = "linux"), "a node runs on Linux only");
        ensure!(rustix::process::geteuid().is_root(), "a node runs as root only");
        machine::namespaces_obtainable()?;
        Tool::NEEDED_BY_NODE.into_iter().try_for_each(Tool::obtainable)
    }

    /// Starts all nodes of the control plane and waits until Pods can run on them. Builds and
    /// installs the programs first where they are missing.
    ///
    /// # Errors
    /// When a program is not available, or a node is not ready in time.
    pub async fn start(control_plane: &ControlPlane) -> Result<Self> {
        let programs = tokio::task::spawn_blocking(Programs::get).await??;
        let folder = RunFolder::create("nodes")?;
        let registry = ImageRegistry::start().await?;
        registry.push_pause(SANDBOX).await?;

        let sandbox = format!("{}/{SANDBOX}", registry.address());
        let mut machines = Vec::new();
        for name in NODES {
            let kubeconfig = control_plane.node_kubeconfig(name);
            let machine = Machine::start(name, &programs, &folder, &kubeconfig, &sandbox);
            machines.push(machine.await?);
        }
        let nodes = Self {
            _scheduler: scheduler(control_plane, &folder).await?,
            _kubelet_proxy: KubeletProxy::start(
                &control_plane.node_proxy(),
                machines.iter().map(Machine::kubelet).collect(),
            )?,
            gates: Mutex::default(),
            machines,
            registry,
            folder,
        };
        nodes.share(control_plane.address()?).await?;
        nodes.share(nodes.registry.address()).await?;
        ready(&control_plane.admin_client()).await.with_context(|| nodes.last_words())?;
        Ok(nodes)
    }

    /// The registry that nodes reach without credentials, at its own address.
    #[must_use]
    pub fn registry(&self) -> &ImageRegistry {
        &self.registry
    }

    /// Lets the nodes, and the Pods on them, reach what listens on the machine's loopback. To do so
    /// again changes nothing.
    ///
    /// # Errors
    /// When that cannot be set up in time.
    pub async fn share(&self, address: SocketAddr) -> Result<()> {
        let mut gates = self.gates.lock().await;
        if let Entry::Vacant(place) = gates.entry(address) {
            let open = |machine: &Machine| Gate::open(address, machine.pid(), self.folder.path());
            let opened = try_join_all(self.machines.iter().map(open)).await?;
            place.insert(opened);
        }
        Ok(())
    }

    /// Has containerd pull from `host` at an address of the machine's loopback.
    ///
    /// # Errors
    /// When that cannot be set up.
    pub async fn resolve(&self, host: &str, address: SocketAddr) -> Result<()> {
        for machine in &self.machines {
            containerd::resolve(machine.folder(), host, address)?;
        }
        self.share(address).await
    }

    /// The end of the nodes' logs, for an error message.
    #[must_use]
    pub fn last_words(&self) -> String {
        self.machines.iter().map(Machine::last_words).collect::<Vec<_>>().join("\n")
    }
}

impl Programs {
    /// Finds, builds or installs them; blocks.
    fn get() -> Result<Self> {
        let folder = |tool: Tool| -> Result<String> {
            let path = tool.path()?;
            Ok(path.parent().context("a program has a folder")?.display().to_string())
        };
        let usual = std::env::var("PATH").unwrap_or_default();
        Tool::Socat.path()?;
        Ok(Self {
            containerd: Tool::Containerd.path()?,
            kubelet: Tool::Kubelet.path()?,
            path: format!("{}:{}:{usual}", folder(Tool::ContainerdShim)?, folder(Tool::Runc)?),
        })
    }
}

async fn scheduler(control_plane: &ControlPlane, folder: &RunFolder) -> Result<Guarded> {
    let program = tokio::task::spawn_blocking(|| Tool::KubeScheduler.path()).await??;
    let mut command = Command::new(program);
    command
        .arg(format!("--kubeconfig={}", control_plane.admin_kubeconfig().display()))
        // There is only one, and no probe reads it.
        .args(["--leader-elect=false", "--secure-port=0"]);
    Guarded::spawn("kube-scheduler", &command, &folder.path().join("kube-scheduler.log"))
}

/// Waits until each node says that it is ready, and takes away the taint that it was born with: a
/// controller would, which would also evict Pods of a node that a busy machine keeps silent.
async fn ready(admin: &Client) -> Result<()> {
    let api = Api::<NodeObject>::all(admin.clone());
    for name in NODES {
        eventually(&format!("{name} to be ready"), READY_WITHIN, async || {
            let status = api.get(name).await?.status.unwrap_or_default();
            let conditions = status.conditions.unwrap_or_default();
            let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
            let ready = ready.context("it does not say whether it is ready")?;
            ensure!(ready.status == "True", "{:?}", ready.message);
            Ok(())
        })
        .await?;
        let untainted = Patch::Merge(json!({ "spec": { "taints": null } }));
        api.patch(name, &PatchParams::default(), &untainted).await?;
    }
    Ok(())
}
