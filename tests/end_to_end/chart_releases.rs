//! Releases of the chart by the real Helm: what an upgrade and a rollback do to the daemon's rights.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    chart,
    control_plane::ControlPlane,
    daemon::Installation,
    helm::{Helm, Release},
    tools::Tool,
    wait::eventually,
};
use k8s_openapi::api::{
    authorization::v1::SelfSubjectAccessReview, core::v1::ConfigMap, rbac::v1::ClusterRole,
};
use kube::{Api, Client, api::PostParams};
use serde_json::{Value, json};

use crate::scenario::Scenario;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "with an upgrade the rights follow the config, and a rollback's go back",
            follow,
        )
        .needing(&[Tool::Helm]),
    ]
}

fn values(secret: &str, prune: bool) -> Value {
    json!({ "config": {
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": secret, "namespaces": ["upgrade-?"] }],
        "prune": { "enabled": prune },
    } })
}

async fn follow(control_plane: Arc<ControlPlane>) -> Result<()> {
    let admin = control_plane.admin_client();
    let helm = Helm::new(control_plane.admin_kubeconfig()).await?;
    let release = Release { name: "upgrade", namespace: "upgrade-home" };
    let first = values("upgrade-old", true);
    let installation = Installation::released(&control_plane, &helm, release, &first).await?;
    let daemon = installation.client().await?;
    rights_become(&daemon, ["upgrade-old", "upgrade-new"], true).await?;
    ensure!(mounted(&admin, &installation).await?.contains("upgrade-old"));

    let upgraded = helm.upgrade(release, &values("upgrade-new", false)).await?;
    rights_become(&daemon, ["upgrade-new", "upgrade-old"], false).await?;
    ensure!(mounted(&admin, &installation).await?.contains("upgrade-new"));
    let selector = format!("ecr-refresher.io/release={}", installation.release().replace('/', "."));
    ensure!(helm.notes(release).await?.contains(&selector));

    helm.roll_back(release, 1).await?;
    rights_become(&daemon, ["upgrade-old", "upgrade-new"], true).await?;
    ensure!(mounted(&admin, &installation).await?.contains("upgrade-old"));

    helm.uninstall(release).await?;
    let role = chart::find(&upgraded.objects, "ClusterRole")?["metadata"]["name"].as_str();
    let roles: Api<ClusterRole> = Api::all(admin);
    ensure!(roles.get_opt(role.context("it has no name")?).await?.is_none());
    Ok(())
}

/// Waits until the daemon may patch the first Secret, and delete it if `delete` says so, and not
/// the other one.
async fn rights_become(daemon: &Client, [own, other]: [&str; 2], delete: bool) -> Result<()> {
    eventually(&format!("rights to {own} alone"), PATIENCE, async || {
        for (verb, name, expected) in [
            ("patch", own, true),
            ("delete", own, delete),
            ("patch", other, false),
            ("delete", other, false),
        ] {
            ensure!(may(daemon, verb, name).await? == expected, "{verb} {name} is not {expected}");
        }
        Ok(())
    })
    .await
}

async fn may(client: &Client, verb: &str, secret: &str) -> Result<bool> {
    let review = json!({ "spec": { "resourceAttributes": {
        "verb": verb, "resource": "secrets", "name": secret, "namespace": "upgrade-a" } } });
    let review: SelfSubjectAccessReview = serde_json::from_value(review)?;
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
    Ok(answer.status.context("no answer")?.allowed)
}

/// The config file that the cluster has.
async fn mounted(client: &Client, installation: &Installation) -> Result<String> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), installation.home());
    let map = maps.get(installation.name()).await?;
    let text = map.data.and_then(|mut data| data.remove("config.yaml"));
    text.context("there is no config.yaml")
}
