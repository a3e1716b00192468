//! What the benchmark plays on: the control plane, the fake AWS, the chart, and the daemon's process.

use std::{net::TcpListener, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use ecr_refresher_tests::{
    cluster,
    control_plane::{AuditLog, ControlPlane},
    daemon::{Daemon, Installation},
    fake_aws::FakeAws,
    http_client,
};
use kube::Client;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::time::{Instant, sleep, timeout};

use crate::{floor::Floor, progress::say};

/// How the names of all pull Secrets begin, and what the first is called.
pub(crate) const SECRET: &str = "ecr-pull";
/// How many writes are under way at once, the daemon's and the floor's.
pub(crate) const CONCURRENCY: usize = 32;
/// How the series begin that count writes of copies that went well.
const WRITES: &str = r#"ecr_refresher_copy_writes_total{reason="",result="success","#;

/// Nothing that is measured takes longer, however slow the machine.
const PATIENCE: Duration = Duration::from_mins(20);
/// How often progress is looked at, at the most: each look costs the daemon something, and in a first
/// rollout has it show each copy that is missing.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How long each copy that is still to be written puts off the next look. A copy takes longer.
const COPY_POLL_INTERVAL: Duration = Duration::from_micros(200);
/// How often it is asked whether it is ready: what is measured is about as exact.
const READY_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Everything that runs but the daemon.
pub(crate) struct Stage {
    pub(crate) installation: Installation,
    pub(crate) aws: FakeAws,
    pub(crate) control_plane: Arc<ControlPlane>,
    /// The names of the pull Secrets.
    pub(crate) secrets: &'static [&'static str],
}

impl Stage {
    /// Starts a control plane, and installs the chart for these pull Secrets, each with these
    /// patterns.
    pub(crate) async fn set_up(
        secrets: &'static [&'static str],
        patterns: &[String],
    ) -> Result<Self> {
        say("starting the control plane");
        let control_plane = Arc::new(ControlPlane::start().await?);
        let config = config(secrets, patterns);
        let installation = Installation::new(&control_plane, "ecr-refresher", config).await?;
        let installation = installation.with_log_level("info");
        Ok(Self { installation, aws: FakeAws::start().await?, control_plane, secrets })
    }

    /// A client with all rights.
    pub(crate) fn admin(&self) -> Client {
        self.control_plane.admin_client()
    }

    /// The bare loop, with the daemon's rights.
    pub(crate) fn floor(&self) -> Floor {
        Floor::new(self.installation.kubeconfig().to_owned(), self.secrets)
    }

    /// What service accounts ask from now on.
    pub(crate) fn audit(&self) -> Result<AuditLog> {
        self.control_plane.audit().from_now()
    }

    /// Starts the daemon.
    pub(crate) async fn start(&self) -> Result<Daemon> {
        self.installation.start(&self.aws).await
    }

    /// Starts the daemon, and says how long it was until it was ready.
    pub(crate) async fn start_ready(&self) -> Result<(Daemon, Duration)> {
        // Free at this moment; it is known before the daemon logs it.
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.to_string();
        let mut command = self.installation.command(&self.aws)?;
        command.env("ECR_REFRESHER__LISTEN", &address);
        let begun = Instant::now();
        let ready = async {
            while !matches!(http_client::get(&address, "/readyz").await, Ok((200, _))) {
                sleep(READY_POLL_INTERVAL).await;
            }
            Ok(begun.elapsed())
        };
        let ready = async { timeout(PATIENCE, ready).await.context("it never was ready")? };
        tokio::try_join!(self.installation.start_command(&command), ready)
    }

    /// Makes the daemon ask for a new token, and so refresh all copies.
    pub(crate) async fn force_refresh(&self) -> Result<()> {
        let installation = &self.installation;
        cluster::delete_secret(&self.admin(), installation.home(), &installation.token_cache())
            .await
    }

    /// Has the config file list these patterns; replaces it in one step, as the kubelet does.
    pub(crate) fn configure(&self, patterns: &[String]) -> Result<()> {
        let config = config(self.secrets, patterns);
        let path = self.installation.config();
        let new = NamedTempFile::new_in(path.parent().context("a config file has a folder")?)?;
        // JSON is YAML.
        std::fs::write(new.path(), format!("{config:#}\n"))?;
        new.persist(path).context("replacing the daemon's config")?;
        Ok(())
    }
}

/// Stops a daemon.
pub(crate) async fn stop(daemon: Daemon) -> Result<()> {
    ensure!(daemon.stop().await?.success(), "the daemon failed when it stopped");
    Ok(())
}

/// Waits until the daemon has written `wanted` copies since it started.
pub(crate) async fn written(daemon: &Daemon, wanted: usize) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        let written = writes(daemon).await?;
        if written >= wanted {
            return Ok(());
        }
        if Instant::now() > end {
            bail!("the daemon has written {written} of {wanted} copies: {}", daemon.log()?);
        }
        sleep(poll_interval(wanted - written)).await;
    }
}

fn poll_interval(missing: usize) -> Duration {
    let missing = u32::try_from(missing).unwrap_or(u32::MAX);
    POLL_INTERVAL.max(COPY_POLL_INTERVAL.saturating_mul(missing))
}

/// How many copies it has written since it started.
pub(crate) async fn writes(daemon: &Daemon) -> Result<usize> {
    let (_, text) = daemon.get("/metrics").await?;
    let counters = text.lines().filter(|line| line.starts_with(WRITES));
    // A counter is a whole number, which prints as one.
    let values = counters.filter_map(|line| line.rsplit(' ').next());
    values.map(|value| Ok(value.parse::<usize>()?)).sum()
}

fn config(secrets: &[&str], patterns: &[String]) -> Value {
    let entry = |name: &&str| json!({ "name": name, "namespaces": patterns });
    json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": secrets.iter().map(entry).collect::<Vec<_>>(),
        "refresh": { "spread": "0s" },
        // What an edit takes off the list is not to be deleted while something else is measured.
        "prune": { "after": "12h" },
        "writer": { "concurrency": CONCURRENCY },
    })
}
