//! What clients of registries pull with a docker config.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{process::without_proxy, tools::Tool};

/// The image and the chart that are pulled, of all that a registry has.
pub const IMAGE: &str = "team/app:1";
const CHART: &str = "team/chart";
const CHART_VERSION: &str = "1.0.0";

/// A client that looks up credentials by a library of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageClient {
    /// On go-containerregistry, which reads the file as docker does.
    Crane,
    /// On oras.
    Helm,
    /// On containers/image, as podman and CRI-O.
    Skopeo,
}

impl ImageClient {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Crane, Self::Helm, Self::Skopeo];

    /// Whether it pulls from a registry with a docker config, and with no other credentials.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn pulls(self, registry: SocketAddr, document: &[u8]) -> Result<bool> {
        let home = TempDir::new()?;
        let config = home.path().join("config.json");
        fs::write(&config, document)?;
        let mut command = self.command(home.path()).await?;
        command.env("DOCKER_CONFIG", home.path()).env("REGISTRY_AUTH_FILE", &config);
        match self {
            Self::Crane => {
                let target = home.path().join("image.tar");
                command.arg("pull").arg(format!("{registry}/{IMAGE}")).arg(target);
            }
            Self::Helm => {
                command
                    .args(["pull", "--plain-http", "--version", CHART_VERSION])
                    .arg(format!("oci://{registry}/{CHART}"))
                    .arg("--registry-config")
                    .arg(config)
                    .arg("--destination")
                    .arg(home.path());
            }
            Self::Skopeo => {
                let target = format!("dir:{}", home.path().join("image").display());
                let source = format!("docker://{registry}/{IMAGE}");
                command.args(["copy", "--src-tls-verify=false", &source, &target]);
            }
        }
        Ok(run(command).await?.status.success())
    }

    async fn command(self, home: &Path) -> Result<Command> {
        let tool = match self {
            Self::Crane => Tool::Crane,
            Self::Helm => Tool::Helm,
            Self::Skopeo => Tool::Skopeo,
        };
        // A build blocks.
        let program = tokio::task::spawn_blocking(move || tool.path()).await??;
        let mut command = Command::new(program);
        command.current_dir(home).env("HOME", home).env("XDG_RUNTIME_DIR", home);
        for variable in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"] {
            command.env_remove(variable);
        }
        without_proxy(&mut command);
        if self == Self::Skopeo {
            command.arg("--insecure-policy");
        }
        Ok(command)
    }
}

/// Puts the chart that Helm pulls into a registry that is open to all.
///
/// # Errors
/// When Helm or the registry refuses it.
pub async fn push_chart(registry: SocketAddr) -> Result<()> {
    let home = TempDir::new()?;
    let chart = home.path().join("chart");
    fs::create_dir(&chart)?;
    let content = format!("apiVersion: v2\nname: chart\nversion: {CHART_VERSION}\n");
    fs::write(chart.join("Chart.yaml"), content)?;
    let package = format!("chart-{CHART_VERSION}.tgz");
    let target = format!("oci://{registry}/team");
    for arguments in [&["package", "chart"][..], &["push", "--plain-http", &package, &target]] {
        let mut command = ImageClient::Helm.command(home.path()).await?;
        command.args(arguments);
        let output = run(command).await?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "helm {}: {}", arguments[0], errors.trim());
    }
    Ok(())
}

async fn run(mut command: Command) -> Result<Output> {
    let name = command.get_program().to_owned();
    let output = tokio::task::spawn_blocking(move || command.output()).await?;
    output.with_context(|| format!("starting {}", name.display()))
}
