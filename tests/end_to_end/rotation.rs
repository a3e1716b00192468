//! Tokens are replaced before they expire.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{self, create_namespace},
    control_plane::ControlPlane,
    daemon::Installation,
    fake_aws::FakeAws,
    wait::eventually,
};
use kube::{Client, ResourceExt};
use serde_json::json;

use crate::{process::FILE_PASSWORD, rollout::HOST, scenario::Scenario};

const NAMESPACES: usize = 20;
const ROTATIONS: usize = 10;
const LIFE: Duration = Duration::from_secs(6);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "over 10 rotations every copy holds a token that works at every moment, in place",
            ten_rotations,
        ),
        Scenario::new(
            "a refresh beside a dead registry is in time, and not a repair",
            dead_registry,
        ),
        Scenario::new("a file that changes all the time postpones no copy", changing_file),
    ]
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
    let mut checks = 0;
    let mut broken = None;
    eventually("ten rotations", deadline, async || {
        checks += 1;
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
    broken.map_or(Ok(()), |error| Err(error.context(format!("at check {checks}"))))?;
    ensure!(checks > 50, "only {checks} checks");
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

async fn dead_registry(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    create_namespace(&client, "beside-a", &[]).await?;
    let aws = FakeAws::start().await?;
    aws.set_token_life(LIFE);
    let config = json!({
        "registries": [
            { "name": "main", "ecr": { "region": "eu-west-1" } },
            { "name": "dead", "file": { "path": "/there/is/no/such/file.json" } },
        ],
        "secrets": [{ "name": "beside-pull", "namespaces": ["beside-?"] }],
    });
    let installation = Installation::new(&control_plane, "beside", config).await?;
    let daemon = installation.start_ready(&aws).await?;
    let mut dead = false;
    eventually("six refreshes", LIFE * 12, async || {
        let copy = cluster::secret(&client, "beside-a", "beside-pull").await?.context("no copy")?;
        dead |= !aws.accepts(&cluster::password(&copy, HOST)?);
        ensure!(dead || aws.issued().len() > 6, "{} tokens were issued", aws.issued().len());
        Ok(())
    })
    .await?;
    ensure!(!dead, "the copy held a dead token");
    ensure!(!daemon.log()?.contains("keeps changing"), "a refresh is not a repair");
    Ok(())
}

/// The file is read every 5 s, so each reading is another one.
async fn changing_file(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let names = (0..NAMESPACES).map(|number| format!("restless-{number}"));
    cluster::create_namespaces(&client, names).await?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("hub.json");
    let write = |version: u64| {
        let password = format!("{FILE_PASSWORD}-{version}");
        let entry = json!({ "username": "me", "password": password });
        let next = path.with_extension("next");
        std::fs::write(&next, json!({ "auths": { "hub.example.com": entry } }).to_string())?;
        anyhow::Ok(std::fs::rename(next, &path)?)
    };
    write(0)?;
    let aws = FakeAws::start().await?;
    let config = json!({
        "registries": [{ "name": "hub", "file": { "path": path } }],
        "secrets": [{ "name": "restless-pull", "namespaces": ["restless-[0-9]*"] }],
        "refresh": { "spread": "15s" },
    });
    let installation = Installation::new(&control_plane, "restless", config).await?;
    let _daemon = installation.start_ready(&aws).await?;
    let first = versions(&client).await?;
    ensure!(first.len() == NAMESPACES, "{} copies", first.len());

    let mut version = 0;
    eventually("each copy to be written", Duration::from_secs(30), async || {
        version += 1;
        write(version)?;
        let now = versions(&client).await?;
        let waiting = first.iter().filter(|(name, version)| now.get(*name) == Some(*version));
        let waiting = waiting.count();
        ensure!(waiting == 0, "{waiting} copies were not written");
        Ok(())
    })
    .await
}

/// The resourceVersion of each copy, by namespace.
async fn versions(client: &Client) -> Result<BTreeMap<String, Option<String>>> {
    let copies = cluster::secrets(client, "restless-pull").await?.into_iter();
    copies.map(|it| Ok((it.namespace().context("no namespace")?, it.resource_version()))).collect()
}
