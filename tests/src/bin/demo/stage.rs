//! What the steps play on: the control plane, the fake AWS, and the daemon between them.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster,
    control_plane::ControlPlane,
    daemon::{Daemon, Installation},
    fake_aws::FakeAws,
    http_client,
};
use kube::Client;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::counts::Counts;

/// The pull Secret's name.
pub(crate) const SECRET: &str = "ecr-pull";
/// The registry that the fake AWS issues tokens for.
pub(crate) const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
/// How long a token lives: 12 hours at AWS, which is too long for a demo.
pub(crate) const TOKEN_LIFE: Duration = Duration::from_secs(40);
/// The grace period: 10 minutes by default.
pub(crate) const PRUNE_AFTER: Duration = Duration::from_secs(6);
/// How long a leader that has died is waited for: 15 s by default.
pub(crate) const LEASE: Duration = Duration::from_secs(6);

/// The allow-list at first.
pub(crate) const PATTERNS: [&str; 2] = ["team-*", "payments"];
/// The namespaces on it at first.
pub(crate) const LISTED: [&str; 3] = ["payments", "team-a", "team-b"];
/// Those that are not on it.
const OTHERS: [&str; 2] = ["monitoring", "shop-web"];

/// The place of the replica that leads, among those that run.
pub(crate) const LEADER: usize = 0;
/// The place of the other one.
pub(crate) const FOLLOWER: usize = 1;

/// Everything that runs. It ends when dropped, dependents first.
pub(crate) struct Stage {
    replicas: RefCell<Vec<Daemon>>,
    installation: Installation,
    pub(crate) aws: FakeAws,
    control_plane: Arc<ControlPlane>,
}

impl Stage {
    /// Starts the fake AWS, makes the namespaces and installs the chart. The daemon does not run
    /// yet.
    pub(crate) async fn set_up(control_plane: ControlPlane) -> Result<Self> {
        let control_plane = Arc::new(control_plane);
        let aws = FakeAws::start().await?;
        aws.set_token_life(TOKEN_LIFE);
        let names = LISTED.into_iter().chain(OTHERS).map(str::to_owned);
        cluster::create_namespaces(&control_plane.admin_client(), names).await?;
        let installation = Installation::new(&control_plane, "ecr-refresher", config()).await?;
        let installation = installation.with_log_level("info");
        Ok(Self { replicas: RefCell::default(), installation, aws, control_plane })
    }

    /// Starts a replica of the daemon, as the Pod of this name, and waits until it is ready.
    pub(crate) async fn start_replica(&self, pod: &str) -> Result<()> {
        let daemon = self.installation.start_replica(pod, &self.aws).await?;
        let ready = daemon.ready().await;
        // Also one that is not: its log says why.
        self.replicas.borrow_mut().push(daemon);
        ready
    }

    /// Kills the replica that leads, with no time for a last word. The other takes its place.
    pub(crate) fn kill_leader(&self) -> Result<()> {
        let mut replicas = self.replicas.borrow_mut();
        ensure!(replicas.len() > FOLLOWER, "there is no other replica");
        replicas.remove(LEADER).kill()
    }

    /// Where a replica serves its metrics, if it runs.
    pub(crate) fn address(&self, replica: usize) -> Option<String> {
        Some(self.replicas.borrow().get(replica)?.address().to_owned())
    }

    /// The file of a replica's log, if it runs.
    pub(crate) fn log_path(&self, replica: usize) -> Option<PathBuf> {
        Some(self.replicas.borrow().get(replica)?.log_path().to_owned())
    }

    /// What a replica counts.
    pub(crate) async fn counts(&self, replica: usize) -> Result<Counts> {
        let address = self.address(replica).context("this replica does not run")?;
        let (status, text) = http_client::get(&address, "/metrics").await?;
        ensure!(status == 200, "its metrics are status {status}");
        Ok(Counts::of(&text))
    }

    /// A client with all rights.
    pub(crate) fn client(&self) -> Client {
        self.control_plane.admin_client()
    }

    /// The control plane.
    pub(crate) fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// Adds a pattern to the allow-list in the daemon's config file.
    pub(crate) fn allow(&self, pattern: &str) -> Result<()> {
        self.edit_allow_list(|patterns| patterns.push(pattern.into()))
    }

    /// Takes patterns out of it again.
    pub(crate) fn disallow(&self, unwanted: &[&str]) -> Result<()> {
        let is_wanted = |pattern: &Value| !unwanted.iter().any(|unwanted| pattern == unwanted);
        self.edit_allow_list(|patterns| patterns.retain(is_wanted))
    }

    /// Replaces the config file in one step, as the kubelet does with a `ConfigMap`'s.
    fn edit_allow_list(&self, edit: impl FnOnce(&mut Vec<Value>)) -> Result<()> {
        let path = self.installation.config();
        let mut config: Value = serde_saphyr::from_str(&std::fs::read_to_string(&path)?)
            .context("reading the daemon's config")?;
        let patterns = config["secrets"][0]["namespaces"].as_array_mut();
        edit(patterns.context("the config has no allow-list")?);
        let folder = path.parent().context("a config file has a folder")?;
        let new = NamedTempFile::new_in(folder)?;
        // JSON is YAML.
        std::fs::write(new.path(), format!("{config:#}\n"))?;
        new.persist(path).context("replacing the daemon's config")?;
        Ok(())
    }

    /// Stops the daemon as Kubernetes does, and then all the rest.
    pub(crate) async fn close(self) -> Result<()> {
        for daemon in self.replicas.into_inner() {
            let status = daemon.stop().await.context("stopping the daemon")?;
            ensure!(status.success(), "after SIGTERM, the daemon ended with {status}");
        }
        Ok(())
    }
}

fn config() -> Value {
    let seconds = |duration: Duration| format!("{}s", duration.as_secs());
    json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": SECRET, "namespaces": PATTERNS }],
        // All of these are shorter than by default, as a token's life is.
        "refresh": { "spread": "2s" },
        "prune": { "after": seconds(PRUNE_AFTER) },
        "leaderElection": {
            "leaseDuration": seconds(LEASE), "renewDeadline": "4s", "retryPeriod": "1s",
        },
        // So that the daemon itself says which namespaces are on the list.
        "metrics": { "perNamespace": "all" },
    })
}
