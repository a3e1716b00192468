//! Follows the config file: a good edit is in force within two seconds, a bad one changes nothing.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Result;
use ecr_refresher_core::clock::Now;
use ecr_refresher_sync::EngineHandle;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::{
    config::{Config, ConfigError, Follower, RegistrySettings},
    keepers::Keepers,
    metrics::ConfigMetrics,
};

/// What follows the config.
#[derive(Debug)]
pub(crate) struct Reload {
    pub(crate) follower: Follower,
    pub(crate) keepers: Keepers,
    pub(crate) engine: EngineHandle,
    /// Tells the token cache which registries there are.
    pub(crate) registries: watch::Sender<Arc<[RegistrySettings]>>,
    pub(crate) metrics: ConfigMetrics,
    pub(crate) listen: SocketAddr,
    pub(crate) now: Now,
}

impl Reload {
    /// Follows the file for ever.
    ///
    /// # Errors
    /// When the engine has stalled, or a keeper has ended.
    pub(crate) async fn run(mut self) -> Result<()> {
        loop {
            let read = tokio::select! {
                read = self.follower.changed() => read,
                ended = self.keepers.ended() => return ended,
            };
            match read {
                Ok(config) => self.follow(config).await?,
                Err(error) => self.reject(&error),
            }
        }
    }

    async fn follow(&mut self, config: Config) -> Result<()> {
        if config.listen != self.listen {
            warn!(listen = %config.listen, "a change of `listen` is in force after a restart only");
        }
        // The keepers first: a registry that is new is awaited by the engine from then on.
        self.registries.send_replace(Arc::clone(&config.registries));
        self.keepers.follow(&config.registries, config.at_fraction, |_| None);
        self.engine.configure(config.sync).await?;
        self.metrics.accepted((self.now)());
        info!("the config has changed, and the new one is in force");
        Ok(())
    }

    fn reject(&self, error: &ConfigError) {
        self.metrics.rejected();
        for problem in error.to_string().lines() {
            error!("the config is wrong, and the last good one stays in force: {problem}");
        }
    }
}
