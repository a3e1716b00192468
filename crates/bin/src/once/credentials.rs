//! Gets the credentials of all registries, once.

use std::sync::Arc;

use ecr_refresher_core::{
    Credentials, Registry, Schedule,
    aws::Aws,
    clock::{Now, sleep_until},
    keeper::Update,
};
use futures::future::join_all;
use tracing::{info, warn};

use crate::{config::Config, keepers::make_registry, token_cache::TokenCache};

/// How often a registry is asked that fails.
const ATTEMPTS: u32 = 3;
/// One pass is one round: all registries of an identity share one call.
const ROUND: u64 = 0;
/// A token is replaced as early as a daemon might do it, so that a pass at half its life does.
const JITTER: f64 = 1.0;

/// What each registry gave, or is known to have given. One that fails has what was known of it too,
/// so that nothing is lost.
pub(super) async fn get_all(
    config: &Config,
    cache: &TokenCache,
    aws: &Aws,
    now: Now,
) -> Vec<Update> {
    let asked = config.registries.iter().map(|settings| {
        let registry = make_registry(settings, aws);
        get(registry, cache.credentials(settings, now), config.at_fraction, now)
    });
    join_all(asked).await.into_iter().flatten().collect()
}

async fn get(
    registry: Registry,
    held: Option<Arc<Credentials>>,
    at_fraction: f64,
    now: Now,
) -> Vec<Update> {
    let tell = |outcome| Update { registry: Arc::clone(&registry.name), outcome };
    let mut schedule = Schedule::default();
    if let Some(held) = &held {
        registry.source.hold(held);
    }
    if let Some(held) = &held
        && let Some(lifetime) = held.lifetime
    {
        if lifetime.refresh_at(at_fraction, JITTER) > now() {
            info!(registry = %registry.name, "the token in the token cache is young enough");
            return vec![tell(Ok(Arc::clone(held)))];
        }
        schedule.succeeded(lifetime);
    }
    loop {
        let error = match registry.source.fetch(now(), ROUND).await {
            Ok(credentials) => {
                info!(registry = %registry.name, "got new credentials");
                return vec![tell(Ok(Arc::new(credentials)))];
            }
            Err(error) => error,
        };
        let retry_at = schedule.failed(now(), error.retry_after, fastrand::f64());
        warn!(registry = %registry.name, reason = %error.reason, "no new credentials: {error}");
        if schedule.failures() == ATTEMPTS {
            let known = held.map(|held| tell(Ok(held)));
            return known.into_iter().chain([tell(Err(error))]).collect();
        }
        sleep_until(retry_at, now).await;
    }
}
