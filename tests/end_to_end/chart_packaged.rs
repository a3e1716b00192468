//! The chart as a release packages it, and as a part of another chart.

use std::{fs, path::Path, process::Command, sync::Arc};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    chart::{self, CHART},
    control_plane::ControlPlane,
    helm::Helm,
    tools::Tool,
};
use serde_json::{Value, json};

use crate::scenario::Scenario;

const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/package-chart");
const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::apart("a mirror replaces the host of the released chart's image", mirrored)
            .needing(&[Tool::Helm]),
        Scenario::new("another chart has this one as a dependency with a condition", umbrella)
            .needing(&[Tool::Helm]),
    ]
}

fn config() -> Value {
    json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": "umbrella-pull", "namespaces": ["umbrella-?"] }],
    })
}

async fn mirrored() -> Result<()> {
    tokio::task::spawn_blocking(|| {
        let (helm, folder) = (Tool::Helm.path()?, tempfile::tempdir()?);
        let mut package = Command::new(PACKAGE);
        package.arg("ghcr.io/owner/ecr-refresher").arg(folder.path()).env("HELM", &helm);
        output(&mut package)?;
        let archive = folder.path().join(format!("ecr-refresher-{VERSION}.tgz"));
        for (values, image) in [
            (json!({}), "ghcr.io/owner/ecr-refresher"),
            (
                json!({ "global": { "imageRegistry": "mirror.example.com" } }),
                "mirror.example.com/owner/ecr-refresher",
            ),
            (
                json!({ "image": { "registry": "mirror.example.com/hub" } }),
                "mirror.example.com/hub/owner/ecr-refresher",
            ),
        ] {
            let mut values = values;
            values["config"] = config();
            let file = chart::values_file(&values)?;
            let mut template = Command::new(&helm);
            template.args(["template", "mirrored"]).arg(&archive).arg("--values").arg(file.path());
            let objects = chart::documents(&output(&mut template)?)?;
            let found = &chart::pod_template(&objects)?["spec"]["containers"][0]["image"];
            ensure!(*found == format!("{image}:{VERSION}"), "{found}");
        }
        Ok(())
    })
    .await?
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

async fn umbrella(control_plane: Arc<ControlPlane>) -> Result<()> {
    let helm = Helm::new(control_plane.admin_kubeconfig()).await?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_str().context("the path is not UTF-8")?;
    write_umbrella(folder.path())?;
    helm.run(&["dependency", "build", path]).await?;
    for (enabled, kinds) in [("true", true), ("false", false)] {
        let condition = format!("ecr-refresher.enabled={enabled}");
        let name = format!("umbrella-{enabled}");
        let arguments = [
            "install",
            &name,
            path,
            "--namespace",
            &name,
            "--create-namespace",
            "--set",
            &condition,
        ];
        helm.run(&arguments).await?;
        let manifest = helm.run(&["get", "manifest", &name, "--namespace", &name]).await?;
        let objects = chart::documents(&manifest)?;
        ensure!(chart::find(&objects, "Deployment").is_ok() == kinds, "{enabled}: {manifest}");
        ensure!(objects.is_empty() != kinds, "{enabled}: {manifest}");
        helm.run(&["uninstall", &name, "--namespace", &name]).await?;
    }
    Ok(())
}

/// A chart with this one as its only part.
fn write_umbrella(folder: &Path) -> Result<()> {
    let chart = json!({
        "apiVersion": "v2", "name": "umbrella", "version": "1.0.0",
        "dependencies": [{
            "name": "ecr-refresher", "version": VERSION, "repository": format!("file://{CHART}"),
            "condition": "ecr-refresher.enabled",
        }],
    });
    fs::write(folder.join("Chart.yaml"), chart.to_string())?;
    fs::write(
        folder.join("values.yaml"),
        json!({ "ecr-refresher": { "enabled": true, "config": config() } }).to_string(),
    )?;
    Ok(())
}
