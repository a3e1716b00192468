//! The daemon as a process: its exit codes, its probes, its last words.

use std::{process::Command, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use ecr_refresher_tests::{
    cluster::{create_namespace, document, eventually_secret},
    control_plane::ControlPlane,
    daemon::{self, Installation},
    fake_aws::{FakeAws, Fault},
    process::Guarded,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::scenario::Scenario;

const PATIENCE: Duration = Duration::from_secs(30);
/// What the passwords in a registry's file begin with, so that a log that shows one is found.
pub(crate) const FILE_PASSWORD: &str = "password-of-a-file";

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("it is not ready before its first sync, and then it is", readiness),
        Scenario::new("on SIGTERM it ends with exit code 0", sigterm),
        Scenario::new("a port in use ends it with exit code 1 and the reason", port_in_use),
        Scenario::new("a wrong config ends it with exit code 2 and every place", wrong_config),
        Scenario::new("check warns about FIPS hosts where ECR has no FIPS endpoint", warned),
        Scenario::new(
            "a variable overrides a key, and is named when it is wrong",
            variables_override,
        ),
        Scenario::new("a docker config file is merged with the token", a_file_registry),
    ]
}

fn config(name: &str) -> Value {
    json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": format!("{name}-pull"), "namespaces": [format!("{name}-?")] }],
    })
}

async fn readiness(control_plane: Arc<ControlPlane>) -> Result<()> {
    create_namespace(&control_plane.admin_client(), "ready-a", &[]).await?;
    let aws = FakeAws::start().await?;
    aws.fail_with(Fault::ServerError(503));
    let installation = Installation::new(&control_plane, "ready", config("ready")).await?;
    let daemon = installation.start(&aws).await?;
    ensure!(daemon.get("/healthz").await?.0 == 200);
    let (status, body) = daemon.get("/readyz").await?;
    ensure!(status == 503 && body.contains("first sync"), "{status}: {body}");
    ensure!(daemon.get("/nowhere").await?.0 == 404);
    aws.heal();
    daemon.ready().await?;
    let build = format!("ecr_refresher_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    ensure!(daemon.metric(&build).await? > 0.0);
    ensure!(daemon.metric("ecr_refresher_config_last_reload_successful").await? > 0.0);
    ensure!(daemon.metric("process_resident_memory_bytes").await? > 0.0);
    let watch = r#"ecr_refresher_watch_last_event_timestamp_seconds{resource="namespaces"}"#;
    ensure!(daemon.metric(watch).await? > 0.0);
    Ok(())
}

async fn sigterm(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let installation = Installation::new(&control_plane, "sigterm", config("sigterm")).await?;
    let daemon = installation.start_ready(&aws).await?;
    let status = daemon.stop().await?;
    ensure!(status.code() == Some(0), "{status}");
    Ok(())
}

async fn port_in_use(control_plane: Arc<ControlPlane>) -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0").await?;
    let address = taken.local_addr()?.to_string();
    let aws = FakeAws::start().await?;
    let installation = Installation::new(&control_plane, "in-use", config("in-use")).await?;
    let mut command = installation.command(&aws)?;
    command.env("ECR_REFRESHER__LISTEN", &address);
    let log = daemon::logs()?.join("in-use.log");
    let mut process = Guarded::spawn("ecr-refresher", &command, &log)?;
    ensure!(process.wait(PATIENCE).await?.code() == Some(1));
    let words = process.log_tail();
    ensure!(words.contains(&format!("could not listen at {address}")), "{words}");
    Ok(())
}

async fn wrong_config(_: Arc<ControlPlane>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, "registries: []\nsecrets:\n  - name: a\n    namespaces: []\n")?;
    for arguments in [&["check", "--config"][..], &["run", "--config"]] {
        let output = Command::new(daemon::program()?).args(arguments).arg(&path).output()?;
        ensure!(output.status.code() == Some(2), "{}", output.status);
        let words = String::from_utf8(output.stderr)?;
        ensure!(words.contains("there is no registry"), "{words}");
        let place = format!("{}:4:5: the allow-list is empty", path.display());
        ensure!(words.contains(&place), "{words}");
    }
    let json = Command::new(daemon::program()?)
        .args(["check", "-o", "json", "--config"])
        .arg(&path)
        .output()?;
    let result: Value = serde_json::from_slice(&json.stdout)?;
    ensure!(json.status.code() == Some(2) && result["valid"] == false, "{result}");
    ensure!(result["problems"][1]["line"] == 4, "{result}");
    Ok(())
}

async fn warned(_: Arc<ControlPlane>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("config.yaml");
    let ecr = "{ region: eu-west-1, variants: [standard, fips] }";
    let text = format!(
        "registries: [{{ name: main, ecr: {ecr} }}]\nsecrets: [{{ name: a, namespaces: [a] }}]\n"
    );
    std::fs::write(&path, text)?;
    let check = |format: &str| -> Result<String> {
        let mut command = Command::new(daemon::program()?);
        let output = command.args(["check", "-o", format, "--config"]).arg(&path).output()?;
        ensure!(output.status.code() == Some(0), "{}", output.status);
        // Warnings are on standard error, or in the JSON.
        Ok(String::from_utf8([output.stderr, output.stdout].concat())?)
    };
    let warning = "ECR has no FIPS endpoint in the region `eu-west-1`";
    let text = check("text")?;
    let line = format!("warning: {}:1:", path.display());
    let warned = text.lines().any(|it| it.starts_with(&line) && it.contains(warning));
    ensure!(warned, "{text}");
    let result: Value = serde_json::from_str(&check("json")?)?;
    let [found] = &result["warnings"].as_array().context("no warnings")?[..] else {
        bail!("{result}")
    };
    ensure!(found["line"] == 1 && result["valid"] == true, "{result}");
    ensure!(found["message"].as_str().is_some_and(|it| it.starts_with(warning)), "{result}");
    Ok(())
}

async fn variables_override(_: Arc<ControlPlane>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, config("variables").to_string())?;
    let check = |variable: &str, value: &str| -> Result<(Option<i32>, String)> {
        let mut command = Command::new(daemon::program()?);
        let output =
            command.args(["check", "--config"]).arg(&path).env(variable, value).output()?;
        Ok((output.status.code(), String::from_utf8(output.stderr)?))
    };
    ensure!(check("ECR_REFRESHER__REFRESH__AT_FRACTION", "0.4")?.0 == Some(0));
    let (code, words) = check("ECR_REFRESHER__WRITER__CONCURRENCY", "0")?;
    ensure!(
        code == Some(2) && words.contains("`0` is not a valid number for `writer.concurrency`"),
        "{words}"
    );
    let (code, words) = check("ECR_REFRESHER__WRITER__CONCURENCY", "7")?;
    let expected = "ECR_REFRESHER__WRITER__CONCURENCY: unknown key `concurency`; did you mean \
                    `concurrency`?\n";
    ensure!(code == Some(2) && words == expected, "{words}");
    // The file has this key too, and is right.
    let (code, words) = check("ECR_REFRESHER__SECRETS", "ecr-pull")?;
    ensure!(code == Some(2) && words.starts_with("ECR_REFRESHER__SECRETS: "), "{words}");
    Ok(())
}

async fn a_file_registry(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    create_namespace(&client, "file-a", &[]).await?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("dockerhub.json");
    let write = |password: &str| {
        let document = json!({ "auths": { "https://index.docker.io/v1/": {
            "username": "me", "password": format!("{FILE_PASSWORD}-{password}") } } });
        std::fs::write(&path, document.to_string())
    };
    write("one")?;
    let aws = FakeAws::start().await?;
    let mut config = config("file");
    config["refresh"] = json!({ "spread": "0s" });
    let registries = config["registries"].as_array_mut().context("no registries")?;
    registries.push(json!({ "name": "dockerhub", "file": { "path": &path } }));
    let installation = Installation::new(&control_plane, "file", config).await?;
    let _daemon = installation.start_ready(&aws).await?;

    let holds = |password: &'static str| {
        let password = format!("{FILE_PASSWORD}-{password}");
        move |secret: &_| {
            let document = document(secret)?;
            let hosts = document["auths"].as_object().context("no auths")?;
            ensure!(hosts.len() == 2, "{:?}", hosts.keys());
            let entry = &document["auths"]["https://index.docker.io/v1/"];
            ensure!(entry["password"] == *password, "another password");
            Ok(())
        }
    };
    eventually_secret(&client, "file-a", "file-pull", PATIENCE, holds("one")).await?;
    write("two")?;
    eventually_secret(&client, "file-a", "file-pull", PATIENCE, holds("two")).await?;
    Ok(())
}
