//! What goes wrong is in an Event of the object that it is about.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::create_namespace,
    control_plane::ControlPlane,
    daemon::Installation,
    fake_aws::{FakeAws, Fault},
    wait::eventually,
};
use k8s_openapi::api::{
    core::v1::{ResourceQuota, Secret},
    events::v1::Event,
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;

use crate::scenario::Scenario;

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("a refused and a failing copy have an Event in their namespace", of_copies),
        Scenario::new("a failing registry and a wrong config have an Event at home", at_home),
    ]
}

/// Waits for the Event with this reason, about the object of this name.
pub(crate) async fn eventually_event(
    client: &Client,
    namespace: &str,
    name: &str,
    reason: &str,
) -> Result<Event> {
    eventually_noted(client, namespace, name, reason, "").await
}

/// The same, with these words in its note.
async fn eventually_noted(
    client: &Client,
    namespace: &str,
    name: &str,
    reason: &str,
    words: &str,
) -> Result<Event> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    eventually("the Event", PATIENCE, async || {
        let events = api.list(&ListParams::default()).await?.items;
        let about = |event: &Event| event.regarding.as_ref()?.name.clone();
        let is_it = |event: &&Event| {
            event.reason.as_deref() == Some(reason)
                && about(event).as_deref() == Some(name)
                && event.note.as_deref().is_some_and(|note| note.contains(words))
        };
        let reasons: Vec<_> = events.iter().map(|event| (&event.reason, about(event))).collect();
        events.iter().find(is_it).cloned().with_context(|| format!("there is {reasons:?}"))
    })
    .await
}

/// Allows no Secret in a namespace, and waits until that is in force.
async fn forbid_secrets(client: &Client, namespace: &str) -> Result<()> {
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), namespace);
    let quota = json!({
        "metadata": { "name": "none" }, "spec": { "hard": { "count/secrets": "0" } },
    });
    quotas.create(&PostParams::default(), &serde_json::from_value(quota)?).await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let probe: Secret = serde_json::from_value(json!({ "metadata": { "name": "probe" } }))?;
    eventually("the quota to be in force", PATIENCE, async || {
        if secrets.create(&PostParams::default(), &probe).await.is_ok() {
            secrets.delete("probe", &DeleteParams::default()).await?;
            anyhow::bail!("a Secret could be made");
        }
        Ok(())
    })
    .await
}

async fn of_copies(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    for namespace in ["notice-a", "notice-b"] {
        create_namespace(&client, namespace, &[]).await?;
    }
    let foreign = json!({ "metadata": { "name": "notice-pull" }, "type": "Opaque" });
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "notice-a");
    secrets.create(&PostParams::default(), &serde_json::from_value(foreign)?).await?;
    forbid_secrets(&client, "notice-b").await?;
    let aws = FakeAws::start().await?;
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": "notice-pull", "namespaces": ["notice-?"] }],
    });
    let installation = Installation::new(&control_plane, "notice", config).await?;
    let _daemon = installation.start(&aws).await?;
    let event = eventually_event(&client, "notice-a", "notice-pull", "ConflictingSecret").await?;
    ensure!(event.type_.as_deref() == Some("Warning"));
    ensure!(event.reporting_controller.as_deref() == Some("ecr-refresher"));
    ensure!(event.note.as_deref().is_some_and(|note| note.contains("onConflict")));
    let event = eventually_event(&client, "notice-b", "notice-pull", "CopyNotWritten").await?;
    let note = event.note.context("no note")?;
    ensure!(note.contains("quota_exceeded") && note.contains("exceeded quota: none"), "{note}");

    secrets.delete("notice-pull", &DeleteParams::default()).await?;
    is_over(&client, "notice-a", "notice-pull", "ConflictEnded").await?;
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), "notice-b");
    quotas.delete("none", &DeleteParams::default()).await?;
    is_over(&client, "notice-b", "notice-pull", "CopyWritten").await
}

/// Waits for the Event that a problem is over.
async fn is_over(client: &Client, namespace: &str, name: &str, reason: &str) -> Result<()> {
    let event = eventually_event(client, namespace, name, reason).await?;
    ensure!(event.type_.as_deref() == Some("Normal"), "{event:?}");
    Ok(())
}

async fn at_home(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let aws = FakeAws::start().await?;
    aws.fail_with(Fault::AccessDenied);
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": "athome-pull", "namespaces": ["athome-?"] }],
    });
    let installation = Installation::new(&control_plane, "athome", config).await?;
    let _daemon = installation.start(&aws).await?;
    let (tokens, home) = (installation.token_cache(), installation.home());
    let event = eventually_event(&client, home, &tokens, "TokenNotRefreshed").await?;
    let note = event.note.context("no note")?;
    ensure!(note.starts_with("the registry main: access_denied: "), "{note}");
    // Another cause is another Event.
    aws.fail_with(Fault::ServerError(503));
    eventually_noted(&client, home, &tokens, "TokenNotRefreshed", "server_error").await?;
    aws.heal();
    is_over(&client, home, &tokens, "TokenRefreshed").await?;
    let config = std::fs::read_to_string(installation.config())?;
    std::fs::write(installation.config(), "registries: 7\n")?;
    let event = eventually_event(&client, home, &tokens, "ConfigRejected").await?;
    let note = event.note.context("no note")?;
    ensure!(note.contains("config.yaml:1:"), "{note}");
    std::fs::write(installation.config(), config)?;
    is_over(&client, home, &tokens, "ConfigAccepted").await
}
