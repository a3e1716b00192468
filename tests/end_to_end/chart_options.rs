//! All options of the chart, judged by a real API server.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    chart,
    cluster::create_namespace,
    control_plane::ControlPlane,
    helm::{Helm, Release},
    tools::Tool,
    wait::eventually,
};
use k8s_openapi::{
    api::core::v1::{Pod, ServiceAccount},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
    runtime::conditions,
};
use serde_json::{Value, json};

use crate::scenario::Scenario;

const PATIENCE: Duration = Duration::from_secs(20);

/// The kinds of the Prometheus operator that a chart of this sort may render.
const OPERATOR_KINDS: [&str; 3] = ["servicemonitors", "podmonitors", "prometheusrules"];

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::alone(
            "every option of the chart is accepted by the API server, field by field",
            accepted,
        )
        .needing(&[Tool::Helm, Tool::PrometheusOperatorKinds]),
        Scenario::new(
            "with any options except hostNetwork, the Pod is admitted as restricted",
            restricted,
        )
        .needing(&[Tool::Helm]),
    ]
}

async fn accepted(control_plane: ControlPlane) -> Result<()> {
    let client = control_plane.admin_client();
    install_operator_kinds(&client).await?;
    let helm = Helm::new(control_plane.admin_kubeconfig()).await?;
    create_namespace(&client, "options", &[]).await?;
    let release = Release { name: "options", namespace: "options" };
    let mut monitors = 0;
    for values in chart::examples()? {
        let name = values.display();
        let installed = helm.try_out(release, &values).await.with_context(|| format!("{name}"))?;
        ensure!(installed.notes.contains("kubectl"), "{name}: {}", installed.notes);
        for object in &installed.objects {
            // Some objects may be meant for another namespace.
            if let Some(namespace) = object["metadata"]["namespace"].as_str() {
                chart::apply(&client, "", &namespace_of(namespace)).await?;
            }
            chart::try_out(&client, "options", object).await.with_context(|| format!("{name}"))?;
            let group = object["apiVersion"].as_str().unwrap_or_default();
            monitors += usize::from(group == "monitoring.coreos.com/v1");
        }
    }
    ensure!(monitors >= 2, "the kinds of the operator were not tried");
    ensure_strict(&client).await
}

fn namespace_of(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })
}

/// The control: a field that the API server does not know is an error, of its own kinds and others.
async fn ensure_strict(client: &Client) -> Result<()> {
    for (version, kind, spec) in [
        ("apps/v1", "Deployment", "replica"),
        ("monitoring.coreos.com/v1", "ServiceMonitor", "endpoint"),
    ] {
        let object = json!({
            "apiVersion": version, "kind": kind, "metadata": { "name": "typo" },
            "spec": { spec: 1 },
        });
        let error = chart::try_out(client, "options", &object).await.err();
        let error = format!("{:#}", error.with_context(|| format!("{spec} was accepted"))?);
        ensure!(error.contains(spec), "{error}");
    }
    Ok(())
}

async fn install_operator_kinds(client: &Client) -> Result<()> {
    let folder = tokio::task::spawn_blocking(|| Tool::PrometheusOperatorKinds.path()).await??;
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for kind in OPERATOR_KINDS {
        let file = folder.join(format!("monitoring.coreos.com_{kind}.yaml"));
        let definition = chart::documents(&std::fs::read_to_string(&file)?)?;
        for object in &definition {
            chart::apply(client, "", object).await.with_context(|| file.display().to_string())?;
        }
        let name = format!("{kind}.monitoring.coreos.com");
        eventually(&format!("{name} to be served"), PATIENCE, async || {
            let established = conditions::is_crd_established();
            let definition = api.get(&name).await?;
            ensure!(conditions::Condition::matches_object(&established, Some(&definition)));
            Ok(())
        })
        .await?;
    }
    Ok(())
}

async fn restricted(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let enforce = ("pod-security.kubernetes.io/enforce", "restricted");
    create_namespace(&client, "restricted", &[enforce]).await?;
    let mut refused = Vec::new();
    for values in chart::examples()? {
        let template = pod_template(&values).await?;
        create_account(&client, &template).await?;
        let on_host = template["spec"]["hostNetwork"] == true;
        let pod = json!({
            "metadata": { "name": "restricted", "labels": template["metadata"]["labels"] },
            "spec": template["spec"],
        });
        let create = PostParams { dry_run: true, ..PostParams::default() };
        let pods: Api<Pod> = Api::namespaced(client.clone(), "restricted");
        let answer = pods.create(&create, &serde_json::from_value(pod)?).await;
        match answer {
            Err(kube::Error::Api(status)) if on_host => {
                let reason = "violates PodSecurity \"restricted:latest\": host namespaces";
                ensure!(status.message.contains(reason), "{}", status.message);
                refused.push(values);
            }
            answer => {
                answer.with_context(|| values.display().to_string())?;
                ensure!(!on_host, "{} was admitted", values.display());
            }
        }
    }
    ensure!(!refused.is_empty(), "hostNetwork was not tried");
    Ok(())
}

async fn pod_template(values: &Path) -> Result<Value> {
    let values = values.to_owned();
    let rendering = move || chart::render_file(&values, "restricted", "restricted");
    let objects = tokio::task::spawn_blocking(rendering).await??;
    Ok(chart::pod_template(&objects)?.clone())
}

/// A Pod is admitted only once its ServiceAccount is there.
async fn create_account(client: &Client, template: &Value) -> Result<()> {
    let name = template["spec"]["serviceAccountName"].as_str().context("no ServiceAccount")?;
    let account =
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name } });
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), "restricted");
    api.patch(name, &PatchParams::apply("test"), &Patch::Apply(&account)).await?;
    Ok(())
}
