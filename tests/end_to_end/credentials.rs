//! Each link of the AWS SDK's chain of credentials, in a daemon that has no other.

use std::{fs, process::Command, sync::Arc};

use anyhow::{Result, ensure};
use ecr_refresher_tests::{
    cluster::{self, create_namespace, eventually_secret},
    control_plane::ControlPlane,
    fake_aws::{FakeAws, Operation, POD_IDENTITY_PATH, Verdict},
    process::write_script,
};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::{
    identities::{PATIENCE, REGION, host, in_log, install},
    scenario::Scenario,
};

const ACCOUNT: &str = "111111111111";
const ROLE: &str = "arn:aws:iam::111111111111:role/puller";
const SESSION: &str = "arn:aws:sts::111111111111:assumed-role/puller/";

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("credentials and region come from a profile", profile),
        Scenario::new("credentials come from a program that the profile names", program),
        Scenario::new("credentials come from EKS Pod Identity", pod_identity),
        Scenario::new("credentials come from the token file of a web identity", web_identity),
        Scenario::new(
            "a web identity needs no region but that of the registry in the config",
            web_identity_without_region,
        ),
        Scenario::new("credentials come from the metadata of the machine", instance_metadata),
    ]
}

async fn profile(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    aws.add_identity("AKIAPROFILE", ACCOUNT, format!("{SESSION}of-a-profile"));
    let folder = tempfile::tempdir()?;
    let [config, keys] = ["config", "credentials"].map(|name| folder.path().join(name));
    fs::write(&config, format!("[profile pulls]\nregion = {REGION}\n"))?;
    fs::write(
        &keys,
        "[pulls]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = example\n",
    )?;
    asks_as(&control_plane, &aws, "profile", |command| {
        command
            .env_remove("AWS_REGION")
            .env("AWS_PROFILE", "pulls")
            .env("AWS_CONFIG_FILE", &config)
            .env("AWS_SHARED_CREDENTIALS_FILE", &keys);
    })
    .await
}

async fn program(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    aws.add_identity("AKIAPROGRAM", ACCOUNT, format!("{SESSION}of-a-program"));
    let folder = tempfile::tempdir()?;
    let [program, config] = ["keys.sh", "config"].map(|name| folder.path().join(name));
    let keys = json!({ "Version": 1, "AccessKeyId": "AKIAPROGRAM", "SecretAccessKey": "example" });
    write_script(&program, &format!("echo '{keys}'"))?;
    fs::write(&config, format!("[default]\ncredential_process = {}\n", program.display()))?;
    asks_as(&control_plane, &aws, "program", |command| {
        command.env("AWS_CONFIG_FILE", &config);
    })
    .await
}

async fn pod_identity(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    aws.serve_pod_identity(ROLE, "the-token-of-the-pod");
    let folder = tempfile::tempdir()?;
    let token = folder.path().join("eks-pod-identity-token");
    fs::write(&token, "the-token-of-the-pod")?;
    let agent = format!("{}{POD_IDENTITY_PATH}", aws.endpoint());
    asks_as(&control_plane, &aws, "pod-identity", |command| {
        command
            .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &agent)
            .env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token);
    })
    .await
}

async fn web_identity(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let folder = tempfile::tempdir()?;
    let token = folder.path().join("token");
    fs::write(&token, "header.claims.signature")?;
    asks_as(&control_plane, &aws, "web-identity", |command| {
        command.env("AWS_ROLE_ARN", ROLE).env("AWS_WEB_IDENTITY_TOKEN_FILE", &token);
    })
    .await?;
    ensure!(aws.count(Operation::AssumeRoleWithWebIdentity) == 1);
    Ok(())
}

async fn web_identity_without_region(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let folder = tempfile::tempdir()?;
    let token = folder.path().join("token");
    fs::write(&token, "header.claims.signature")?;
    let registries = json!([{ "name": "main", "ecr": { "region": REGION } }]);
    asks_for(&control_plane, &aws, "no-region", registries, |command| {
        command
            .env_remove("AWS_REGION")
            .env("AWS_ROLE_ARN", ROLE)
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", &token);
    })
    .await
}

async fn instance_metadata(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    aws.serve_instance_metadata(ROLE);
    asks_as(&control_plane, &aws, "metadata", |command| {
        command
            .env_remove("AWS_EC2_METADATA_DISABLED")
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", aws.endpoint());
    })
    .await
}

/// Starts a daemon with no credentials but those of `link`, and waits for a copy with a token of
/// the account.
async fn asks_as(
    control_plane: &Arc<ControlPlane>,
    aws: &FakeAws,
    name: &str,
    link: impl FnOnce(&mut Command),
) -> Result<()> {
    asks_for(control_plane, aws, name, json!([{ "name": "main", "ecr": {} }]), link).await
}

/// The same for the registries of a config.
async fn asks_for(
    control_plane: &Arc<ControlPlane>,
    aws: &FakeAws,
    name: &str,
    registries: Value,
    link: impl FnOnce(&mut Command),
) -> Result<()> {
    let client = control_plane.admin_client();
    create_namespace(&client, &format!("{name}-a"), &[]).await?;
    let installation = install(control_plane, name, registries).await?;
    let mut command = installation.command(aws)?;
    command
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env("HOME", "/nonexistent")
        .env("AWS_REGION", REGION);
    link(&mut command);
    let daemon = installation.start_command(&command).await?;
    let accepted = |copy: &Secret| {
        let password = cluster::password(copy, &host(ACCOUNT))?;
        let verdict = aws.verdict(ACCOUNT, REGION, "AWS", &password);
        ensure!(verdict == Verdict::Accepted, "{verdict:?}");
        Ok(())
    };
    let (namespace, secret) = (format!("{name}-a"), format!("{name}-pull"));
    eventually_secret(&client, &namespace, &secret, PATIENCE, accepted).await?;
    in_log(&daemon, &["AWS calls use this identity", SESSION]).await
}
