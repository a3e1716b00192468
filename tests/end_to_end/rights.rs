//! With the daemon's token, nothing can be done but its job.

use std::{fmt::Debug, sync::Arc};

use anyhow::{Result, bail, ensure};
use ecr_refresher_tests::{
    cluster::create_namespace, control_plane::ControlPlane, daemon::Installation, release,
};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::scenario::Scenario;

pub(crate) fn tests() -> Vec<Scenario> {
    vec![Scenario::new(
        "with the daemon's token, get, list, create, patch and delete of another Secret are 403",
        another_secret_is_out_of_reach,
    )]
}

async fn another_secret_is_out_of_reach(control_plane: Arc<ControlPlane>) -> Result<()> {
    let admin = control_plane.admin_client();
    create_namespace(&admin, "rights-a", &[]).await?;
    let foreign: Secret = serde_json::from_value(json!({ "metadata": { "name": "foreign" } }))?;
    let create = PostParams::default();
    Api::namespaced(admin, "rights-a").create(&create, &foreign).await?;
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": "rights-pull", "namespaces": ["rights-?"] }],
    });
    let installation = Installation::new(&control_plane, "rights", config).await?;
    let client = installation.client().await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "rights-a");
    let everywhere: Api<Secret> = Api::all(client.clone());
    let apply = PatchParams::apply(&installation.field_manager()).force();
    let manifest = |name: &str| {
        Patch::Apply(json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name } }))
    };

    ensure_forbidden(secrets.get("foreign").await)?;
    ensure_forbidden(secrets.list(&ListParams::default()).await)?;
    ensure_forbidden(everywhere.list(&ListParams::default()).await)?;
    ensure_forbidden(secrets.create(&create, &foreign).await)?;
    ensure_forbidden(secrets.patch("foreign", &apply, &manifest("foreign")).await)?;
    ensure_forbidden(secrets.delete("foreign", &DeleteParams::default()).await)?;
    let maps: Api<ConfigMap> = Api::namespaced(client, "rights-a");
    ensure_forbidden(maps.list(&ListParams::default()).await)?;

    // The control: the same requests with the pull Secret's name are allowed.
    let copy = release::copy(&installation.release(), "rights-pull", "e30=");
    secrets.patch("rights-pull", &apply, &Patch::Apply(copy)).await?;
    let named = ListParams::default().fields("metadata.name=rights-pull");
    ensure!(everywhere.list(&named).await?.items.len() == 1);
    // Even a copy cannot be read by itself: there is no need to.
    ensure_forbidden(secrets.get("rights-pull").await)
}

fn ensure_forbidden<T: Debug>(answer: kube::Result<T>) -> Result<()> {
    match answer {
        Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(()),
        other => bail!("expected a refusal, and not {other:?}"),
    }
}
