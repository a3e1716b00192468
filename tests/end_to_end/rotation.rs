//! Tokens grow old and are replaced.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster, control_plane::ControlPlane, daemon::Installation, fake_aws::FakeAws, wait::eventually,
};
use kube::{Client, ResourceExt};
use serde_json::json;

use crate::{rollout::HOST, scenario::Scenario};

const NAMESPACES: usize = 20;
const ROTATIONS: usize = 10;
const LIFE: Duration = Duration::from_secs(6);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![Scenario::new(
        "over 10 rotations every copy holds a token that works at every moment, in place",
        ten_rotations,
    )]
}

async fn ten_rotations(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let names = (0..NAMESPACES).map(|number| format!("rotation-{number}"));
    cluster::create_namespaces(&client, names).await?;
    let aws = FakeAws::start().await?;
    aws.set_token_life(LIFE);
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": "rotation-pull", "namespaces": ["rotation-[0-9]*"] }],
    });
    let installation = Installation::new(&control_plane, "rotation", config).await?;
    let daemon = installation.start_ready(&aws).await?;
    let uids = uids(&client).await?;

    let deadline = LIFE * u32::try_from(ROTATIONS + 5)?;
    let mut looks = 0;
    let mut broken = None;
    eventually("ten rotations", deadline, async || {
        looks += 1;
        if let Err(error) = all_accepted(&client, &aws).await {
            // The first moment that is not as promised ends the wait.
            broken = Some(error);
            return Ok(());
        }
        let issued = aws.issued().len();
        ensure!(issued > ROTATIONS, "{issued} tokens were issued");
        Ok(())
    })
    .await?;
    broken.map_or(Ok(()), |error| Err(error.context(format!("at look {looks}"))))?;
    ensure!(looks > 50, "only {looks} looks");
    ensure!(uids == self::uids(&client).await?, "a copy was made anew");
    let (_, metrics) = daemon.get("/metrics").await?;
    let failures = failed_writes(&metrics);
    ensure!(failures.is_empty(), "{failures:?}");
    Ok(())
}

async fn all_accepted(client: &Client, aws: &FakeAws) -> Result<()> {
    let copies = cluster::secrets(client, "rotation-pull").await?;
    ensure!(copies.len() == NAMESPACES, "{} copies", copies.len());
    for copy in copies {
        let accepted = aws.accepts(&cluster::password(&copy, HOST)?);
        ensure!(accepted, "the token in {} is dead", copy.namespace().unwrap_or_default());
    }
    Ok(())
}

async fn uids(client: &Client) -> Result<BTreeMap<String, String>> {
    let copies = cluster::secrets(client, "rotation-pull").await?;
    copies
        .into_iter()
        .map(|copy| Ok((copy.namespace().context("no namespace")?, copy.uid().context("no UID")?)))
        .collect()
}

/// The series of failed writes that are not 0.
fn failed_writes(metrics: &str) -> Vec<&str> {
    let failures = metrics.lines().filter(|line| {
        line.starts_with("ecr_refresher_copy_writes_total{") && line.contains("result=\"failure\"")
    });
    failures.filter(|line| !line.ends_with(" 0")).collect()
}
