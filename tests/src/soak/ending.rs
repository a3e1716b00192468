//! What must be so when there have been no faults for a while.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};

use super::{
    observation::Observation,
    stage::{LIFE, Stage},
};
use crate::wait::eventually;

/// A new token may be on its way to the copies just then.
const AT_ONCE: Duration = Duration::from_secs(5);
/// A copy that is not wanted goes 20 s after that, or when a watch has noticed it.
const PRUNED: Duration = Duration::from_secs(40);
/// How much later than at half the life of a token the next one may be in the copies.
const REFRESH: SignedDuration = SignedDuration::from_secs(5);

/// Checks that every copy is exact and fresh, that one replica leads, and that nothing is left over.
pub(super) async fn check(stage: &Stage) -> Result<()> {
    eventually("one leader in the calm", AT_ONCE, async || stage.replicas.check_one_leads().await)
        .await?;
    eventually("every copy to be exact and fresh in the calm", AT_ONCE, async || {
        exact(stage).await
    })
    .await?;
    eventually("the copies that are not wanted to go", PRUNED, async || pruned(stage).await).await
}

async fn exact(stage: &Stage) -> Result<()> {
    let observation = Observation::take(&stage.client, &stage.aws).await?;
    let expectation = stage.expectation();
    let config = expectation.config();
    for (copy, expected) in expectation.copies() {
        let (namespace, secret) = &copy;
        let seen = observation.secrets.get(&copy);
        let seen = seen.with_context(|| format!("there is no copy {namespace}/{secret}"))?;
        let hosts: BTreeSet<_> = seen.hosts.keys().collect();
        let wanted: BTreeSet<_> = expected.hosts.keys().collect();
        ensure!(hosts == wanted, "{namespace}/{secret} has {hosts:?}, and not {wanted:?}");
        for (host, token) in &seen.hosts {
            let token = token
                .token()
                .with_context(|| format!("{namespace}/{secret}: no token of {host}"))?;
            let age = observation.at.duration_since(token.issued_at);
            let oldest = SignedDuration::try_from(LIFE / 2)? + REFRESH;
            ensure!(age < oldest, "{namespace}/{secret}: the token of {host} is {age:#} old");
        }
        let labelled = config.labels(secret);
        ensure!(seen.is_labelled == labelled, "{namespace}/{secret} has the labels of before");
    }
    Ok(())
}

async fn pruned(stage: &Stage) -> Result<()> {
    let unwanted = stage.expectation().unwanted(Timestamp::now());
    let observation = Observation::take(&stage.client, &stage.aws).await?;
    let left: Vec<_> =
        unwanted.iter().filter(|copy| observation.secrets.contains_key(*copy)).collect();
    ensure!(left.is_empty(), "{left:?} are there");
    Ok(())
}
