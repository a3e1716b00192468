//! The daemon as a process: with the chart's rendered config and rights, and never as an admin.

mod names;
mod proxied;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::ListParams};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

pub use crate::logs::logs;
pub use crate::program::{program, static_program};
use crate::{
    admission_policy, chart,
    control_plane::ControlPlane,
    fake_aws::FakeAws,
    helm::{Helm, Release},
    http_client, metrics,
    process::{Guarded, without_proxy},
    wait::eventually,
};

/// The key that the daemon asks AWS with, unless a test gives it others.
pub const ACCESS_KEY_ID: &str = "AKIAEXAMPLE";

/// The arguments of a replica.
const RUN: &[&str] = &["run", "--log-format", "json"];

/// A daemon that is not up by then never will be.
const UP_WITHIN: Duration = Duration::from_secs(30);

/// The chart installed in a home namespace of its own, for one pull Secret or more.
pub struct Installation {
    control_plane: Arc<ControlPlane>,
    home: String,
    service_account: String,
    name: String,
    kubeconfig: PathBuf,
    log_level: &'static str,
    folder: TempDir,
}

/// A running daemon, which dies with this value.
pub struct Daemon {
    process: Guarded,
    address: String,
}

impl Installation {
    /// Installs the chart as release `name` into the namespace `name-home`, with `config` as the
    /// config file. Names of pull Secrets must differ between tests that share a control plane, or
    /// their allow-lists must not overlap.
    ///
    /// # Errors
    /// When the chart does not render, or the API server refuses what it renders.
    pub async fn new(control_plane: &Arc<ControlPlane>, name: &str, config: Value) -> Result<Self> {
        let home = format!("{name}-home");
        let values = json!({ "config": config });
        let release = name.to_owned();
        let namespace = home.clone();
        let rendering = move || chart::render(&values, &release, &namespace);
        let objects = tokio::task::spawn_blocking(rendering).await??;
        chart::install(&control_plane.admin_client(), &home, &objects).await?;
        Self::of(control_plane, home, &objects).await
    }

    /// As [`Installation::new`], by a real `helm install` with `values`. No node runs
    /// its Deployment, so that the daemon is a process here too.
    ///
    /// # Errors
    /// When Helm or the API server refuses.
    pub async fn released(
        control_plane: &Arc<ControlPlane>,
        helm: &Helm,
        release: Release<'_>,
        values: &Value,
    ) -> Result<Self> {
        let installed = helm.install(release, values).await?;
        Self::of(control_plane, release.namespace.to_owned(), &installed.objects).await
    }

    /// The installation that consists of these objects.
    async fn of(
        control_plane: &Arc<ControlPlane>,
        home: String,
        objects: &[Value],
    ) -> Result<Self> {
        let service_account = &chart::find(objects, "ServiceAccount")?["metadata"]["name"];
        let service_account = service_account.as_str().context("it has no name")?.to_owned();
        let name = chart::daemon_name(objects)?;
        let kubeconfig = control_plane.kubeconfig_for(&home, &service_account).await?;
        let folder = TempDir::new()?;
        std::fs::write(folder.path().join("config.yaml"), chart::config(objects)?)?;
        let client = control_plane.client_for(&home, &service_account).await?;
        eventually("the daemon's rights to be in force", UP_WITHIN, async || {
            Api::<Namespace>::all(client.clone()).list(&ListParams::default().limit(1)).await?;
            Ok(())
        })
        .await?;
        if chart::find(objects, "ValidatingAdmissionPolicy").is_ok() {
            admission_policy::in_force(&client, &home, objects).await?;
        }
        let control_plane = Arc::clone(control_plane);
        let log_level = "trace";
        Ok(Self { control_plane, home, service_account, name, kubeconfig, log_level, folder })
    }

    /// Has the daemon log from `level` on, and not every line there is.
    #[must_use]
    pub fn with_log_level(mut self, level: &'static str) -> Self {
        self.log_level = level;
        self
    }

    /// The config file that the daemon reads.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config.yaml")
    }

    /// A kubeconfig that is exactly the daemon's ServiceAccount.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The home namespace.
    #[must_use]
    pub fn home(&self) -> &str {
        &self.home
    }

    /// A Kubernetes client with the daemon's rights.
    ///
    /// # Errors
    /// When its ServiceAccount is gone.
    pub async fn client(&self) -> Result<kube::Client> {
        self.control_plane.client_for(&self.home, &self.service_account).await
    }

    /// The command that runs the daemon against `aws`, with every log line there is unless
    /// [another level](Self::with_log_level) was set.
    ///
    /// # Errors
    /// When the daemon cannot be built.
    pub fn command(&self, aws: &FakeAws) -> Result<Command> {
        self.command_of(&format!("{}-0", self.name), aws)
    }

    /// The command `check --cluster`, with the daemon's rights and its AWS.
    ///
    /// # Errors
    /// As [`Installation::command`].
    pub fn check_command(&self, aws: &FakeAws) -> Result<Command> {
        self.subcommand(&["check", "--cluster"], &self.name, aws, &self.kubeconfig)
    }

    fn command_of(&self, pod: &str, aws: &FakeAws) -> Result<Command> {
        self.subcommand(RUN, pod, aws, &self.kubeconfig)
    }

    /// A command of the daemon's binary, as the Pod of this name, with the config and another kubeconfig.
    ///
    /// # Errors
    /// As [`Installation::command`].
    pub fn subcommand(
        &self,
        arguments: &[&str],
        pod: &str,
        aws: &FakeAws,
        kubeconfig: &Path,
    ) -> Result<Command> {
        let mut command = Command::new(program()?);
        command
            .args(arguments)
            .arg("--config")
            .arg(self.config())
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .env("ECR_REFRESHER_NAME", &self.name)
            .env("POD_NAME", pod)
            .env("ECR_REFRESHER__LISTEN", "127.0.0.1:0")
            .env("RUST_LOG", self.log_level);
        for (key, value) in aws_environment(aws) {
            command.env(key, value);
        }
        without_proxy(&mut command);
        Ok(command)
    }

    /// Runs one pass to its end, with `arguments` added.
    ///
    /// # Errors
    /// When it does not run at all.
    pub async fn run_once(&self, aws: &FakeAws, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(aws)?;
        command.arg("--once").args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        // What it logged is searched for passwords, as every log is.
        let log = logs()?.join(format!("{}-{}.log", self.home, fastrand::u32(..)));
        std::fs::write(log, &output.stderr)?;
        Ok(output)
    }

    /// Starts the daemon and waits until it serves its metrics.
    ///
    /// # Errors
    /// When it ends early, with the end of its log.
    pub async fn start(&self, aws: &FakeAws) -> Result<Daemon> {
        self.start_command(&self.command(aws)?).await
    }

    /// Starts another replica, as the Pod of this name.
    ///
    /// # Errors
    /// As [`Installation::start`].
    pub async fn start_replica(&self, pod: &str, aws: &FakeAws) -> Result<Daemon> {
        self.start_command(&self.command_of(pod, aws)?).await
    }

    /// Starts the daemon by [its command](Self::command), to which something may have been added.
    ///
    /// # Errors
    /// As [`Installation::start`].
    pub async fn start_command(&self, command: &Command) -> Result<Daemon> {
        let log = logs()?.join(format!("{}-{}.log", self.home, fastrand::u32(..)));
        let mut process = Guarded::spawn("ecr-refresher", command, &log)?;
        let what = "the daemon to serve its metrics";
        let address = process.logs(what, UP_WITHIN, address_in).await?;
        Ok(Daemon { process, address })
    }

    /// Starts the daemon and waits until its first sync is done.
    ///
    /// # Errors
    /// As [`Installation::start`], or when it does not become ready in time.
    pub async fn start_ready(&self, aws: &FakeAws) -> Result<Daemon> {
        let daemon = self.start(aws).await?;
        daemon.ready().await?;
        Ok(daemon)
    }
}

impl Daemon {
    /// Where it serves metrics and probes: `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits until the first sync is done.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn ready(&self) -> Result<()> {
        eventually("the daemon to be ready", UP_WITHIN, async || {
            let (status, body) = self.get("/readyz").await?;
            ensure!(status == 200, "{status}: {body}");
            Ok(())
        })
        .await
    }

    /// Gets one of its pages: the status and the text.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        http_client::get(&self.address, path).await
    }

    /// The value of one series, such as `ecr_refresher_copies{secret="a",state="fresh"}` with its
    /// labels in the order of the alphabet.
    ///
    /// # Errors
    /// When there is no such series.
    pub async fn metric(&self, series: &str) -> Result<f64> {
        let (_, text) = self.get("/metrics").await?;
        metrics::value(&text, series)
    }

    /// Waits until a series has a value.
    ///
    /// # Errors
    /// When it has another one still when time is up.
    pub async fn metric_becomes(&self, series: &str, wanted: f64) -> Result<()> {
        eventually(&format!("{series} to be {wanted}"), UP_WITHIN, async || {
            let value = self.metric(series).await?;
            ensure!(value.to_bits() == wanted.to_bits(), "{value}");
            Ok(())
        })
        .await
    }

    /// The file of its log.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        self.process.log_path()
    }

    /// The lines of its log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.log_path())?)
    }

    /// Its exit status, if it has ended by itself.
    ///
    /// # Errors
    /// When the system returns an error.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.try_status()
    }

    /// Stops it as Kubernetes does, by SIGTERM.
    ///
    /// # Errors
    /// When it does not end within Kubernetes' usual patience.
    pub async fn stop(mut self) -> Result<ExitStatus> {
        self.process.terminate(Duration::from_secs(30)).await
    }

    /// Suspends it, as a machine that sleeps, or lets it go on.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn suspend(&mut self, suspended: bool) -> Result<()> {
        self.process.signal(if suspended { Signal::STOP } else { Signal::CONT })
    }

    /// Kills it, as the kernel does when memory is short.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn kill(mut self) -> Result<()> {
        self.process.signal(Signal::KILL)
    }
}

/// The environment with which the AWS SDK calls only the fake.
#[must_use]
pub fn aws_environment(aws: &FakeAws) -> [(&'static str, String); 4] {
    [
        ("AWS_ENDPOINT_URL", aws.endpoint()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "example".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ]
}

/// The address in the log line that says where metrics are served.
fn address_in(log: &str) -> Result<String> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut addresses = lines.filter_map(|line| {
        (line["message"] == "serving metrics and probes")
            .then(|| line["address"].as_str().map(str::to_owned))?
    });
    addresses.next().context("it does not serve them yet")
}
