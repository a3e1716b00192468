//! The chart's admission policy on a real API server: what RBAC cannot say.

use std::{fmt::Debug, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use ecr_refresher_tests::{
    chart,
    cluster::{self, create_namespace, patch_secret},
    control_plane::ControlPlane,
    daemon::Installation,
    release,
    tools::Tool,
    wait::eventually,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::PartialObjectMeta,
};
use serde_json::{Value, json};

use crate::scenario::Scenario;

const PATIENCE: Duration = Duration::from_secs(30);
const LABEL: &str = "app.kubernetes.io/managed-by";

pub(crate) fn tests() -> Vec<Scenario> {
    [
        Scenario::new(
            "with the daemon's token, no other Secret than its own can be written",
            other,
        ),
        Scenario::new(
            "with the daemon's token, a foreign Secret is neither taken nor deleted",
            foreign,
        ),
        Scenario::new("a foreign Secret that may be adopted is taken, and not deleted", adopted),
        Scenario::new(
            "with the daemon's token, a copy is made, refreshed, repaired and pruned",
            own,
        ),
        Scenario::new("the policy applies only to the daemon", only_the_daemon),
    ]
    .map(|scenario| scenario.needing(&[Tool::Helm]))
    .into()
}

/// An installation with its policy in force, and the daemon's identity in the namespace `NAME-a`.
struct Bound {
    installation: Installation,
    admin: Client,
    namespace: String,
    copies: Api<Secret>,
    name: String,
}

impl Bound {
    async fn new(control_plane: &Arc<ControlPlane>, name: &str, on_conflict: &str) -> Result<Self> {
        let secret = format!("{name}-pull");
        let namespace = format!("{name}-a");
        let admin = control_plane.admin_client();
        create_namespace(&admin, &namespace, &[]).await?;
        let config = json!({
            "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
            "secrets": [
                { "name": secret, "namespaces": [format!("{name}-?")], "onConflict": on_conflict },
            ],
        });
        let installation = Installation::new(control_plane, name, config).await?;
        let copies = Api::namespaced(installation.client().await?, &namespace);
        Ok(Self { installation, admin, namespace, copies, name: secret })
    }

    /// A copy as the daemon writes it.
    fn copy(&self, document: &str) -> Value {
        release::copy(&self.installation.release(), &self.name, document)
    }

    /// Applies by force with the daemon's token, as a thief would.
    async fn apply(&self, secret: &Value) -> kube::Result<PartialObjectMeta<Secret>> {
        let apply = PatchParams::apply(&self.installation.field_manager()).force();
        self.copies.patch_metadata(&self.name, &apply, &Patch::Apply(secret)).await
    }

    async fn edit(&self, edit: &Value) -> kube::Result<PartialObjectMeta<Secret>> {
        self.copies.patch_metadata(&self.name, &PatchParams::default(), &Patch::Merge(edit)).await
    }

    async fn delete(&self) -> kube::Result<()> {
        self.copies.delete(&self.name, &DeleteParams::default()).await.map(drop)
    }

    async fn create_foreign(&self, kind: &str) -> Result<Secret> {
        let secret = json!({
            "metadata": { "name": self.name, "labels": { "theirs": "stays" } },
            "type": kind,
            "data": { ".dockerconfigjson": "eyJhdXRocyI6e319" },
        });
        let api: Api<Secret> = Api::namespaced(self.admin.clone(), &self.namespace);
        Ok(api.create(&PostParams::default(), &serde_json::from_value(secret)?).await?)
    }

    async fn found(&self) -> Result<Option<Secret>> {
        cluster::secret(&self.admin, &self.namespace, &self.name).await
    }
}

/// Whether the answer is a refusal by that rule of the chart's policy, and not by RBAC.
pub(crate) fn refused<T: Debug>(answer: kube::Result<T>, rule: &str) -> Result<()> {
    match answer {
        Err(kube::Error::Api(status))
            if status.code == 422
                && status.message.contains("ValidatingAdmissionPolicy")
                && status.message.contains(&format!("rule `{rule}`")) =>
        {
            Ok(())
        }
        other => bail!("expected a refusal by the rule {rule}, and not {other:?}"),
    }
}

/// The object with some keys replaced.
fn with(object: &Value, keys: &Value) -> Value {
    let mut object = object.clone();
    if let (Some(object), Some(keys)) = (object.as_object_mut(), keys.as_object()) {
        object.extend(keys.clone());
    }
    object
}

async fn other(control_plane: Arc<ControlPlane>) -> Result<()> {
    let bound = Bound::new(&control_plane, "bound", "skip").await?;
    let copy = bound.copy("e30=");
    for kind in ["Opaque", "kubernetes.io/basic-auth", "kubernetes.io/service-account-token"] {
        let metadata = json!({
            "name": bound.name,
            "labels": { LABEL: "ecr-refresher" },
            "annotations": { "kubernetes.io/service-account.name": "default" },
        });
        let secret = json!({ "type": kind, "metadata": metadata, "data": { "username": "bWU=" } });
        refused(bound.apply(&with(&copy, &secret)).await, "type")?;
    }
    let unlabelled = json!({ "metadata": { "name": bound.name } });
    refused(bound.apply(&with(&copy, &unlabelled)).await, "label")?;
    let mislabelled = json!({ "metadata": { "name": bound.name, "labels": { LABEL: "me" } } });
    refused(bound.apply(&with(&copy, &mislabelled)).await, "label")?;
    ensure!(bound.found().await?.is_none(), "something was written");

    // Nor can the daemon's own copy be made another's.
    bound.apply(&copy).await?;
    let before = bound.found().await?;
    for label in [Value::Null, "me".into()] {
        let edit = json!({ "metadata": { "labels": { LABEL: label } } });
        refused(bound.edit(&edit).await, "label")?;
    }
    ensure!(bound.found().await? == before, "it was changed");
    Ok(())
}

async fn foreign(control_plane: Arc<ControlPlane>) -> Result<()> {
    let bound = Bound::new(&control_plane, "theirs", "skip").await?;
    let before = bound.create_foreign("kubernetes.io/dockerconfigjson").await?;
    ensure_untouchable(&bound).await?;
    ensure!(bound.found().await? == Some(before), "it was changed");

    // With the label of another tool it is foreign still.
    let edit = json!({ "metadata": { "labels": { LABEL: "Helm" } } });
    patch_secret(&bound.admin, &bound.namespace, &bound.name, &edit).await?;
    let before = bound.found().await?;
    ensure_untouchable(&bound).await?;
    ensure!(bound.found().await? == before, "it was changed");
    Ok(())
}

async fn ensure_untouchable(bound: &Bound) -> Result<()> {
    refused(bound.apply(&bound.copy("e30=")).await, "ours")?;
    let taken = json!({ "metadata": { "labels": { LABEL: "ecr-refresher" } } });
    refused(bound.edit(&taken).await, "ours")?;
    refused(bound.delete().await, "ours")
}

async fn adopted(control_plane: Arc<ControlPlane>) -> Result<()> {
    let bound = Bound::new(&control_plane, "taken", "adopt").await?;
    let before = bound.create_foreign("kubernetes.io/dockerconfigjson").await?;
    refused(bound.delete().await, "ours")?;
    let unlabelled = json!({ "metadata": { "name": bound.name } });
    refused(bound.apply(&with(&bound.copy("e30="), &unlabelled)).await, "label")?;
    ensure!(bound.found().await?.as_ref() == Some(&before), "it was changed");
    bound.apply(&bound.copy("e30=")).await?;
    let after = bound.found().await?.context("it is gone")?;
    ensure!(after.uid() == before.uid() && after.labels()[LABEL] == "ecr-refresher");
    Ok(())
}

async fn own(control_plane: Arc<ControlPlane>) -> Result<()> {
    let bound = Bound::new(&control_plane, "mine", "skip").await?;
    bound.apply(&bound.copy("e30=")).await.context("to make it")?;
    bound.apply(&bound.copy("eyJhdXRocyI6e319")).await.context("to refresh it")?;
    for label in [Value::Null, "me".into()] {
        let edit = json!({ "metadata": { "labels": { LABEL: label } } });
        patch_secret(&bound.admin, &bound.namespace, &bound.name, &edit).await?;
        bound.apply(&bound.copy("eyJhdXRocyI6e319")).await.context("to repair it")?;
        let copy = bound.found().await?.context("it is gone")?;
        ensure!(copy.labels()[LABEL] == "ecr-refresher");
    }
    bound.delete().await.context("to prune it")?;
    ensure!(bound.found().await?.is_none(), "it is there still");
    Ok(())
}

async fn only_the_daemon(control_plane: Arc<ControlPlane>) -> Result<()> {
    let bound = Bound::new(&control_plane, "free", "skip").await?;
    let tenant = tenant(&control_plane, &bound).await?;
    for client in [bound.admin.clone(), tenant] {
        let api: Api<Secret> = Api::namespaced(client, &bound.namespace);
        let opaque = json!({ "metadata": { "name": bound.name }, "stringData": { "a": "b" } });
        api.create(&PostParams::default(), &serde_json::from_value(opaque)?).await?;
        let edit = Patch::Merge(json!({ "metadata": { "labels": { LABEL: "me" } } }));
        api.patch_metadata(&bound.name, &PatchParams::default(), &edit).await?;
        api.delete(&bound.name, &DeleteParams::default()).await?;
    }
    Ok(())
}

/// A tenant with the role `edit` in the namespace.
async fn tenant(control_plane: &ControlPlane, bound: &Bound) -> Result<Client> {
    let namespace = &bound.namespace;
    let account =
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "tenant" } });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": { "name": "tenant" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit" },
        "subjects": [{ "kind": "ServiceAccount", "name": "tenant", "namespace": namespace }],
    });
    for object in [account, binding] {
        chart::apply(&bound.admin, namespace, &object).await?;
    }
    let client = control_plane.client_for(namespace, "tenant").await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    eventually("the tenant's rights", PATIENCE, async || {
        secrets.list(&kube::api::ListParams::default()).await?;
        Ok(())
    })
    .await?;
    Ok(client)
}
