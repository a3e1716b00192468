//! The chart's admission policy, on an API server.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{chart, wait::eventually};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Waits until the API server enforces the policy for this client, which takes it a moment.
///
/// # Errors
/// When it does not.
pub(crate) async fn in_force(client: &Client, home: &str, objects: &[Value]) -> Result<()> {
    let config: Value = serde_saphyr::from_str(chart::config(objects)?)?;
    let name = config["secrets"][0]["name"].as_str().context("there is no pull Secret")?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), home);
    let opaque = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name } });
    let apply = PatchParams::apply("harness").force().dry_run();
    eventually("the admission policy to be in force", TIMEOUT, async || {
        match secrets.patch_metadata(name, &apply, &Patch::Apply(&opaque)).await {
            Err(kube::Error::Api(status)) if status.code == 422 => Ok(()),
            other => bail!("{other:?}"),
        }
    })
    .await
}
