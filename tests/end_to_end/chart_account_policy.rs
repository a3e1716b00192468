//! The chart's admission policy for ServiceAccounts, and the daemon's whole work under both.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    chart,
    cluster::{
        self, create_namespace, delete_secret, eventually_secret, label_namespace, patch_secret,
    },
    control_plane::{ControlPlane, Filter},
    daemon::Installation,
    fake_aws::FakeAws,
    tools::Tool,
    wait::eventually,
};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    chart_policy::refused, rollout::HOST, scenario::Scenario, service_accounts::eventually_names,
};

const PATIENCE: Duration = Duration::from_secs(30);
const LABEL: &str = "app.kubernetes.io/managed-by";

pub(crate) fn tests() -> Vec<Scenario> {
    [
        Scenario::new(
            "with the daemon's token, only its own names in imagePullSecrets can be changed",
            own_names_alone,
        ),
        Scenario::new("with the policy in force the daemon does all of its work", all_its_work),
    ]
    .map(|scenario| scenario.needing(&[Tool::Helm]))
    .into()
}

/// The ServiceAccount `builder`, with something in each of its fields.
async fn create_builder(client: &Client, namespace: &str) -> Result<ServiceAccount> {
    let account = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": { "name": "builder", "annotations": { "role": "theirs" } },
        "secrets": [{ "name": "theirs" }],
        "imagePullSecrets": [{ "name": "theirs" }],
    });
    chart::apply(client, namespace, &account).await?;
    Ok(Api::namespaced(client.clone(), namespace).get("builder").await?)
}

fn names(names: &[&str]) -> Value {
    let entries: Vec<_> = names.iter().map(|name| json!({ "name": name })).collect();
    json!({ "imagePullSecrets": entries })
}

/// Changes of that ServiceAccount, each with the rule that refuses it.
fn forbidden_changes() -> [(&'static str, Value); 11] {
    let role = json!({ "eks.amazonaws.com/role-arn": "mine" });
    let owner =
        json!({ "apiVersion": "v1", "kind": "Namespace", "name": "account-a", "uid": "1-2-3" });
    [
        ("imagePullSecrets", json!({ "metadata": { "annotations": role } })),
        ("imagePullSecrets", json!({ "metadata": { "annotations": null } })),
        ("imagePullSecrets", json!({ "metadata": { "labels": { "team": "mine" } } })),
        ("imagePullSecrets", json!({ "metadata": { "finalizers": ["example.com/mine"] } })),
        ("imagePullSecrets", json!({ "metadata": { "ownerReferences": [owner] } })),
        ("imagePullSecrets", json!({ "secrets": [{ "name": "theirs" }, { "name": "mine" }] })),
        ("imagePullSecrets", json!({ "secrets": null })),
        ("imagePullSecrets", json!({ "automountServiceAccountToken": true })),
        ("names", names(&[])),
        ("names", names(&["account-pull"])),
        ("names", names(&["theirs", "mine"])),
    ]
}

async fn own_names_alone(control_plane: Arc<ControlPlane>) -> Result<()> {
    let admin = control_plane.admin_client();
    create_namespace(&admin, "account-a", &[]).await?;
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{
            "name": "account-pull", "namespaces": ["account-?"], "serviceAccounts": ["builder"],
        }],
    });
    let installation = Installation::new(&control_plane, "account", config).await?;
    let before = create_builder(&admin, "account-a").await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(installation.client().await?, "account-a");
    let edit = async |parameters: &PatchParams, edit: &Value| {
        accounts.patch_metadata("builder", parameters, &Patch::Merge(edit)).await
    };
    eventually("the policy to be in force", PATIENCE, async || {
        let label = json!({ "metadata": { "labels": { "team": "mine" } } });
        refused(edit(&PatchParams::default().dry_run(), &label).await, "imagePullSecrets")
    })
    .await?;

    for (rule, change) in forbidden_changes() {
        let answer = edit(&PatchParams::default(), &change).await;
        refused(answer, rule).with_context(|| change.to_string())?;
    }
    let api: Api<ServiceAccount> = Api::namespaced(admin.clone(), "account-a");
    ensure!(api.get("builder").await? == before, "it was changed");

    // The control: its own name comes and goes, wherever it stands.
    for own in [&["theirs", "account-pull"][..], &["account-pull", "theirs"], &["theirs"]] {
        edit(&PatchParams::default(), &names(own)).await?;
        eventually_names(&admin, "account-a", "builder", own).await?;
    }
    // The policy applies to no other client.
    let everything = json!({ "metadata": { "annotations": null }, "imagePullSecrets": null });
    api.patch("builder", &PatchParams::default(), &Patch::Merge(everything)).await?;
    Ok(())
}

async fn all_its_work(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    create_namespace(&client, "workday-a", &[("tier", "prod")]).await?;
    let namespaces =
        json!({ "allow": ["workday-?"], "selector": { "matchLabels": { "tier": "prod" } } });
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [
            { "name": "workday-pull", "namespaces": namespaces, "serviceAccounts": ["default"] },
            { "name": "workday-adopt", "namespaces": namespaces, "onConflict": "adopt" },
        ],
        "refresh": { "spread": "0s" },
        "prune": { "after": "1s" },
    });
    let aws = FakeAws::start().await?;
    let installation = Installation::new(&control_plane, "workday", config).await?;
    both_in_force(&installation).await?;
    let foreign = create_foreign(&client).await?;
    let audit = control_plane.audit().from_now()?;

    let daemon = installation.start_ready(&aws).await?;
    eventually_names(&client, "workday-a", "default", &["workday-pull"]).await?;
    let adopted = holds_other_than(&client, "workday-adopt", "").await?;
    ensure!(adopted.uid() == foreign.uid(), "it was made anew");
    refreshes(&client, &installation, &aws).await?;
    let edit = json!({ "metadata": { "labels": { LABEL: null } } });
    patch_secret(&client, "workday-a", "workday-pull", &edit).await?;
    eventually_secret(&client, "workday-a", "workday-pull", PATIENCE, |copy| {
        ensure!(copy.labels().get(LABEL).is_some_and(|label| label == "ecr-refresher"));
        Ok(())
    })
    .await?;
    label_namespace(&client, "workday-a", "tier", None).await?;
    for name in ["workday-pull", "workday-adopt"] {
        cluster::eventually_no_secret(&client, "workday-a", name, PATIENCE).await?;
    }
    eventually_names(&client, "workday-a", "default", &[]).await?;

    ensure!(daemon.stop().await?.success());
    let here = Filter::default().namespace("workday-a");
    let requests = audit.matching(&installation.user(), here)?;
    let refused: Vec<_> = requests.iter().filter(|request| request.code >= 400).collect();
    ensure!(requests.len() >= 8 && refused.is_empty(), "{requests:?}");
    Ok(())
}

/// Waits until both policies refuse what they are to refuse.
async fn both_in_force(installation: &Installation) -> Result<()> {
    let client = installation.client().await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "workday-a");
    let accounts: Api<ServiceAccount> = Api::namespaced(client, "workday-a");
    let apply = PatchParams::apply(&installation.field_manager()).dry_run();
    let opaque =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "workday-pull" } });
    let label = json!({ "metadata": { "labels": { "team": "mine" } } });
    let edit = PatchParams::default().dry_run();
    eventually("the policies to be in force", PATIENCE, async || {
        refused(
            secrets.patch_metadata("workday-pull", &apply, &Patch::Apply(&opaque)).await,
            "type",
        )?;
        let answer = accounts.patch_metadata("default", &edit, &Patch::Merge(&label)).await;
        refused(answer, "imagePullSecrets")
    })
    .await
}

async fn create_foreign(client: &Client) -> Result<Secret> {
    let foreign = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "workday-adopt" },
        "type": "kubernetes.io/dockerconfigjson",
        "data": { ".dockerconfigjson": "eyJhdXRocyI6e319" },
    });
    chart::apply(client, "workday-a", &foreign).await?;
    cluster::secret(client, "workday-a", "workday-adopt").await?.context("it is not there")
}

/// Waits until the copy holds a token other than `old`.
async fn holds_other_than(client: &Client, name: &str, old: &str) -> Result<Secret> {
    eventually_secret(client, "workday-a", name, PATIENCE, |copy| {
        ensure!(cluster::password(copy, HOST)? != old, "it is the old token");
        Ok(())
    })
    .await
}

async fn refreshes(client: &Client, installation: &Installation, aws: &FakeAws) -> Result<()> {
    let old = aws.latest_password().context("no token")?;
    let (home, cache) = (installation.home(), installation.token_cache());
    eventually_secret(client, home, &cache, PATIENCE, |_| Ok(())).await?;
    delete_secret(client, home, &cache).await?;
    for name in ["workday-pull", "workday-adopt"] {
        holds_other_than(client, name, &old).await?;
    }
    Ok(())
}
