//! Unwanted copies are deleted after the grace period.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{self, create_namespace, label_namespace, patch_secret},
    control_plane::{ControlPlane, Filter},
    daemon::Installation,
    fake_aws::FakeAws,
    wait::eventually,
};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::scenario::Scenario;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("an unwanted copy is deleted, and nothing else", pruned),
        Scenario::new(
            "a namespace that is wanted again within the grace period causes no write",
            in_time,
        ),
    ]
}

fn config(name: &str, after: &str) -> Value {
    json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{
            "name": format!("{name}-pull"),
            "namespaces": {
                "allow": [format!("{name}-?")],
                "selector": { "matchLabels": { "tier": "prod" } },
            },
        }],
        "prune": { "after": after },
    })
}

async fn pruned(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    for namespace in ["prune-a", "prune-b", "prune-c"] {
        create_namespace(&client, namespace, &[("tier", "prod")]).await?;
    }
    let aws = FakeAws::start().await?;
    let installation = Installation::new(&control_plane, "prune", config("prune", "1s")).await?;
    // No daemon runs during the edits, so that none can come too late.
    ensure!(installation.start_ready(&aws).await?.stop().await?.success());
    // As if a tenant had made this one: nothing is recorded as applied.
    let edit = json!({ "metadata": { "managedFields": [{}] } });
    label_namespace(&client, "prune-b", "tier", None).await?;
    patch_secret(&client, "prune-b", "prune-pull", &edit).await?;
    label_namespace(&client, "prune-a", "tier", Some("dev")).await?;
    let daemon = installation.start_ready(&aws).await?;
    cluster::eventually_no_secret(&client, "prune-a", "prune-pull", PATIENCE).await?;
    ensure!(cluster::secret(&client, "prune-b", "prune-pull").await?.is_some());
    ensure!(cluster::secret(&client, "prune-c", "prune-pull").await?.is_some());
    ensure!(daemon.stop().await?.success());
    let deletions = Filter::default().verb("delete");
    ensure!(control_plane.audit().count(&installation.user(), deletions)? == 1);
    Ok(())
}

async fn in_time(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    create_namespace(&client, "back-a", &[("tier", "prod")]).await?;
    let aws = FakeAws::start().await?;
    let installation = Installation::new(&control_plane, "back", config("back", "1h")).await?;
    let daemon = installation.start_ready(&aws).await?;
    let before = cluster::secret(&client, "back-a", "back-pull").await?.context("no copy")?;
    let audit = control_plane.audit().from_now()?;
    let series = r#"ecr_refresher_copies{secret="back-pull",state="fresh"}"#;
    for (tier, wanted) in [("dev", 0_f64), ("prod", 1_f64)] {
        label_namespace(&client, "back-a", "tier", Some(tier)).await?;
        eventually("the label to be seen", PATIENCE, async || {
            let fresh = daemon.metric(series).await?;
            ensure!(fresh.to_bits() == wanted.to_bits(), "{fresh}");
            Ok(())
        })
        .await?;
    }
    let after = cluster::secret(&client, "back-a", "back-pull").await?.context("no copy")?;
    ensure!(before.resource_version() == after.resource_version());
    ensure!(daemon.stop().await?.success());
    for verb in ["patch", "delete"] {
        let filter = Filter::default().verb(verb).name("back-pull");
        ensure!(audit.count(&installation.user(), filter)? == 0, "{verb}");
    }
    Ok(())
}
