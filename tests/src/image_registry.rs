//! A real registry on loopback, open to all or to users with a password, and skopeo as its client.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tempfile::TempDir;

use crate::image;
use crate::process::{Guarded, without_proxy};
use crate::tools::Tool;

const READY_WITHIN: Duration = Duration::from_mins(1);

/// What the registry logs once it listens.
const LISTENING: &str = "listening on ";

/// A running registry (CNCF Distribution), which dies with this value.
pub struct ImageRegistry {
    _process: Guarded,
    address: SocketAddr,
    folder: Arc<TempDir>,
}

impl ImageRegistry {
    /// Starts an empty one on a free port. Blocks while it is installed, where it is missing.
    ///
    /// # Errors
    /// When it is not available, ends early or is not ready in time.
    pub async fn start() -> Result<Self> {
        Self::serve(Arc::new(TempDir::new()?), None).await
    }

    /// The same images, on another port, for those who give a user and a password of this htpasswd file.
    ///
    /// # Errors
    /// As for [`ImageRegistry::start`].
    pub async fn with_passwords(&self, htpasswd: &str) -> Result<Self> {
        Self::serve(Arc::clone(&self.folder), Some(htpasswd)).await
    }

    async fn serve(folder: Arc<TempDir>, htpasswd: Option<&str>) -> Result<Self> {
        let program = tokio::task::spawn_blocking(|| Tool::DockerRegistry.path()).await??;
        let name = if htpasswd.is_some() { "locked" } else { "open" };
        let [config, log, users] =
            ["yaml", "log", "htpasswd"].map(|end| folder.path().join(format!("{name}.{end}")));
        let mut content = config_file(folder.path());
        if let Some(htpasswd) = htpasswd {
            std::fs::write(&users, htpasswd)?;
            content["auth"] = json!({ "htpasswd": { "realm": "tests", "path": users } });
        }
        std::fs::write(&config, content.to_string())?;
        let mut command = Command::new(program);
        command.arg("serve").arg(&config);
        let mut process = Guarded::spawn("docker-registry", &command, &log)?;
        let address = process.logs("the registry to listen", READY_WITHIN, address_in).await?;
        Ok(Self { _process: process, address, folder })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts an image into it as `NAME:TAG` that waits for SIGTERM.
    ///
    /// # Errors
    /// When its program is not available, or the registry refuses it.
    pub async fn push_pause(&self, name: &str) -> Result<()> {
        let program = tokio::task::spawn_blocking(|| Tool::Pause.path()).await??;
        let folder = TempDir::new()?;
        image::write_layout(folder.path(), &program)?;
        self.push(folder.path(), name).await
    }

    /// Puts the image of an OCI layout into it as `NAME:TAG`.
    ///
    /// # Errors
    /// When it does not take it.
    pub async fn push(&self, layout: &Path, name: &str) -> Result<()> {
        let source = format!("oci:{}", layout.display());
        let target = format!("docker://{}/{name}", self.address);
        let mut skopeo = Skopeo::new().await?;
        skopeo.command.args(["copy", "--dest-tls-verify=false", &source, &target]);
        skopeo.succeed().await.map(drop)
    }
}

/// One run of skopeo.
pub struct Skopeo {
    command: Command,
    // It must not find the credentials of the user.
    home: TempDir,
}

impl Skopeo {
    /// A run without arguments. Blocks while skopeo is installed, where it is missing.
    ///
    /// # Errors
    /// When it is not available.
    pub async fn new() -> Result<Self> {
        let program = tokio::task::spawn_blocking(|| Tool::Skopeo.path()).await??;
        let home = TempDir::new()?;
        let mut command = Command::new(program);
        command
            .env("HOME", home.path())
            .env("XDG_RUNTIME_DIR", home.path())
            .env_remove("REGISTRY_AUTH_FILE")
            .arg("--insecure-policy");
        without_proxy(&mut command);
        Ok(Self { command, home })
    }

    /// Has it reach every registry through `proxy`, over plain HTTP, with the credentials of a
    /// docker config document and no others.
    ///
    /// # Errors
    /// When the document cannot be written for it.
    pub fn with_credentials(mut self, document: &[u8], proxy: &str) -> Result<Self> {
        let file = self.home.path().join("config.json");
        std::fs::write(&file, document)?;
        self.command.env("HTTP_PROXY", proxy).env("HTTPS_PROXY", proxy);
        self.command.env("REGISTRY_AUTH_FILE", file);
        Ok(self)
    }

    /// Reads an image's manifest.
    ///
    /// # Errors
    /// When the registry does not give it; skopeo's words.
    pub async fn inspect(mut self, image: &str) -> Result<String> {
        let source = format!("docker://{image}");
        self.command.args(["inspect", "--raw", "--tls-verify=false", &source]);
        let output = self.succeed().await?;
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Copies an image with all its layers into a folder.
    ///
    /// # Errors
    /// When the registry does not give it; skopeo's words.
    pub async fn copy(mut self, image: &str, folder: &Path) -> Result<()> {
        let source = format!("docker://{image}");
        let target = format!("dir:{}", folder.display());
        self.command.args(["copy", "--src-tls-verify=false", &source, &target]);
        self.succeed().await.map(drop)
    }

    async fn succeed(mut self) -> Result<Output> {
        let output = tokio::task::spawn_blocking(move || {
            let output = self.command.output();
            // Not earlier: skopeo reads what is in it.
            drop(self.home);
            output
        });
        let output = output.await?.context("starting skopeo")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "skopeo: {}", errors.trim());
        Ok(output)
    }
}

fn config_file(folder: &Path) -> serde_json::Value {
    let storage: PathBuf = folder.join("storage");
    json!({
        "version": "0.1",
        "log": { "level": "info", "accesslog": { "disabled": true } },
        "storage": { "filesystem": { "rootdirectory": storage } },
        "http": { "addr": "127.0.0.1:0", "secret": "not-needed-by-one-alone" },
    })
}

fn address_in(log: &str) -> Result<SocketAddr> {
    let address = log.split_once(LISTENING).context("it does not listen yet")?.1;
    let end = address.find(|letter: char| !letter.is_ascii_digit() && !".:".contains(letter));
    Ok(address[..end.unwrap_or(address.len())].parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_off_the_log() {
        let log = "time=\"x\" level=info msg=\"listening on 127.0.0.1:41233\" go.version=go1.19\n";
        assert_eq!(address_in(log).unwrap(), SocketAddr::from(([127, 0, 0, 1], 41233)));
        assert!(address_in("starting").is_err());
    }
}
