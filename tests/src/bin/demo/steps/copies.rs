//! Conditions on copies, and how the steps wait for them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{cluster, fake_aws::IssuedToken, wait::eventually};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use super::super::copy_watch::CopyWatch;
use super::super::counts::Counts;
use super::super::snapshot::TokenView;
use super::super::stage::{HOST, LEADER, SECRET, Stage, TOKEN_LIFE};

/// A copy that is not there by then is not coming.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// All Secrets of the pull Secret's name.
pub(super) async fn copies(stage: &Stage) -> Result<Vec<Secret>> {
    cluster::secrets(&stage.client(), SECRET).await
}

/// The copy of a namespace, which must be there.
pub(super) async fn copy(stage: &Stage, namespace: &str) -> Result<Secret> {
    let copy = cluster::secret(&stage.client(), namespace, SECRET).await?;
    copy.with_context(|| format!("{namespace} has no Secret {SECRET}"))
}

/// What stays the same for as long as a copy is not made anew, by namespace.
pub(super) fn uids(copies: &[Secret]) -> BTreeMap<String, String> {
    let identity = |copy: &Secret| Some((copy.namespace()?, copy.uid()?));
    copies.iter().filter_map(identity).collect()
}

/// Checks that none of the copies before was made anew, or is gone.
pub(super) fn check_same(before: &[Secret], after: &[Secret]) -> Result<()> {
    let after = uids(after);
    for (namespace, uid) in uids(before) {
        ensure!(
            after.get(&namespace) == Some(&uid),
            "{namespace} has not the same Secret any more"
        );
    }
    Ok(())
}

/// Checks that ECR takes what a copy holds.
pub(super) fn is_good(copy: &Secret, stage: &Stage) -> Result<()> {
    let is_good = stage.aws.accepts(&cluster::password(copy, HOST)?);
    ensure!(is_good, "ECR refuses what {} holds", copy.namespace().unwrap_or_default());
    Ok(())
}

/// Checks that a copy holds the newest token that AWS has issued.
pub(super) fn holds_newest(copy: &Secret, issued: &[IssuedToken]) -> Result<()> {
    let namespace = copy.namespace().unwrap_or_default();
    let token = TokenView::of(copy, issued);
    let token = token.with_context(|| format!("{namespace} holds no token of AWS"))?;
    ensure!(token.number == issued.len(), "{namespace} still holds #{}", token.number);
    Ok(())
}

/// Checks that every copy holds the newest token; what there is.
pub(super) async fn all_hold_newest(stage: &Stage) -> Result<Vec<Secret>> {
    let (copies, issued) = (copies(stage).await?, stage.aws.issued());
    copies.iter().try_for_each(|copy| holds_newest(copy, &issued))?;
    Ok(copies)
}

/// How long it is until the daemon asks for the next token; up to a second more than it may be.
pub(super) fn time_to_refresh(stage: &Stage) -> Result<Duration> {
    let issued = stage.aws.issued();
    let newest = issued.last().context("AWS has issued no token")?;
    let due = newest.issued_at.saturating_add(TOKEN_LIFE / 2)?;
    Ok(Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default())
}

/// Waits until the leader's counts are as `wanted` says; what they are not yet is in the error.
pub(super) async fn counts_are(
    stage: &Stage,
    what: &str,
    wanted: impl Fn(&Counts) -> Result<()>,
) -> Result<Counts> {
    eventually(what, DEADLINE, async || {
        let counts = stage.counts(LEADER).await?;
        wanted(&counts)?;
        Ok(counts)
    })
    .await
}

/// Does `action` and waits for the copy of a namespace to be made: how long that took.
pub(super) async fn time_to_copy(
    stage: &Stage,
    namespace: &str,
    action: impl Future<Output = Result<()>>,
) -> Result<Duration> {
    let mut watch = CopyWatch::start(&stage.client(), namespace, SECRET).await?;
    let start = Instant::now();
    action.await?;
    watch.appears(DEADLINE).await?;
    Ok(start.elapsed())
}
