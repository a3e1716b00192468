//! Follows the config file: a good edit is in force within two seconds, a bad one changes nothing.

use std::sync::Arc;

use anyhow::Result;
use ecr_refresher_core::clock::Clock;
use ecr_refresher_sync::{engine::handle::EngineHandle, report::notice::Notices};
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::events::about_tokens;
use crate::{
    config::{Config, ConfigError, ConfigState, Follower},
    home::Home,
};

/// The task that follows the config.
pub(crate) struct Reload {
    pub(crate) follower: Follower,
    pub(crate) engine: EngineHandle,
    /// Publishes the config in use.
    pub(crate) config: watch::Sender<Arc<Config>>,
    pub(crate) state: watch::Sender<ConfigState>,
    pub(crate) home: Home,
    pub(crate) notices: Notices,
    pub(crate) clock: Clock,
}

impl Reload {
    /// Follows the file for ever.
    ///
    /// # Errors
    /// When the engine has stalled.
    pub(crate) async fn run(mut self) -> Result<()> {
        let started = Arc::clone(&self.config.borrow());
        loop {
            match self.follower.changed().await {
                Ok(config) => {
                    warn_of_restart(&started, &config);
                    config.warnings.log();
                    self.follow(config).await?;
                }
                Err(error) => self.reject(&error),
            }
        }
    }

    async fn follow(&mut self, config: Config) -> Result<()> {
        let config = Arc::new(config);
        self.config.send_replace(Arc::clone(&config));
        self.engine.configure(config.sync.clone()).await?;
        let state = ConfigState { is_valid: true, since: self.clock.wall() };
        let last = self.state.send_replace(state);
        info!("the config has changed; using the new one");
        if !last.is_valid {
            let note = "the config file is valid again, and in use";
            self.notices.send(about_tokens(&self.home, "ConfigAccepted", note).over());
        }
        Ok(())
    }

    fn reject(&mut self, error: &ConfigError) {
        self.state.send_modify(|state| state.is_valid = false);
        for problem in error.to_string().lines() {
            error!("the config is invalid; keeping the last valid one: {problem}");
        }
        self.notices.send(about_tokens(&self.home, "ConfigRejected", error.to_string()));
    }
}

/// Names what cannot change while the process runs.
fn warn_of_restart(started: &Config, config: &Config) {
    for (key, changed) in [
        ("listen", config.listen != started.listen),
        ("leaderElection", config.leader_election != started.leader_election),
    ] {
        if changed {
            warn!(key, "a change of `{key}` takes effect only after a restart");
        }
    }
}
