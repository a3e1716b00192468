//! kubelet's configuration, all of it in the node's own folder.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::containerd;
use super::machine::ADDRESS;

/// The port of its API, for logs and commands in containers.
pub(super) const PORT: u16 = 10250;

const CONFIG: &str = "kubelet.json";

pub(super) fn configure(folder: &Path) -> Result<()> {
    let config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "127.0.0.1",
        "port": PORT,
        "readOnlyPort": 0,
        "healthzPort": 0,
        // It is reached from the node's own network and by the API server only.
        "authentication": { "anonymous": { "enabled": true }, "webhook": { "enabled": false } },
        "authorization": { "mode": "AlwaysAllow" },
        "containerRuntimeEndpoint": format!("unix://{}", containerd::socket(folder).display()),
        "podLogsDir": folder.join("pod-logs"),
        "volumePluginDir": folder.join("volume-plugins"),
        // The machine's control groups, swap and packet filter are left as they are.
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": false,
        "enforceNodeAllocatable": [],
        "failSwapOn": false,
        "localStorageCapacityIsolation": false,
        "makeIPTablesUtilChains": false,
        // Whatever else fills the machine is not the tests' business.
        "evictionHard": {
            "memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
            "imagefs.available": "0%", "imagefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        // Pods of many tests start side by side.
        "serializeImagePulls": false,
        "registryPullQPS": 0,
        "syncFrequency": "10s",
    });
    fs::write(folder.join(CONFIG), config.to_string()).context("writing kubelet's configuration")
}

pub(super) fn flags(name: &str, folder: &Path, kubeconfig: &Path) -> [String; 6] {
    [
        format!("--config={}", folder.join(CONFIG).display()),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--root-dir={}", folder.join("kubelet").display()),
        format!("--cert-dir={}", folder.join("kubelet-certificates").display()),
        format!("--hostname-override={name}"),
        format!("--node-ip={ADDRESS}"),
    ]
}
