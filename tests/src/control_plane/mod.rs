//! A real Kubernetes control plane on loopback: etcd, kube-apiserver and kube-controller-manager.
//!
//! Each has its own folder and ports, so that many can run side by side; and one can be shared by
//! many tests at once. There are no nodes, unless [`Nodes`](crate::node::Nodes) are started: a
//! Deployment stays a wish.

mod access;
mod audit;
mod certificates;
mod component;
mod components;
mod etcd;
mod ports;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client};
use tokio::sync::Mutex;

use self::access::Access;
pub use self::access::{NODES, user_name};
pub use self::audit::{AuditLog, Filter, Request};
use self::certificates::Certificates;
use self::components::{Components, Programs};
use self::ports::Ports;
use crate::run_folder::RunFolder;
use crate::tools::Tool;

/// A slow or busy machine gets this long for each component.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// Between finding a free port and using it, another process may take it.
const ATTEMPTS: usize = 3;

/// A running control plane. Dropping it stops everything and removes its folder, which is kept when
/// the environment has `ECR_REFRESHER_KEEP`.
pub struct ControlPlane {
    // Dropped in this order: dependents first, and the folder last.
    components: Mutex<Components>,
    access: Access,
    admin: Client,
    version: String,
    etcd_port: u16,
    audit: PathBuf,
    folder: RunFolder,
}

impl ControlPlane {
    /// Whether a control plane can be expected to start here; builds nothing.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn obtainable() -> Result<()> {
        [Tool::Etcd, Tool::KubeApiServer, Tool::KubeControllerManager]
            .into_iter()
            .try_for_each(Tool::obtainable)
    }

    /// Starts a control plane and waits until it is ready for use. Builds the programs first where
    /// they are missing, which takes minutes and shows its progress.
    ///
    /// # Errors
    /// When a program cannot be built, ends early (with the last lines of its log) or is not ready
    /// in time.
    pub async fn start() -> Result<Self> {
        // Builds block, for minutes.
        let programs = tokio::task::spawn_blocking(Programs::get).await??;
        let mut attempt = 1;
        loop {
            match Self::start_on_free_ports(&programs).await {
                Err(error) if attempt < ATTEMPTS && ports::was_taken(&error) => attempt += 1,
                result => return result.context("starting a control plane"),
            }
        }
    }

    async fn start_on_free_ports(programs: &Programs) -> Result<Self> {
        let folder = RunFolder::create("control-plane")?;
        let ports = Ports::find()?;
        Certificates::generate()?.write(folder.path())?;
        let access = Access::new(folder.path(), ports.api_server)?;
        let admin = access::client(access.admin_kubeconfig()).await?;

        let mut components =
            Components::prepare(programs, folder.path(), &ports, access.admin_kubeconfig())?;
        components.start(&ports, &admin).await?;
        let version = admin.apiserver_version().await?.git_version;
        Ok(Self {
            components: Mutex::new(components),
            access,
            admin,
            version,
            etcd_port: ports.etcd_client,
            audit: folder.path().join(components::AUDIT_LOG),
            folder,
        })
    }

    /// A client with all rights.
    #[must_use]
    pub fn admin_client(&self) -> Client {
        self.admin.clone()
    }

    /// A kubeconfig with all rights, for kubectl and helm.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> &Path {
        self.access.admin_kubeconfig()
    }

    /// The kubeconfig of one of [`NODES`].
    #[must_use]
    pub fn node_kubeconfig(&self, node: &str) -> PathBuf {
        self.access.node_kubeconfig(node)
    }

    /// The socket of the proxy through which the API server reaches nodes: it is
    /// [`Nodes`](crate::node::Nodes) that listen on it.
    #[must_use]
    pub fn node_proxy(&self) -> PathBuf {
        self.folder().join(components::NODE_PROXY)
    }

    /// Where the API server listens.
    ///
    /// # Errors
    /// Never, as it is on loopback.
    pub fn address(&self) -> Result<SocketAddr> {
        self.access.address()
    }

    /// A new kubeconfig that is exactly this ServiceAccount, by a token of one day, with its
    /// namespace as the default one. Only its owner can read the file.
    ///
    /// # Errors
    /// When there is no such ServiceAccount.
    pub async fn kubeconfig_for(&self, namespace: &str, service_account: &str) -> Result<PathBuf> {
        self.access.kubeconfig_for(&self.admin, namespace, service_account).await
    }

    /// A client that is exactly this ServiceAccount.
    ///
    /// # Errors
    /// When there is no such ServiceAccount.
    pub async fn client_for(&self, namespace: &str, service_account: &str) -> Result<Client> {
        access::client(&self.kubeconfig_for(namespace, service_account).await?).await
    }

    /// All that service accounts have asked of the API server since the start.
    #[must_use]
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(self.audit.clone())
    }

    /// The version of the API server, such as `v1.37.2`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The control plane's own folder, with the logs of its components in `logs`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Has etcd forget all revisions but the last of each object, which the API server has it do only
    /// every five minutes, and give back their room.
    ///
    /// # Errors
    /// When etcd does not do it.
    pub async fn compact(&self) -> Result<()> {
        etcd::compact(self.etcd_port).await.context("compacting etcd")
    }

    /// Kills the API server, as a crash would.
    pub async fn stop_api_server(&self) {
        self.components.lock().await.api_server.kill();
    }

    /// Kills the controller manager: from then on no namespace that is made gets objects of its own,
    /// and none that is deleted goes.
    pub async fn stop_controller_manager(&self) {
        self.components.lock().await.controller_manager.kill();
    }

    /// Starts the API server again on the same port and waits until it is ready.
    ///
    /// # Errors
    /// When it ends early or is not ready in time.
    pub async fn start_api_server(&self) -> Result<()> {
        let mut components = self.components.lock().await;
        components.start_api_server(&self.admin).await
    }

    /// [`ControlPlane::stop_api_server`] and [`ControlPlane::start_api_server`].
    ///
    /// # Errors
    /// As for the latter.
    pub async fn restart_api_server(&self) -> Result<()> {
        let mut components = self.components.lock().await;
        components.api_server.kill();
        components.start_api_server(&self.admin).await
    }
}

impl Components {
    async fn start(&mut self, ports: &Ports, admin: &Client) -> Result<()> {
        self.etcd.start()?;
        self.etcd.ready(READY_WITHIN, async || ports::accepts(ports.etcd_client).await).await?;
        self.start_api_server(admin).await?;
        self.controller_manager.start()?;
        let accounts: Api<ServiceAccount> = Api::default_namespaced(admin.clone());
        self.controller_manager
            .ready(READY_WITHIN, async || Ok(accounts.get("default").await.map(drop)?))
            .await?;
        // Whatever answered on a port, it was not someone else's process.
        for component in [&mut self.etcd, &mut self.api_server] {
            component.still_runs()?;
        }
        Ok(())
    }

    async fn start_api_server(&mut self, admin: &Client) -> Result<()> {
        self.api_server.start()?;
        self.api_server.ready(READY_WITHIN, async || access::ready(admin).await).await
    }
}
