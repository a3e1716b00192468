//! A foreign Secret with the name of the pull Secret.

use anyhow::{Result, ensure};
use ecr_refresher_tests::cluster::delete_secret;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::PostParams};
use serde_json::json;

use super::super::scene::Scene;
use super::super::stage::{LEADER, SECRET, Stage};
use super::copies::{copy, counts_are, is_good, time_to_copy};

const NAMESPACE: &str = "monitoring";

pub(super) async fn foreign_secret(scene: &Scene<'_>) -> Result<String> {
    let stage = scene.stage;
    let foreign = make_foreign(stage).await?;
    scene.note(format!("{NAMESPACE} has a Secret {SECRET} for registry.example.com"));
    let tried = stage.counts(LEADER).await?.failed_writes;
    stage.allow(NAMESPACE)?;
    let counts = counts_are(stage, "the conflict to be counted", |counts| {
        ensure!(counts.conflict == 1, "{} conflicts", counts.conflict);
        ensure!(counts.listed.contains(NAMESPACE), "{NAMESPACE} is not on the list");
        Ok(())
    });
    let counts = counts.await?;
    scene.note(format!("{NAMESPACE} is on the list, and the metrics show 1 copy in conflict"));
    scene.pause().await;
    ensure!(copy(stage, NAMESPACE).await? == foreign, "the foreign Secret was changed");
    ensure!(counts.failed_writes == tried, "it was tried to overwrite the foreign Secret");
    scene.note("the foreign Secret is untouched; now its owner deletes it");

    let client = stage.client();
    let took = time_to_copy(stage, NAMESPACE, delete_secret(&client, NAMESPACE, SECRET)).await?;
    counts_are(stage, "the conflict to be over", |counts| {
        ensure!(counts.conflict == 0, "{} conflicts", counts.conflict);
        Ok(())
    })
    .await?;
    is_good(&copy(stage, NAMESPACE).await?, stage)?;
    let took = took.as_millis();
    Ok(format!("the foreign Secret stayed; once it went, the copy came in {took} ms"))
}

async fn make_foreign(stage: &Stage) -> Result<Secret> {
    let document = json!({ "auths": { "registry.example.com": { "auth": "bWU6aHVzaA==" } } });
    let secret = serde_json::from_value(json!({
        "metadata": { "name": SECRET },
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": { ".dockerconfigjson": document.to_string() },
    }))?;
    let api: Api<Secret> = Api::namespaced(stage.client(), NAMESPACE);
    Ok(api.create(&PostParams::default(), &secret).await?)
}
