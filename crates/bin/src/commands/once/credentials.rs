//! The tokens of one pass.

use std::{collections::BTreeMap, sync::Arc};

use ecr_refresher_core::{
    FetchError,
    tokens::{Ask, Outcome, SharedTokenStore},
};
use futures::future::join_all;

use crate::daemon::{Dependencies, log_token};

/// How often a registry is asked that fails.
const ATTEMPTS: u32 = 3;

/// The registries that gave no new credentials, each with its last failure.
pub(super) type FailedRegistries = BTreeMap<Arc<str>, FetchError>;

/// Asks each source with a token that is missing or past its fraction of life. What a failing one has
/// held before stays in the store, so that nothing is lost.
pub(super) async fn get_all(
    dependencies: &Dependencies,
    store: &SharedTokenStore,
) -> FailedRegistries {
    let mut failed = FailedRegistries::new();
    loop {
        let now = dependencies.clock.now();
        let asks = store.update(|store| store.due(now));
        if asks.is_empty() {
            return failed;
        }
        let answers =
            join_all(asks.into_iter().map(|Ask { id, source }| async move {
                (id, dependencies.aws.fetch(&source).await)
            }));
        let mut retry_at = None;
        for (id, answer) in answers.await {
            let now = dependencies.clock.now();
            let outcomes = store.update(|store| store.answered(id, answer, now));
            outcomes.iter().for_each(log_token);
            for Outcome { registry, result } in outcomes {
                match result {
                    Ok(_) => drop(failed.remove(&registry)),
                    Err(failure) => {
                        if failure.failures < ATTEMPTS {
                            retry_at = retry_at.max(Some(now.uptime + failure.delay));
                        }
                        failed.insert(registry, failure.error);
                    }
                }
            }
        }
        let Some(retry_at) = retry_at else { return failed };
        dependencies.clock.sleep_until(retry_at).await;
    }
}
