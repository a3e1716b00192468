//! A stolen token of the daemon against the chart's admission policy, on a real API server.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{create_namespace, patch_secret, secret},
    control_plane::ControlPlane,
    daemon::Installation,
    fake_aws::FakeAws,
    release,
    tools::Tool,
    wait::eventually,
};
use k8s_openapi::api::{
    admissionregistration::v1::ValidatingAdmissionPolicyBinding, core::v1::Secret,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
    core::PartialObjectMeta,
};
use serde_json::{Value, json};

use crate::{chart_policy::refused, events::eventually_event, scenario::Scenario};

const TIMEOUT: Duration = Duration::from_secs(30);
const KEPT_BY: &str = "ecr-refresher.io/kept-by";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

pub(crate) fn tests() -> Vec<Scenario> {
    [
        Scenario::new("with the daemon's token, every attack on a Secret is refused", attacks),
        Scenario::new("with the daemon's token, every ordinary write is accepted", ordinary),
        Scenario::new("the daemon verifies the policy, and reports that it is missing", verified),
    ]
    .map(|scenario| scenario.needing(&[Tool::Helm]))
    .into()
}

/// The daemon's rights in one namespace, for the Secret of one name.
struct Target {
    secrets: Api<Secret>,
    namespace: String,
    manager: String,
    secret: Value,
}

impl Target {
    /// A Secret as the daemon writes it: a copy, or the token cache.
    async fn new(installation: &Installation, namespace: &str, name: &str) -> Result<Self> {
        let secret = if name == installation.token_cache() {
            json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": { "name": name, "labels": { MANAGED_BY: "ecr-refresher" } },
                "type": "Opaque",
                "data": { "tokens.json": "e30=" },
            })
        } else {
            release::copy(&installation.release(), name, "e30=")
        };
        let secrets = Api::namespaced(installation.client().await?, namespace);
        let manager = installation.field_manager();
        Ok(Self { secrets, namespace: namespace.to_owned(), manager, secret })
    }

    fn name(&self) -> &str {
        self.secret["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Applies the Secret with the changes of a merge patch, by force.
    async fn apply(&self, changes: &Value) -> kube::Result<PartialObjectMeta<Secret>> {
        let mut secret = self.secret.clone();
        json_patch::merge(&mut secret, changes);
        let apply = PatchParams::apply(&self.manager).force();
        self.secrets.patch_metadata(self.name(), &apply, &Patch::Apply(secret)).await
    }
}

async fn install(control_plane: &Arc<ControlPlane>, name: &str) -> Result<(Installation, Target)> {
    let namespace = format!("{name}-a");
    create_namespace(&control_plane.admin_client(), &namespace, &[]).await?;
    let pull = format!("{name}-pull");
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{
            "name": pull,
            // At home too, where the daemon verifies the policy.
            "namespaces": [namespace, format!("{name}-home")],
            "labels": { "tier": "prod" },
            "annotations": { "example.com/contact": "it's us" },
        }],
    });
    let installation = Installation::new(control_plane, name, config).await?;
    let copy = Target::new(&installation, &namespace, &pull).await?;
    Ok((installation, copy))
}

async fn attacks(control_plane: Arc<ControlPlane>) -> Result<()> {
    let (installation, copy) = install(&control_plane, "thief").await?;
    let (home, pull) = (installation.home(), copy.name());
    let copy_at_home = Target::new(&installation, home, pull).await?;
    let cache = Target::new(&installation, home, &installation.token_cache()).await?;
    let service_account_token = json!({
        "type": "kubernetes.io/service-account-token",
        "metadata": { "annotations": { "kubernetes.io/service-account.name": "default" } },
        "data": null,
    });
    let owner = json!({ "apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "b" });
    let attacks = [
        ("type", service_account_token),
        ("type", json!({ "type": "bootstrap.kubernetes.io/token" })),
        ("keys", json!({ "data": { "more": "e30=" } })),
        ("label", json!({ "metadata": { "labels": null } })),
        ("label", json!({ "metadata": { "labels": { MANAGED_BY: "Helm" } } })),
        (
            "labels",
            json!({ "metadata": { "labels": { "argocd.argoproj.io/secret-type": "cluster" } } }),
        ),
        ("labels", json!({ "metadata": { "labels": { "tier": "test" } } })),
        ("labels", json!({ "metadata": { "labels": { "empty": "" } } })),
        (
            "annotations",
            json!({ "metadata": { "annotations": { "replicator.v1.mittwald.de/replicate-from": "kube-system/a" } } }),
        ),
        ("annotations", json!({ "metadata": { "annotations": { "example.com/empty": "" } } })),
        ("fields", json!({ "immutable": true })),
        ("fields", json!({ "metadata": { "finalizers": ["example.com/stuck"] } })),
        ("fields", json!({ "metadata": { "ownerReferences": [owner] } })),
    ];
    for target in [&copy, &copy_at_home, &cache] {
        let Target { namespace, .. } = target;
        for (rule, attack) in &attacks {
            let context = || format!("{attack} on {} in {namespace}", target.name());
            refused(target.apply(attack).await, rule).with_context(context)?;
        }
        let found = secret(&control_plane.admin_client(), namespace, target.name()).await?;
        ensure!(found.is_none(), "{namespace}/{} was written", target.name());
    }
    let others = json!({ "metadata": { "annotations": { KEPT_BY: "other/refresher" } } });
    let of_copies = [
        ("labels", json!({ "metadata": { "labels": { "ecr-refresher.io/release": "a.b" } } })),
        ("release", json!({ "metadata": { "annotations": null } })),
        ("release", others.clone()),
    ];
    for (rule, attack) in &of_copies {
        refused(copy.apply(attack).await, rule).with_context(|| attack.to_string())?;
    }
    // The same on a copy that exists.
    copy.apply(&json!({})).await?;
    for (rule, attack) in attacks.iter().chain(&of_copies).filter(|(rule, _)| *rule != "type") {
        refused(copy.apply(attack).await, rule).with_context(|| attack.to_string())?;
    }
    // What another release keeps can neither be written nor deleted.
    let admin = control_plane.admin_client();
    let delete =
        async || copy.secrets.delete(copy.name(), &DeleteParams::default()).await.map(drop);
    patch_secret(
        &admin,
        &copy.namespace,
        copy.name(),
        &json!({ "metadata": { "managedFields": [{}] } }),
    )
    .await?;
    refused(delete().await, "ours").context("a copy without an apply of ours")?;
    patch_secret(&admin, &copy.namespace, copy.name(), &others).await?;
    refused(copy.apply(&json!({})).await, "ours")?;
    refused(delete().await, "ours")
}

async fn ordinary(control_plane: Arc<ControlPlane>) -> Result<()> {
    let admin = control_plane.admin_client();
    let (installation, copy) = install(&control_plane, "honest").await?;
    let cache =
        Target::new(&installation, installation.home(), &installation.token_cache()).await?;
    cache.apply(&json!({})).await.context("to create the token cache")?;
    let configured = json!({ "metadata": {
        "labels": { "tier": "prod" },
        "annotations": {
            "example.com/contact": "it's us",
            "ecr-refresher.io/expires-at": "2030-01-01T00:00:00Z",
        },
    } });
    copy.apply(&configured).await.context("to create a copy")?;

    // A tenant's keys, labels, annotations and finalizers prevent no repair.
    let theirs = json!({
        "metadata": {
            "labels": { "theirs": "" },
            "annotations": { "theirs": "too" },
            "finalizers": ["example.com/theirs"],
        },
        "data": { "theirs": "e30=", ".dockerconfigjson": "eyJhdXRocyI6e319" },
    });
    patch_secret(&admin, &copy.namespace, copy.name(), &theirs).await?;
    copy.apply(&configured).await.context("to repair a copy")?;
    let repaired = secret(&admin, &copy.namespace, copy.name()).await?.context("it is gone")?;
    ensure!(repaired.labels().contains_key("theirs"), "the label of the tenant is gone");
    let none = json!({ "metadata": { "finalizers": null } });
    patch_secret(&admin, &copy.namespace, copy.name(), &none).await
}

async fn verified(control_plane: Arc<ControlPlane>) -> Result<()> {
    const ENFORCED: &str = "ecr_refresher_admission_policy_enforced";
    let admin = control_plane.admin_client();
    let (installation, _) = install(&control_plane, "verified").await?;
    let aws = FakeAws::start().await?;
    let check = async || {
        let mut command = installation.check_command(&aws)?;
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        anyhow::Ok((output.status.code(), String::from_utf8(output.stdout)?))
    };
    let daemon = installation.start_ready(&aws).await?;
    daemon.metric_becomes(ENFORCED, 1.0).await?;
    let (code, text) = check().await?;
    ensure!(code == Some(0) && text.contains("the admission policy is enforced"), "{text}");
    ensure!(daemon.stop().await?.success());

    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(admin.clone());
    let binding = format!("{}.{}", installation.name(), installation.home());
    bindings.delete(&binding, &DeleteParams::default()).await?;
    eventually("the policy to be gone", TIMEOUT, async || {
        let (code, text) = check().await?;
        ensure!(code == Some(1) && text.contains("the admission policy is missing"), "{text}");
        Ok(())
    })
    .await?;
    let daemon = installation.start_ready(&aws).await?;
    daemon.metric_becomes(ENFORCED, 0.0).await?;
    ensure!(daemon.log()?.contains("becomes cluster-admin"), "it is not logged");
    let (home, cache) = (installation.home(), installation.token_cache());
    eventually_event(&admin, home, &cache, "AdmissionPolicyMissing").await.map(drop)
}
