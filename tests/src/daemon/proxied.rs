//! The daemon behind a proxy, which gives it a network with faults.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Installation, RUN};
use crate::{fake_aws::FakeAws, fault_proxy::FaultProxy};

impl Installation {
    /// Has the daemon reach the API server through a proxy.
    ///
    /// # Errors
    /// When the proxy cannot listen.
    pub async fn through_proxy(mut self) -> Result<(Self, FaultProxy)> {
        let (kubeconfig, proxy) = self.proxied("kubeconfig").await?;
        self.kubeconfig = kubeconfig;
        Ok((self, proxy))
    }

    /// A proxy in front of the API server, and the daemon's kubeconfig that leads through it, in a
    /// file of this name.
    async fn proxied(&self, name: &str) -> Result<(PathBuf, FaultProxy)> {
        let mut kubeconfig: Value = serde_json::from_slice(&std::fs::read(&self.kubeconfig)?)?;
        let server = &mut kubeconfig["clusters"][0]["cluster"]["server"];
        let address = server.as_str().and_then(|server| server.strip_prefix("https://"));
        let proxy = FaultProxy::start(address.context("no https server")?.parse()?).await?;
        *server = format!("https://{}", proxy.address()).into();
        let path = self.folder.path().join(format!("{name}.yaml"));
        std::fs::write(&path, kubeconfig.to_string())?;
        Ok((path, proxy))
    }

    /// The command of a replica, as the Pod of this name, that reaches the API server through a
    /// proxy of its own.
    ///
    /// # Errors
    /// When the daemon cannot be built, or the proxy cannot listen.
    pub async fn proxied_replica(&self, pod: &str, aws: &FakeAws) -> Result<(Command, FaultProxy)> {
        let (kubeconfig, proxy) = self.proxied(pod).await?;
        let command = self.subcommand(RUN, pod, aws, &kubeconfig)?;
        Ok((command, proxy))
    }
}
