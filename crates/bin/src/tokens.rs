//! Has the registries asked, and passes on what they give, while this process leads.

use std::sync::Arc;

use anyhow::{Context, Result};
use ecr_refresher_core::{TokenMetrics, aws::Aws, clock::Now, keeper::Update};
use ecr_refresher_sync::{Leadership, Notices};
use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    events::about_tokens,
    keepers::Keepers,
    run::Home,
    token_cache::{CacheEvent, TokenCache},
};

/// How many updates of registries may wait to be passed on; a keeper waits for a place.
const UPDATES: usize = 16;

/// What it takes to keep all tokens fresh.
pub(crate) struct Tokens {
    pub(crate) client: Client,
    pub(crate) home: Home,
    pub(crate) config: watch::Receiver<Arc<Config>>,
    pub(crate) metrics: TokenMetrics,
    pub(crate) engine: mpsc::Sender<Update>,
    pub(crate) notices: Notices,
    pub(crate) leadership: Leadership,
    pub(crate) now: Now,
}

impl Tokens {
    /// Runs until `shutdown`, and then until the token cache is in step.
    ///
    /// # Errors
    /// When a keeper or the engine has ended.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> Result<()> {
        let aws = Aws::load().await;
        loop {
            tokio::select! {
                () = self.leadership.gained() => {}
                () = shutdown.cancelled() => return Ok(()),
            }
            let mut leadership = self.leadership.clone();
            tokio::select! {
                ended = self.lead(&aws, &shutdown) => return ended,
                () = leadership.lost() => {}
            }
        }
    }

    /// One term. It begins with what the token cache holds, which may be another leader's.
    async fn lead(&mut self, aws: &Aws, shutdown: &CancellationToken) -> Result<()> {
        let mut cache = tokio::select! {
            cache = TokenCache::load(&self.client, &self.home, self.now) => cache,
            () = shutdown.cancelled() => return Ok(()),
        };
        let (fetched, mut updates) = mpsc::channel(UPDATES);
        let mut keepers = Keepers::new(aws.clone(), self.metrics.clone(), self.now, fetched);
        self.follow_config(&mut cache, &mut keepers);
        loop {
            tokio::select! {
                // A new registry's settings are known before its first update is looked at.
                biased;
                () = shutdown.cancelled() => break,
                Ok(()) = self.config.changed() => self.follow_config(&mut cache, &mut keepers),
                Some(update) = updates.recv() => {
                    cache.take(&update);
                    self.tell_of_failure(&update);
                    let sent = self.engine.send(update).await;
                    if !shutdown.is_cancelled() {
                        sent.context("the engine has ended")?;
                    }
                }
                event = cache.next() => match event {
                    // Not a branch of its own, which another one could cut off halfway.
                    CacheEvent::Due => cache.write().await,
                    CacheEvent::Deleted => keepers.renew_all(),
                },
                ended = keepers.ended() => return ended,
            }
        }
        cache.finish().await;
        Ok(())
    }

    fn tell_of_failure(&self, update: &Update) {
        if let Err(error) = &update.outcome {
            let note = format!("the registry {}: {}: {error}", update.registry, error.reason);
            self.notices.tell(about_tokens(&self.home, "TokenNotRefreshed", note));
        }
    }

    fn follow_config(&mut self, cache: &mut TokenCache, keepers: &mut Keepers) {
        let config = Arc::clone(&self.config.borrow_and_update());
        cache.follow(&config.registries);
        keepers.follow(&config.registries, config.at_fraction, |registry| {
            cache.credentials(registry, self.now)
        });
    }
}
