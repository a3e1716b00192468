//! Namespaces come and go, and so do their labels.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{self, create_namespace, delete_namespace, eventually_secret, label_namespace},
    control_plane::ControlPlane,
    daemon::Installation,
    fake_aws::{FakeAws, Operation},
    wait::eventually,
};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::scenario::Scenario;

/// How long a new namespace may wait for its copy.
const SOON: Duration = Duration::from_secs(1);
/// For what no promise is made about.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("a namespace created later has its copy within a second", created_later),
        Scenario::new("a label that comes and goes decides on the copy", label_comes_and_goes),
        Scenario::new("a namespace deleted and made again has its copy again", made_again),
    ]
}

fn config(secret: &str, namespaces: &Value) -> Value {
    json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": secret, "namespaces": namespaces }],
    })
}

async fn created_later(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let aws = FakeAws::start().await?;
    let config = config("later-pull", &json!(["later-*"]));
    let installation = Installation::new(&control_plane, "later", config).await?;
    let daemon = installation.start_ready(&aws).await?;
    for number in 0..5 {
        let name = format!("later-{number}");
        create_namespace(&client, &name, &[]).await?;
        eventually_secret(&client, &name, "later-pull", SOON, |_| Ok(())).await?;
    }
    ensure!(aws.count(Operation::GetAuthorizationToken) == 1);
    // A copy is there before its write is answered. The home namespace, later-home, is on the list too.
    daemon.metric_becomes("ecr_refresher_namespace_sync_duration_seconds_count", 6.0).await
}

async fn label_comes_and_goes(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let aws = FakeAws::start().await?;
    create_namespace(&client, "tiers-dev", &[("tier", "dev")]).await?;
    create_namespace(&client, "tiers-prod", &[("tier", "prod")]).await?;
    let namespaces = json!({
        "allow": ["tiers-*"],
        "selector": { "matchLabels": { "tier": "prod" } },
    });
    let installation =
        Installation::new(&control_plane, "tiers", config("tiers-pull", &namespaces)).await?;
    let daemon = installation.start_ready(&aws).await?;
    ensure!(cluster::secret(&client, "tiers-prod", "tiers-pull").await?.is_some());
    ensure!(cluster::secret(&client, "tiers-dev", "tiers-pull").await?.is_none());

    label_namespace(&client, "tiers-dev", "tier", Some("prod")).await?;
    eventually_secret(&client, "tiers-dev", "tiers-pull", SOON, |_| Ok(())).await?;

    label_namespace(&client, "tiers-dev", "tier", None).await?;
    let series = r#"ecr_refresher_copies{secret="tiers-pull",state="fresh"}"#;
    eventually("one copy to be wanted", PATIENCE, async || {
        let fresh = daemon.metric(series).await?;
        ensure!(fresh.to_bits() == 1_f64.to_bits(), "{fresh} are fresh");
        Ok(())
    })
    .await
}

async fn made_again(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let aws = FakeAws::start().await?;
    create_namespace(&client, "again-a", &[]).await?;
    let config = config("again-pull", &json!(["again-?"]));
    let installation = Installation::new(&control_plane, "again", config).await?;
    let daemon = installation.start_ready(&aws).await?;
    let first = cluster::secret(&client, "again-a", "again-pull").await?.context("no copy")?;
    delete_namespace(&client, "again-a").await?;
    let series = r#"ecr_refresher_copies{secret="again-pull",state="missing"}"#;
    // A namespace that is gone misses nothing.
    daemon.metric_becomes(series, 0.0).await?;

    create_namespace(&client, "again-a", &[]).await?;
    let second = eventually_secret(&client, "again-a", "again-pull", SOON, |_| Ok(())).await?;
    ensure!(first.uid() != second.uid());
    Ok(())
}
