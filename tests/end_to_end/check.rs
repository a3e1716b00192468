//! `check --cluster`, with the chart's rights and with fewer.

use std::{process::Output, sync::Arc};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    control_plane::ControlPlane,
    daemon::Installation,
    fake_aws::{FakeAws, Fault, Operation},
};
use serde_json::{Value, json};

use crate::scenario::Scenario;

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("check --cluster finds all rights of the chart, and the AWS identity", good),
        Scenario::new("check --cluster names each missing right, and why AWS refuses", bad),
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
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

async fn good(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let installation = Installation::new(&control_plane, "check", config()).await?;
    let text = check(&installation, &aws, "text").await?;
    let said = String::from_utf8(text.stdout)?;
    ensure!(text.status.code() == Some(0), "{said}{}", String::from_utf8_lossy(&text.stderr));
    ensure!(said.contains("registry main: AWS identity arn:aws:"), "{said}");
    ensure!(said.ends_with("rights in the cluster are granted\n"), "{said}");
    ensure!(aws.count(Operation::GetCallerIdentity) == 1, "both registries have one identity");
    ensure!(aws.count(Operation::GetAuthorizationToken) == 0);
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
    let identity = &cluster["identities"][0];
    ensure!(identity["reason"] == "expired_credentials", "{identity}");
    Ok(())
}
