//! The chart as Helm renders it: what an operator would get, and nothing made up for a test.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, oneshot::pinned_kind};
use kube::{Api, Client};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::tools::Tool;

/// The chart's folder.
pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../helm/ecr-refresher");

/// The field manager of what is applied.
const INSTALLER: &str = "helm";

/// Renders the chart with `values` over its defaults; each object has its namespace, if its kind
/// has one and the chart says so. Blocks; builds Helm first where it is missing.
///
/// # Errors
/// When Helm refuses the values (its words are in the error) or its output cannot be read.
pub fn render(values: &Value, release: &str, namespace: &str) -> Result<Vec<Value>> {
    render_file(values_file(values)?.path(), release, namespace)
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
        .arg("--skip-tests")
        .output()
        .context("starting helm")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "helm template failed: {errors}");
    documents(&String::from_utf8(output.stdout)?)
}

/// The files of values that show what the chart can do, in the order of their names.
///
/// # Errors
/// When their folder cannot be read.
pub fn examples() -> Result<Vec<PathBuf>> {
    files(&Path::new(CHART).join("ci"), "-values.yaml")
}

/// The files of values that the chart is to refuse, in the order of their names.
///
/// # Errors
/// When their folder cannot be read.
pub fn bad_values() -> Result<Vec<PathBuf>> {
    files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/chart/bad-values")), ".yaml")
}

fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let failed = || format!("reading {}", folder.display());
    let mut files = Vec::new();
    for entry in folder.read_dir().with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        if path.to_string_lossy().ends_with(ending) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// These values in a file, which goes with the value that is returned.
///
/// # Errors
/// When it cannot be written.
pub fn values_file(values: &Value) -> Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().suffix(".json").tempfile()?;
    write!(file, "{values}").context("writing the chart's values")?;
    Ok(file)
}

/// Applies all objects except the Deployment, as an administrator would with `helm install`, into
/// `namespace`, which is made first.
///
/// # Errors
/// When the API server refuses an object.
pub async fn install(client: &Client, namespace: &str, objects: &[Value]) -> Result<()> {
    let home = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace },
    });
    apply(client, namespace, &home).await?;
    for object in objects {
        if object["kind"] != "Deployment" {
            apply(client, namespace, object).await?;
        }
    }
    Ok(())
}

/// Applies an object, which has to be right in every field.
///
/// # Errors
/// When the API server refuses it.
pub async fn apply(client: &Client, namespace: &str, object: &Value) -> Result<()> {
    apply_with(client, namespace, object, &PatchParams::apply(INSTALLER).force()).await
}

/// Has the API server judge an object as [`apply`] would, and keep nothing of it.
///
/// # Errors
/// When it refuses the object.
pub async fn try_out(client: &Client, namespace: &str, object: &Value) -> Result<()> {
    let parameters = PatchParams::apply(INSTALLER).force().dry_run();
    apply_with(client, namespace, object, &parameters).await
}

async fn apply_with(
    client: &Client,
    namespace: &str,
    object: &Value,
    parameters: &PatchParams,
) -> Result<()> {
    let object: DynamicObject = serde_json::from_value(object.clone())?;
    let name = object.metadata.name.as_deref().context("an object without a name")?;
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
    // An unknown field is an error.
    let parameters = parameters.clone().validation_strict();
    api.patch_metadata(name, &parameters, &Patch::Apply(&object))
        .await
        .with_context(|| format!("applying {} {name}", kind.kind))?;
    Ok(())
}

/// The first object of a kind.
///
/// # Errors
/// When there is none.
pub fn find<'a>(objects: &'a [Value], kind: &str) -> Result<&'a Value> {
    let object = objects.iter().find(|object| object["kind"] == kind);
    object.with_context(|| format!("the chart renders no {kind}"))
}

/// The daemon's config file, out of its `ConfigMap`.
///
/// # Errors
/// When there is none.
pub fn config(objects: &[Value]) -> Result<&str> {
    let text = objects.iter().find_map(|object| object["data"]["config.yaml"].as_str());
    text.context("the chart has no ConfigMap with a config.yaml")
}

/// The template of the daemon's Pod, of the Deployment or the `CronJob`.
///
/// # Errors
/// When there is neither.
pub fn pod_template(objects: &[Value]) -> Result<&Value> {
    match find(objects, "Deployment") {
        Ok(deployment) => Ok(&deployment["spec"]["template"]),
        Err(_) => Ok(&find(objects, "CronJob")?["spec"]["jobTemplate"]["spec"]["template"]),
    }
}

/// The name that the chart gives to the daemon.
///
/// # Errors
/// When its container has none.
pub fn daemon_name(objects: &[Value]) -> Result<String> {
    let container = &pod_template(objects)?["spec"]["containers"][0];
    let variables = container["env"].as_array().context("its container has no variables")?;
    let name = variables.iter().find(|variable| variable["name"] == "ECR_REFRESHER_NAME");
    let name = name.and_then(|variable| variable["value"].as_str());
    Ok(name.context("its container has no ECR_REFRESHER_NAME")?.to_owned())
}

/// The objects in a text of many YAML documents; empty ones are left out.
///
/// # Errors
/// When it is not YAML.
pub fn documents(text: &str) -> Result<Vec<Value>> {
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
