//! ServiceAccounts with a pull Secret in their `imagePullSecrets`.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use ecr_refresher_tests::{
    cluster::{create_namespace, label_namespace},
    control_plane::{ControlPlane, Filter},
    daemon::Installation,
    fake_aws::FakeAws,
    fault_proxy::NetworkFault,
    wait::eventually,
};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::scenario::Scenario;

const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("service accounts get our name beside others, and late ones too", linked),
        Scenario::new("with a pruned copy our name goes from its service account", taken_back),
        Scenario::new("without service accounts in the config, none is requested", costs_nothing),
        Scenario::new("an edit during a patch links the account that it names", edited_meanwhile),
    ]
}

fn config(name: &str, accounts: &Value) -> Value {
    json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{
            "name": format!("{name}-pull"),
            "namespaces": {
                "allow": [format!("{name}-?")],
                "selector": { "matchLabels": { "tier": "prod" } },
            },
            "serviceAccounts": accounts,
        }],
        "prune": { "after": "1s" },
    })
}

/// The account's `imagePullSecrets`.
pub(crate) async fn names(client: &Client, namespace: &str, account: &str) -> Result<Vec<String>> {
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let entries = api.get(account).await?.image_pull_secrets.unwrap_or_default();
    Ok(entries.into_iter().map(|entry| entry.name).collect())
}

/// Waits until the account's `imagePullSecrets` are these.
pub(crate) async fn eventually_names(
    client: &Client,
    namespace: &str,
    account: &str,
    expected: &[&str],
) -> Result<()> {
    eventually("the names in imagePullSecrets", PATIENCE, async || {
        let names = names(client, namespace, account).await?;
        ensure!(names == expected, "{names:?} in {namespace}");
        Ok(())
    })
    .await
}

async fn set_names(client: &Client, namespace: &str, account: &str, names: &[&str]) -> Result<()> {
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let entries: Vec<_> = names.iter().map(|name| json!({ "name": name })).collect();
    let patch = Patch::Merge(json!({ "imagePullSecrets": entries }));
    // The controller makes the account `default` a moment after its namespace.
    eventually("the account", PATIENCE, async || {
        api.patch(account, &PatchParams::default(), &patch).await?;
        Ok(())
    })
    .await
}

async fn linked(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    create_namespace(&client, "link-a", &[("tier", "prod")]).await?;
    create_namespace(&client, "link-b", &[]).await?;
    for namespace in ["link-a", "link-b"] {
        set_names(&client, namespace, "default", &["theirs"]).await?;
    }
    let aws = FakeAws::start().await?;
    let config = config("link", &json!(["default", "builder"]));
    let installation = Installation::new(&control_plane, "link", config).await?;
    let daemon = installation.start_ready(&aws).await?;
    eventually_names(&client, "link-a", "default", &["theirs", "link-pull"]).await?;

    // One that appears after its namespace, and a new namespace with its own.
    let builder = json!({ "metadata": { "name": "builder" } });
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), "link-a");
    api.create(&PostParams::default(), &serde_json::from_value(builder)?).await?;
    eventually_names(&client, "link-a", "builder", &["link-pull"]).await?;
    create_namespace(&client, "link-c", &[("tier", "prod")]).await?;
    eventually_names(&client, "link-c", "default", &["link-pull"]).await?;

    // Another client replaces the list, as an apply of its own manifest would.
    set_names(&client, "link-a", "default", &["other", "theirs"]).await?;
    eventually_names(&client, "link-a", "default", &["other", "theirs", "link-pull"]).await?;
    eventually_names(&client, "link-b", "default", &["theirs"]).await?;

    let failed = r#"ecr_refresher_service_accounts_failing{service_account="default"}"#;
    ensure!(daemon.metric(failed).await? <= 0.0);
    ensure!(daemon.stop().await?.success());
    let patches = Filter::default().resource("serviceaccounts").verb("patch");
    let count = control_plane.audit().count(&installation.user(), patches)?;
    ensure!(count >= 4, "{count} changes");
    Ok(())
}

async fn taken_back(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    for namespace in ["unlink-a", "unlink-b"] {
        create_namespace(&client, namespace, &[("tier", "prod")]).await?;
        set_names(&client, namespace, "default", &["first"]).await?;
    }
    let aws = FakeAws::start().await?;
    let config = config("unlink", &json!(["default"]));
    let installation = Installation::new(&control_plane, "unlink", config).await?;
    let daemon = installation.start_ready(&aws).await?;
    for namespace in ["unlink-a", "unlink-b"] {
        eventually_names(&client, namespace, "default", &["first", "unlink-pull"]).await?;
    }
    label_namespace(&client, "unlink-a", "tier", None).await?;
    eventually_names(&client, "unlink-a", "default", &["first"]).await?;

    // Unwanted while no daemon runs: the next one removes the name.
    daemon.kill()?;
    label_namespace(&client, "unlink-b", "tier", None).await?;
    let _daemon = installation.start(&aws).await?;
    eventually_names(&client, "unlink-b", "default", &["first"]).await
}

async fn costs_nothing(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    create_namespace(&client, "plain-a", &[("tier", "prod")]).await?;
    let aws = FakeAws::start().await?;
    let config = config("plain", &json!([]));
    let installation = Installation::new(&control_plane, "plain", config).await?;
    let daemon = installation.start_ready(&aws).await?;
    ensure!(daemon.stop().await?.success());
    let accounts = Filter::default().resource("serviceaccounts");
    ensure!(control_plane.audit().count(&installation.user(), accounts)? == 0);
    Ok(())
}

async fn edited_meanwhile(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    create_namespace(&client, "swap-a", &[("tier", "prod")]).await?;
    let builder = json!({ "metadata": { "name": "builder" } });
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), "swap-a");
    api.create(&PostParams::default(), &serde_json::from_value(builder)?).await?;
    set_names(&client, "swap-a", "default", &["theirs"]).await?;
    let aws = FakeAws::start().await?;
    // The rights are those of both accounts.
    let config = |accounts: Value| {
        let mut config = config("swap", &accounts);
        // Renewals of a Lease would be too late on a busy machine.
        config["leaderElection"] = json!({ "enabled": false });
        config
    };
    let both = config(json!(["default", "builder"]));
    let installation = Installation::new(&control_plane, "swap", both).await?;
    let only = |account: &str| config(json!([account])).to_string();
    std::fs::write(installation.config(), only("default"))?;
    let (installation, proxy) = installation.through_proxy().await?;
    let _daemon = installation.start_ready(&aws).await?;
    eventually_names(&client, "swap-a", "default", &["theirs", "swap-pull"]).await?;

    // The answer to a patch takes 2 s, and the edit is in force before it arrives.
    proxy.set(NetworkFault::Slow(Duration::from_secs(2)));
    set_names(&client, "swap-a", "default", &["theirs"]).await?;
    eventually_names(&client, "swap-a", "default", &["theirs", "swap-pull"]).await?;
    std::fs::write(installation.config(), only("builder"))?;
    eventually_names(&client, "swap-a", "builder", &["swap-pull"]).await?;
    proxy.set(NetworkFault::None);
    Ok(())
}
