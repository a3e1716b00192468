//! `check --cluster`, with the chart's rights and with fewer.

use std::{
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    chart,
    control_plane::ControlPlane,
    daemon::Installation,
    fake_aws::{FakeAws, Fault, Operation, Rule},
    wait::eventually,
};
use serde_json::{Value, json};

use crate::scenario::Scenario;

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("check --cluster finds all rights of the chart, and gets tokens", good),
        Scenario::new("check --cluster names each missing right, and why AWS refuses", bad),
        Scenario::new("check --cluster is not good while a registry gives no credentials", denied),
        Scenario::new("the YAML of check --cluster grants the missing rights", granted),
    ]
}

fn config() -> Value {
    json!({
        "registries": [
            { "name": "main", "ecr": { "region": "eu-west-1" } },
            { "name": "other", "ecr": { "region": "eu-west-1", "accounts": ["123456789012"] } },
        ],
        "secrets": [{
            "name": "check-pull",
            "namespaces": ["check-?"],
            "serviceAccounts": ["default"],
        }],
    })
}

async fn check(installation: &Installation, aws: &FakeAws, format: &str) -> Result<Output> {
    let mut command = installation.check_command(aws)?;
    command.args(["--output", format]);
    output(command).await
}

async fn output(mut command: Command) -> Result<Output> {
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

async fn good(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let installation = Installation::new(&control_plane, "check", config()).await?;
    let text = check(&installation, &aws, "text").await?;
    let said = String::from_utf8(text.stdout)?;
    ensure!(text.status.code() == Some(0), "{said}{}", String::from_utf8_lossy(&text.stderr));
    ensure!(said.contains("registry main: gives a token until 20"), "{said}");
    ensure!(said.contains(", AWS identity arn:aws:"), "{said}");
    ensure!(said.contains("as system:serviceaccount:check-home:check"), "{said}");
    ensure!(said.contains(" at https://127.0.0.1:"), "{said}");
    ensure!(said.ends_with("rights in the cluster are granted\n"), "{said}");
    ensure!(aws.count(Operation::GetCallerIdentity) == 1, "both registries have one identity");
    ensure!(aws.count(Operation::GetAuthorizationToken) == 1);
    ensure!(!aws.latest_password().is_some_and(|it| said.contains(&it)), "the token is shown");
    Ok(())
}

async fn bad(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    aws.fail_with(Fault::ExpiredToken);
    let installation = Installation::new(&control_plane, "lacking", config()).await?;
    // The chart was installed for another pull Secret than the config has now.
    let mut edited = config();
    edited["secrets"][0]["name"] = json!("check-renamed");
    std::fs::write(installation.config(), edited.to_string())?;
    let answer = check(&installation, &aws, "json").await?;
    ensure!(answer.status.code() == Some(1));
    let cluster = &serde_json::from_slice::<Value>(&answer.stdout)?["cluster"];
    let missing = cluster["missingRights"].as_array().context("no missing rights")?;
    let verbs: Vec<_> = missing.iter().filter_map(|right| right["verb"].as_str()).collect();
    ensure!(verbs == ["list", "watch", "create", "patch", "delete"], "{missing:?}");
    ensure!(missing.iter().all(|right| right["name"] == "check-renamed"), "{missing:?}");
    let registry = &cluster["registries"][0];
    ensure!(registry["reason"] == "expired_credentials", "{registry}");
    Ok(())
}

async fn denied(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    aws.fail(Rule::always(Fault::AccessDenied).on(Operation::GetAuthorizationToken));
    let mut config = config();
    config["registries"][1] = json!({ "name": "hub", "file": { "path": "/no/such/file.json" } });
    let installation = Installation::new(&control_plane, "denied", config).await?;
    let answer = check(&installation, &aws, "json").await?;
    ensure!(answer.status.code() == Some(1));
    let cluster = &serde_json::from_slice::<Value>(&answer.stdout)?["cluster"];
    ensure!(cluster["missingRights"] == json!([]), "{cluster}");
    let [main, hub] = [0, 1].map(|index| &cluster["registries"][index]);
    ensure!(main["reason"] == "access_denied", "{main}");
    let message = main["message"].as_str().unwrap_or_default();
    ensure!(
        message.contains("ecr:GetAuthorizationToken") && message.contains("arn:aws:"),
        "{main}"
    );
    ensure!(main["arn"].as_str().is_some_and(|arn| arn.starts_with("arn:aws:")), "{main}");
    ensure!(hub["registry"] == "hub" && hub["reason"] == "file", "{hub}");
    Ok(())
}

async fn granted(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let installation = Installation::new(&control_plane, "granted", config()).await?;
    let mut edited = config();
    edited["secrets"][0]["name"] = json!("granted-renamed");
    std::fs::write(installation.config(), edited.to_string())?;
    let account = installation.user();
    let check_as = async || {
        let arguments =
            ["check", "--cluster", "--as", &account, "--namespace", installation.home()];
        let admin = control_plane.admin_kubeconfig();
        output(installation.subcommand(&arguments, installation.name(), &aws, admin)?).await
    };
    let answer = check_as().await?;
    let said = String::from_utf8(answer.stdout)?;
    ensure!(
        answer.status.code() == Some(1) && said.contains(&format!("as {account} at ")),
        "{said}"
    );
    let (_, yaml) = said.split_once("apply:\n").context("no YAML")?;
    for object in chart::documents(yaml)? {
        chart::apply(&control_plane.admin_client(), installation.home(), &object).await?;
    }
    eventually("the rights to be in force", Duration::from_secs(10), async || {
        let said = String::from_utf8(check_as().await?.stdout)?;
        ensure!(said.ends_with("rights in the cluster are granted\n"), "{said}");
        Ok(())
    })
    .await
}
