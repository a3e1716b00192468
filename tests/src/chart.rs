//! The chart as Helm renders it: what an operator would get, and nothing made up for a test.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, oneshot::pinned_kind};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::tools::Tool;

/// The chart's folder.
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../helm/ecr-refresher");

/// The field manager of what [`install`] applies.
const INSTALLER: &str = "helm";

/// Renders the chart with `values` over its defaults; each object has its namespace, if its kind
/// has one and the chart says so. Blocks; builds Helm first where it is missing.
///
/// # Errors
/// When Helm refuses the values (its words are in the error) or its output cannot be read.
pub fn render(values: &Value, release: &str, namespace: &str) -> Result<Vec<Value>> {
    let mut file = tempfile::Builder::new().suffix(".json").tempfile()?;
    write!(file, "{values}").context("writing the chart's values")?;
    render_file(file.path(), release, namespace)
}

/// As [`render`], with the values in a file.
///
/// # Errors
/// As for [`render`].
pub fn render_file(values: &Path, release: &str, namespace: &str) -> Result<Vec<Value>> {
    let output = Command::new(Tool::Helm.path()?)
        .args(["template", release, CHART, "--namespace", namespace])
        .arg("--values")
        .arg(values)
        // What the API server has that the chart asks it for.
        .args(["--api-versions", "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy"])
        .arg("--skip-tests")
        .output()
        .context("starting helm")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "helm template failed: {errors}");
    documents(&String::from_utf8(output.stdout)?)
}

/// Applies all but the Deployment, as an administrator who runs `helm install` would, into
/// `namespace`, which is made first. Returns the daemon's configuration out of its `ConfigMap`.
///
/// # Errors
/// When the API server refuses an object, or there is no configuration among them.
pub async fn install(client: &Client, namespace: &str, objects: &[Value]) -> Result<String> {
    let home = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace },
    });
    apply(client, namespace, &home).await?;
    for object in objects {
        if object["kind"] != "Deployment" {
            apply(client, namespace, object).await?;
        }
    }
    let text = objects
        .iter()
        .find_map(|object| object["data"]["config.yaml"].as_str())
        .context("the chart has no ConfigMap with a config.yaml")?;
    Ok(text.to_owned())
}

async fn apply(client: &Client, namespace: &str, object: &Value) -> Result<()> {
    let object: DynamicObject = serde_json::from_value(object.clone())?;
    let name = object.metadata.name.clone().context("an object without a name")?;
    let types = object.types.as_ref().context("an object without a kind")?;
    let kind = GroupVersionKind::try_from(types)?;
    let (resource, capabilities) = pinned_kind(client, &kind).await?;
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = object.metadata.namespace.as_deref().unwrap_or(namespace);
            Api::namespaced_with(client.clone(), namespace, &resource)
        }
    };
    let parameters = PatchParams::apply(INSTALLER).force();
    api.patch_metadata(&name, &parameters, &Patch::Apply(&object))
        .await
        .with_context(|| format!("applying {} {name}", kind.kind))?;
    Ok(())
}

/// The objects in a text of many YAML documents; empty ones are left out.
fn documents(text: &str) -> Result<Vec<Value>> {
    // As Helm itself reads numbers: `0440` is a file mode.
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options)
        .context("reading what helm rendered")?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_as_helm_means_them() {
        let text = "---\n# Source: a\nkind: A\nmode: 0440\n---\n---\nkind: B\ntext: |\n  a: 1\n";
        let documents = documents(text).unwrap();
        assert_eq!(
            documents,
            [json!({ "kind": "A", "mode": 288 }), json!({ "kind": "B", "text": "a: 1\n" })]
        );
    }
}
