//! One replica of the daemon, and its lives.

use std::{path::Path, time::Duration};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use ecr_refresher::{
    commands::once::{self, Summary},
    config::{self, Follower},
    daemon::{self, DaemonHandle, Dependencies},
    home::Home,
};
use ecr_refresher_core::{Random, aws::Aws};
use tokio::{sync::oneshot, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    api::ApiServer,
    aws::SimulatedAws,
    files::SimulatedFiles,
    time::{ReplicaClock, TrueTime},
};

/// The home namespace.
pub const HOME: &str = "home";
/// The name of the release.
pub const NAME: &str = "ecr-refresher";
/// Where the config file is.
pub const CONFIG: &str = "/etc/ecr-refresher/config.yaml";

/// The home namespace of the neighbour.
pub const NEIGHBOUR_HOME: &str = "next";
/// The name of the neighbour: another release in the cluster, and of its only replica.
pub const NEIGHBOUR: &str = "neighbour";
/// Where its config file is.
pub const NEIGHBOUR_CONFIG: &str = "/etc/neighbour/config.yaml";

/// What the replicas share.
#[derive(Clone)]
pub struct Surroundings {
    /// The API server.
    pub api: ApiServer,
    /// AWS.
    pub aws: SimulatedAws,
    /// The files.
    pub files: SimulatedFiles,
    /// True time.
    pub time: TrueTime,
}

/// A replica, running or not.
pub struct Replica {
    /// Its name, which distinguishes its requests and calls.
    pub name: &'static str,
    /// Its wall clock.
    pub clock: ReplicaClock,
    home: Home,
    config: &'static Path,
    surroundings: Surroundings,
    lives: u64,
    seed: u64,
    life: Option<Life>,
}

/// One process.
struct Life {
    handle: DaemonHandle,
    stop: oneshot::Sender<&'static str>,
    ended: JoinHandle<anyhow::Result<()>>,
}

impl Replica {
    /// A replica that does not run yet.
    #[must_use]
    pub fn new(name: &'static str, surroundings: Surroundings, seed: u64) -> Self {
        let home = Home { namespace: HOME.to_owned(), name: NAME.to_owned() };
        let (clock, config) = (ReplicaClock::new(surroundings.time), Path::new(CONFIG));
        Self { name, clock, home, config, surroundings, lives: 0, seed, life: None }
    }

    /// The neighbour, which does not run yet.
    #[must_use]
    pub fn neighbour(surroundings: Surroundings, seed: u64) -> Self {
        let home = Home { namespace: NEIGHBOUR_HOME.to_owned(), name: NEIGHBOUR.to_owned() };
        let config = Path::new(NEIGHBOUR_CONFIG);
        Self { home, config, ..Self::new(NEIGHBOUR, surroundings, seed) }
    }

    /// What it shows of itself, while it runs.
    #[must_use]
    pub fn handle(&self) -> Option<&DaemonHandle> {
        self.life.as_ref().map(|life| &life.handle)
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.life.is_some()
    }

    /// Starts it, unless it runs or the config is wrong. A process with a wrong config ends at once, and
    /// is started again when the config has changed.
    pub fn start(&mut self) {
        if self.life.is_some() {
            return;
        }
        let dependencies = self.dependencies();
        let Ok((config, text)) = config::load(self.config, &dependencies.files, &self.home.name)
        else {
            return;
        };
        let follower =
            Follower::new(self.config, text, dependencies.files.clone(), &self.home.name);
        let running = daemon::start(dependencies, config, follower).unwrap();
        let handle = running.handle();
        let (stop, stopped) = oneshot::channel();
        let signal = async { stopped.await.unwrap_or("SIGKILL") };
        let ended = tokio::spawn(running.run_until(signal));
        self.life = Some(Life { handle, stop, ended });
    }

    /// Ends it on the spot. What it has sent is dealt with all the same.
    pub async fn kill(&mut self) {
        if let Some(life) = self.life.take() {
            life.ended.abort();
            let _ = life.ended.await;
        }
    }

    /// Ends it in good order. Returns what went wrong.
    pub async fn terminate(&mut self) -> Option<String> {
        let Life { stop, mut ended, .. } = self.life.take()?;
        let _ = stop.send("SIGTERM");
        match tokio::time::timeout(Duration::from_mins(1), &mut ended).await {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(error))) => Some(format!("{}: {error:#}", self.name)),
            Ok(Err(error)) => Some(format!("{} panicked: {error}", self.name)),
            Err(_) => {
                // The kubelet gives it 30 s, then kills it: an API server that hangs is not its fault.
                ended.abort();
                let _ = ended.await;
                None
            }
        }
    }

    /// Why it has ended by itself, if it has.
    pub async fn has_failed(&mut self) -> Option<String> {
        if !self.life.as_ref()?.ended.is_finished() {
            return None;
        }
        let life = self.life.take()?;
        let name = self.name;
        Some(match life.ended.await {
            Ok(Ok(())) => format!("{name} ended by itself"),
            Ok(Err(error)) => format!("{name} ended by itself: {error:#}"),
            Err(error) => format!("{name} panicked: {error}"),
        })
    }

    /// Does one pass, as a `CronJob` does.
    ///
    /// # Errors
    /// When the pass could not do anything.
    pub async fn once(&mut self) -> anyhow::Result<Option<Summary>> {
        let dependencies = self.dependencies();
        let Ok((config, _)) = config::load(self.config, &dependencies.files, &self.home.name)
        else {
            return Ok(None);
        };
        let patience = Duration::from_mins(5);
        once::pass(dependencies, config, patience, CancellationToken::new()).await.map(Some)
    }

    fn dependencies(&mut self) -> Dependencies {
        self.lives += 1;
        let Surroundings { api, aws, files, .. } = &self.surroundings;
        let (clock, files) = (self.clock.clock(), files.files());
        let keys = Credentials::new("AKIAEXAMPLE", "secret", None, None, "simulation");
        let keys = SharedCredentialsProvider::new(keys);
        let client = aws.http_client(self.name);
        Dependencies {
            client: api.client(self.name, &self.home.namespace),
            aws: Aws::with_client(client, "eu-west-1", keys, clock.clone(), files.clone()),
            files,
            clock,
            random: Random::from_seed(self.seed.wrapping_add(self.lives)),
            home: self.home.clone(),
            identity: self.name.to_owned(),
        }
    }
}
