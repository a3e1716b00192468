//! containerd's configuration, all of it in the node's own folder.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folder with the addresses of registries, read again for each pull.
const HOSTS: &str = "certs.d";

/// A network that is never used: all Pods are in the machine's own. Without one, a node is not
/// ready.
const NETWORK: &str =
    r#"{ "cniVersion": "0.4.0", "name": "none", "plugins": [{ "type": "none" }] }"#;

/// The socket that kubelet talks to.
pub(super) fn socket(folder: &Path) -> PathBuf {
    folder.join("containerd.sock")
}

/// Writes the configuration, with `sandbox` as the image of what is in each Pod beside its
/// containers.
pub(super) fn configure(folder: &Path, sandbox: &str) -> Result<()> {
    for name in [HOSTS, "cni"] {
        fs::create_dir(folder.join(name)).with_context(|| format!("making {name}"))?;
    }
    fs::write(folder.join("cni/none.conflist"), NETWORK)?;
    fs::write(folder.join("containerd.toml"), text(folder, sandbox))?;
    Ok(())
}

/// Has `host` reached at `address`, over plain HTTP.
pub(super) fn resolve(folder: &Path, host: &str, address: SocketAddr) -> Result<()> {
    let of_host = folder.join(HOSTS).join(host);
    fs::create_dir_all(&of_host)?;
    let text = format!(
        "server = \"http://{address}\"\n\n[host.\"http://{address}\"]\ncapabilities = [\"pull\", \"resolve\"]\n"
    );
    // In one step: containerd may be reading the old one.
    let unfinished = of_host.join("unfinished");
    fs::write(&unfinished, text)?;
    fs::rename(&unfinished, of_host.join("hosts.toml")).context("naming hosts.toml")
}

fn text(folder: &Path, sandbox: &str) -> String {
    let at = |name: &str| folder.join(name).display().to_string();
    format!(
        r#"version = 3
root = "{root}"
state = "{state}"

[grpc]
address = "{socket}"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{sandbox}"

[plugins."io.containerd.cri.v1.images".registry]
config_path = "{hosts}"

[plugins."io.containerd.cri.v1.runtime"]
# To lower a score is not permitted everywhere.
restrict_oom_score_adj = true
disable_apparmor = true

[plugins."io.containerd.cri.v1.runtime".cni]
conf_dir = "{network}"

[plugins."io.containerd.nri.v1.nri"]
disable = true
"#,
        root = at("containerd"),
        state = at("containerd-state"),
        socket = socket(folder).display(),
        hosts = at(HOSTS),
        network = at("cni"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_may_be_reached_at_another_address_later() {
        let folder = tempfile::tempdir().unwrap();
        configure(folder.path(), "sandbox").unwrap();
        for port in [1, 2] {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            resolve(folder.path(), "registry.example.com", address).unwrap();
        }
        let file = folder.path().join("certs.d/registry.example.com/hosts.toml");
        let text = fs::read_to_string(file).unwrap();
        assert!(text.contains("[host.\"http://127.0.0.1:2\"]"), "{text}");
    }
}
