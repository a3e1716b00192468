//! Ownership of Secrets: foreign ones are not changed, and ours are repaired.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{
        self, create_namespace, delete_secret, eventually_secret, label_namespace, patch_secret,
    },
    control_plane::{ControlPlane, Filter},
    daemon::{Daemon, Installation},
    fake_aws::FakeAws,
    wait::eventually,
};
use k8s_openapi::api::{core::v1::Secret, rbac::v1::ClusterRole};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams, PostParams, WatchParams},
};
use serde_json::{Value, json};

use crate::{bad_namespaces::check_pauses, rollout::HOST, scenario::Scenario};

/// The annotation with the release of a copy.
const KEPT_BY: &str = "ecr-refresher.io/kept-by";
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("a foreign Secret is not changed until it is deleted", foreign),
        Scenario::new("a Secret of another type is not changed until it is deleted", another_type),
        Scenario::new("a foreign Secret is adopted where the config says so", adopted),
        Scenario::new("a foreign Secret made between the list and the write is not lost", race),
        Scenario::new("a deleted copy is created again", deleted),
        Scenario::new("an edited copy is repaired in place, with one write", edited),
        Scenario::new("a client that fights over a copy is slowed down, and reported", fight),
        Scenario::new(
            "a conflict of managers (409) and another type (422) have different reasons",
            different_reasons,
        ),
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
    // With our annotation, so that it takes the API server to refuse: a type cannot be changed.
    let opaque = json!({
        "metadata": {
            "name": "opaque-pull",
            "annotations": { KEPT_BY: "opaque-home/opaque-ecr-refresher" },
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

/// The daemon has listed the Secrets and waits for AWS; meanwhile another client creates one of that name,
/// and the watch is too slow to show it: the API server refuses a write without force.
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
    let apply = PatchParams::apply(&installation.field_manager());
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

async fn fight(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let (aws, installation) = start(&control_plane, "fight").await?;
    create_namespace(&client, "fight-b", &[]).await?;
    let audit = control_plane.audit().from_now()?;
    let daemon = installation.start_ready(&aws).await?;
    let edit = json!({ "data": { ".dockerconfigjson": "e30=" } });
    for round in 0..6 {
        // As soon as it is right.
        eventually_secret(&client, "fight-a", "fight-pull", PATIENCE, |copy| {
            cluster::password(copy, HOST).map(drop)
        })
        .await?;
        if round % 2 == 0 {
            delete_secret(&client, "fight-a", "fight-pull").await?;
        } else {
            patch_secret(&client, "fight-a", "fight-pull", &edit).await?;
        }
    }
    let patches = Filter::default().verb("patch").resource("secrets").name("fight-pull");
    let patches_in = |namespace| audit.matching(&installation.user(), patches.namespace(namespace));
    let repairs = eventually("six writes in the audit log", PATIENCE, async || {
        let repairs = patches_in("fight-a")?;
        ensure!(repairs.len() >= 6, "{repairs:?}");
        Ok(repairs)
    })
    .await?;
    // The first write and two repairs came at once.
    check_pauses(&repairs, &[0.0, 0.0, 1.0, 2.0, 4.0])?;
    ensure!(patches_in("fight-b")?.len() == 1, "the other is none of their business");
    let log = daemon.log()?;
    let reported = |namespace: &str| {
        let warnings = log.lines().filter(|line| {
            line.contains("keeps changing this copy")
                && line.contains(&format!("\"namespace\":\"{namespace}\""))
        });
        warnings.count()
    };
    ensure!(reported("fight-a") >= 3 && reported("fight-b") == 0, "{}", reported("fight-a"));
    Ok(())
}

/// A daemon that may list the copies and not watch them does not know of a Secret made later: its
/// first write meets it.
async fn different_reasons(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    create_namespace(&client, "reason-409", &[]).await?;
    create_namespace(&client, "reason-422", &[("pulls", "yes")]).await?;
    let opaque = json!({
        "metadata": {
            "name": "reason-pull",
            "annotations": { KEPT_BY: "reason-home/reason-ecr-refresher" },
        },
        "stringData": { "key": "value" },
    });
    create_foreign(&control_plane, "reason-422", &opaque).await?;
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{
            "name": "reason-pull",
            "namespaces": { "allow": ["reason-*"], "selector": { "matchLabels": { "pulls": "yes" } } },
        }],
    });
    let aws = FakeAws::start().await?;
    let installation = Installation::new(&control_plane, "reason", config).await?;
    forbid_to_watch(&client, &installation, "reason-pull").await?;
    let daemon = installation.start_ready(&aws).await?;

    let foreign = json!({
        "metadata": { "name": "reason-pull" },
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": { ".dockerconfigjson": "{\"auths\":{\"theirs\":{}}}" },
    });
    let before = create_foreign(&control_plane, "reason-409", &foreign).await?;
    label_namespace(&client, "reason-409", "pulls", Some("yes")).await?;
    conflicts(&daemon, "reason-pull", 2.0).await?;
    for reason in ["owned_by_another", "invalid"] {
        let series = format!(
            "ecr_refresher_copy_writes_total{{reason=\"{reason}\",result=\"failure\",secret=\"reason-pull\"}}"
        );
        ensure!(daemon.metric(&series).await? > 0.0, "nothing is {reason}");
    }
    let audit = control_plane.audit();
    let patches = Filter::default().verb("patch").resource("secrets").name("reason-pull");
    for (namespace, code) in [("reason-409", 409), ("reason-422", 422)] {
        eventually("the refusal in the audit log", PATIENCE, async || {
            let tries = audit.matching(&installation.user(), patches.namespace(namespace))?;
            let all_refused = tries.iter().all(|request| request.code == code);
            ensure!(!tries.is_empty() && all_refused, "{tries:?}");
            Ok(())
        })
        .await?;
    }
    let after =
        cluster::secret(&client, "reason-409", "reason-pull").await?.context("it is gone")?;
    ensure!(before == after, "it was changed");
    Ok(())
}

/// Takes the right to watch the copies away from the daemon, which is not running yet.
async fn forbid_to_watch(client: &Client, installation: &Installation, secret: &str) -> Result<()> {
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let name = format!("{}.{}", installation.name(), installation.home());
    let mut role = roles.get(&name).await?;
    for rule in role.rules.iter_mut().flatten() {
        if rule.resource_names.iter().flatten().any(|name| name == secret) {
            rule.verbs.retain(|verb| verb != "watch");
        }
    }
    roles.replace(&name, &PostParams::default(), &role).await?;
    let copies: Api<Secret> = Api::all(installation.client().await?);
    let named = WatchParams::default().fields(&format!("metadata.name={secret}"));
    eventually("the watch to be forbidden", PATIENCE, async || {
        let answer = copies.watch(&named, "0").await.map(drop);
        let forbidden = matches!(&answer, Err(kube::Error::Api(status)) if status.is_forbidden());
        ensure!(forbidden, "{answer:?}");
        Ok(())
    })
    .await
}
