//! Whose a Secret is: what is foreign stays as it is, and what is ours is right again.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{self, create_namespace, delete_secret, eventually_secret, patch_secret},
    control_plane::{ControlPlane, Filter},
    daemon::{Daemon, Installation},
    fake_aws::FakeAws,
    wait::eventually,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{rollout::HOST, scenario::Scenario};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("a foreign Secret is left alone until it goes", foreign),
        Scenario::new("a Secret of another type is left alone until it goes", another_type),
        Scenario::new("a foreign Secret is adopted where the config says so", adopted),
        Scenario::new("a foreign Secret made between the list and the write is not lost", race),
        Scenario::new("a copy that is deleted is there again", deleted),
        Scenario::new("a copy that is edited is right again, in place, with one write", edited),
    ]
}

async fn start(control_plane: &Arc<ControlPlane>, name: &str) -> Result<(FakeAws, Installation)> {
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": format!("{name}-pull"), "namespaces": [format!("{name}-?")] }],
    });
    create_namespace(&control_plane.admin_client(), &format!("{name}-a"), &[]).await?;
    let aws = FakeAws::start().await?;
    Ok((aws, Installation::new(control_plane, name, config).await?))
}

async fn create_foreign(
    control_plane: &ControlPlane,
    namespace: &str,
    secret: &Value,
) -> Result<Secret> {
    let api: Api<Secret> = Api::namespaced(control_plane.admin_client(), namespace);
    Ok(api.create(&PostParams::default(), &serde_json::from_value(secret.clone())?).await?)
}

async fn conflicts(daemon: &Daemon, secret: &str, wanted: f64) -> Result<()> {
    let series = format!("ecr_refresher_copies{{secret=\"{secret}\",state=\"conflict\"}}");
    eventually(&format!("{wanted} conflicts"), PATIENCE, async || {
        let value = daemon.metric(&series).await?;
        ensure!(value.to_bits() == wanted.to_bits(), "{value}");
        Ok(())
    })
    .await
}

async fn left_alone(control_plane: Arc<ControlPlane>, name: &str, foreign: Value) -> Result<()> {
    let client = control_plane.admin_client();
    let (aws, installation) = start(&control_plane, name).await?;
    let (namespace, secret) = (format!("{name}-a"), format!("{name}-pull"));
    let before = create_foreign(&control_plane, &namespace, &foreign).await?;
    let daemon = installation.start_ready(&aws).await?;
    conflicts(&daemon, &secret, 1.0).await?;
    let during = cluster::secret(&client, &namespace, &secret).await?.context("it is gone")?;
    ensure!(before == during, "it was changed");

    delete_secret(&client, &namespace, &secret).await?;
    eventually_secret(&client, &namespace, &secret, PATIENCE, |copy| {
        cluster::password(copy, HOST).map(drop)
    })
    .await?;
    conflicts(&daemon, &secret, 0.0).await
}

async fn foreign(control_plane: Arc<ControlPlane>) -> Result<()> {
    let foreign = json!({
        "metadata": { "name": "foreign-pull" },
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": { ".dockerconfigjson": "{\"auths\":{}}" },
    });
    left_alone(control_plane, "foreign", foreign).await
}

async fn another_type(control_plane: Arc<ControlPlane>) -> Result<()> {
    // With our label, so that it takes the API server to refuse: a type cannot be changed.
    let opaque = json!({
        "metadata": {
            "name": "opaque-pull",
            "labels": { "app.kubernetes.io/managed-by": "ecr-refresher" },
        },
        "stringData": { "key": "value" },
    });
    left_alone(control_plane, "opaque", opaque).await
}

async fn adopted(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    create_namespace(&client, "adopt-a", &[]).await?;
    let aws = FakeAws::start().await?;
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": "adopt-pull", "namespaces": ["adopt-?"], "onConflict": "adopt" }],
    });
    let installation = Installation::new(&control_plane, "adopt", config).await?;
    let foreign = json!({
        "metadata": { "name": "adopt-pull", "labels": { "theirs": "stays" } },
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": { ".dockerconfigjson": "{\"auths\":{}}" },
    });
    let before = create_foreign(&control_plane, "adopt-a", &foreign).await?;
    let daemon = installation.start(&aws).await?;
    let after = eventually_secret(&client, "adopt-a", "adopt-pull", PATIENCE, |copy| {
        cluster::password(copy, HOST).map(drop)
    })
    .await?;
    ensure!(before.uid() == after.uid(), "it was made anew");
    ensure!(after.labels().contains_key("theirs"), "their label is gone");
    conflicts(&daemon, "adopt-pull", 0.0).await
}

/// The daemon has listed the Secrets and waits for AWS; meanwhile somebody makes one of that name,
/// and the watch is too slow to tell: a write without force is refused by the API server.
async fn race(control_plane: Arc<ControlPlane>) -> Result<()> {
    let (_aws, installation) = start(&control_plane, "race").await?;
    let foreign = json!({
        "metadata": { "name": "race-pull" },
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": { ".dockerconfigjson": "{\"auths\":{\"theirs\":{}}}" },
    });
    let before = create_foreign(&control_plane, "race-a", &foreign).await?;
    // What the daemon sends for a copy that it has not seen.
    let api: Api<Secret> = Api::namespaced(installation.client().await?, "race-a");
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "race-pull" },
        "type": "kubernetes.io/dockerconfigjson",
        "data": { ".dockerconfigjson": "e30=" },
    });
    let apply = PatchParams::apply("ecr-refresher");
    let refused = api.patch_metadata("race-pull", &apply, &Patch::Apply(&manifest)).await;
    ensure!(
        matches!(&refused, Err(kube::Error::Api(status)) if status.is_conflict()),
        "{refused:?}"
    );
    let admin = control_plane.admin_client();
    let after = cluster::secret(&admin, "race-a", "race-pull").await?.context("it is gone")?;
    ensure!(before == after, "it was changed");
    Ok(())
}

async fn deleted(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let (aws, installation) = start(&control_plane, "gone").await?;
    let _daemon = installation.start_ready(&aws).await?;
    delete_secret(&client, "gone-a", "gone-pull").await?;
    eventually_secret(&client, "gone-a", "gone-pull", PATIENCE, |_| Ok(())).await?;
    Ok(())
}

async fn edited(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let (aws, installation) = start(&control_plane, "drift").await?;
    let _daemon = installation.start_ready(&aws).await?;
    let good = cluster::secret(&client, "drift-a", "drift-pull").await?.context("no copy")?;
    let label = "app.kubernetes.io/managed-by";
    let patches = Filter::default().verb("patch").name("drift-pull");
    for edit in [
        json!({ "data": { ".dockerconfigjson": "e30=" } }),
        json!({ "metadata": { "labels": { label: "somebody" } } }),
        json!({ "metadata": { "labels": { label: null } } }),
        json!({ "metadata": { "annotations": { "ecr-refresher.io/expires-at": "2040-01-01T00:00:00Z" } } }),
        json!({ "metadata": { "annotations": { "ecr-refresher.io/content-hash": null } } }),
    ] {
        let audit = control_plane.audit().from_now()?;
        patch_secret(&client, "drift-a", "drift-pull", &edit).await?;
        let healed = eventually_secret(&client, "drift-a", "drift-pull", PATIENCE, |copy| {
            ensure!(copy.data == good.data, "other data");
            ensure!(copy.labels() == good.labels(), "other labels");
            ensure!(copy.annotations() == good.annotations(), "other annotations");
            Ok(())
        })
        .await?;
        ensure!(healed.uid() == good.uid(), "it was made anew");
        // A request may be in the log a moment after its answer.
        let writes = eventually("the write in the audit log", PATIENCE, async || {
            let writes = audit.count(&installation.user(), patches)?;
            ensure!(writes > 0);
            Ok(writes)
        })
        .await?;
        ensure!(writes == 1, "{writes} writes after {edit}");
    }
    Ok(())
}
