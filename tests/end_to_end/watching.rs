//! `--watch`.

use std::{fs, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use ecr_refresher_tests::{
    cluster::{create, create_namespace},
    control_plane::ControlPlane,
    daemon::program,
    wait::eventually,
};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::json;
use tokio::process::Command;

use crate::{commands::config, scenario::Scenario};

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![Scenario::new("with --watch, each state is shown, one after the other", each_state)]
}

async fn each_state(control_plane: Arc<ControlPlane>) -> Result<()> {
    let admin = control_plane.admin_client();
    create_namespace(&admin, "watched-a", &[]).await?;
    let folder = tempfile::tempdir()?;
    fs::write(
        folder.path().join("config.yaml"),
        config("watched", &json!(["watched-?"])).to_string(),
    )?;
    // What each shows of a missing copy, and of a foreign Secret.
    let row = |colour: &str, row: &str| {
        format!("\u{1b}[{colour}mwatched-pull   watched-a   {row}\u{1b}[0m\n")
    };
    let commands = [
        ("status", row("31", "missing   -"), row("31", "conflict   -")),
        ("plan", row("33", "create   it is missing"), "skip   a foreign Secret".to_owned()),
        ("explain", "copy     missing".to_owned(), "copy     conflict".to_owned()),
    ];
    let mut watching = Vec::new();
    for (name, ..) in &commands {
        let mut command = Command::new(program()?);
        command.args([name, "--watch"]).arg("--kubeconfig").arg(control_plane.admin_kubeconfig());
        if *name == "explain" {
            command.arg("watched-a");
        } else {
            command.args(["--no-headers", "--color", "always"]);
        }
        command.args(["--config", "config.yaml"]).current_dir(&folder);
        command.stdout(fs::File::create(folder.path().join(name))?);
        watching.push(command.kill_on_drop(true).spawn()?);
    }
    let expect = async |name: &str, parts: &[&String]| {
        eventually("the state", PATIENCE, async || {
            let shown = fs::read_to_string(folder.path().join(name))?;
            let mut rest = shown.as_str();
            for part in parts {
                let found = rest.split_once(part.as_str());
                ensure!(found.is_some(), "{name} shows {shown:?}, and {part:?} is not there");
                rest = found.map_or("", |(_, rest)| rest);
            }
            Ok(())
        })
        .await
    };
    for (name, missing, _) in &commands {
        expect(name, &[missing]).await?;
    }
    let secrets: Api<Secret> = Api::namespaced(admin, "watched-a");
    create(&secrets, json!({ "metadata": { "name": "watched-pull" } })).await?;
    for (name, missing, conflict) in &commands {
        expect(name, &[missing, conflict]).await?;
    }
    for process in &mut watching {
        ensure!(process.try_wait()?.is_none(), "it has ended");
    }
    let shown = fs::read_to_string(folder.path().join("status"))?;
    ensure!(shown.lines().count() == 2, "it shows what has not changed: {shown}");
    Ok(())
}
