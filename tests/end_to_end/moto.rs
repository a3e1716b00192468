//! The STS and ECR of moto, an independent fake.

use std::{
    fs,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use ecr_refresher_tests::{
    cluster::{self, create_namespace, eventually_secret},
    control_plane::ControlPlane,
    daemon::{Daemon, Installation},
    fake_aws::{FakeAws, Verdict},
    moto::Moto,
    tools::Tool,
    wait::eventually,
};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::{
    identities::{PATIENCE, REGION, failures, host, in_log, install},
    scenario::Scenario,
};

const ONE: &str = "111111111111";
const TWO: &str = "222222222222";

pub(crate) fn tests() -> Vec<Scenario> {
    [
        Scenario::new("moto's sessions of roles in two accounts get the tokens of both", roles),
        Scenario::new("moto gives a session for the token file of a web identity", web_identity),
        Scenario::new("moto's token of 2015 is refused without a spin", dead_on_arrival),
    ]
    .map(|scenario| scenario.needing(&[Tool::Moto]))
    .into()
}

async fn roles(control_plane: Arc<ControlPlane>) -> Result<()> {
    let (aws, moto) = (FakeAws::start().await?, Moto::start().await?);
    let registries = [("one", ONE), ("two", TWO)].map(|(name, account)| {
        let role = json!({ "roleArn": format!("arn:aws:iam::{account}:role/puller"), "sessionName": "night" });
        json!({ "name": name, "ecr": { "region": REGION, "assumeRole": role } })
    });
    let (_installation, daemon) =
        start(&control_plane, &aws, &moto, "moto-roles", json!(registries), |_| ()).await?;
    for account in [ONE, TWO] {
        is_accepted(&control_plane, &aws, "moto-roles", account).await?;
        let arn = format!("arn:aws:sts::{account}:assumed-role/puller/night");
        in_log(&daemon, &["AWS calls use this identity", &arn]).await?;
    }
    // A session for each, and the identity of each.
    ensure!(moto.requests()? == 4, "{} requests", moto.requests()?);
    Ok(())
}

async fn web_identity(control_plane: Arc<ControlPlane>) -> Result<()> {
    let (aws, moto) = (FakeAws::start().await?, Moto::start().await?);
    let folder = tempfile::tempdir()?;
    let token = folder.path().join("token");
    fs::write(&token, "a.projected.token")?;
    let registries = json!([{ "name": "main", "ecr": { "region": REGION } }]);
    let of_pod = |command: &mut Command| {
        command
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY")
            .env("AWS_REGION", REGION)
            .env("AWS_ROLE_ARN", format!("arn:aws:iam::{ONE}:role/irsa"))
            .env("AWS_ROLE_SESSION_NAME", "pod")
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", &token);
    };
    let (_installation, daemon) =
        start(&control_plane, &aws, &moto, "moto-web", registries, of_pod).await?;
    is_accepted(&control_plane, &aws, "moto-web", ONE).await?;
    in_log(&daemon, &["AWS calls use this identity", ONE]).await
}

async fn dead_on_arrival(control_plane: Arc<ControlPlane>) -> Result<()> {
    let (aws, moto) = (FakeAws::start().await?, Moto::start().await?);
    let registries = json!([{ "name": "main", "ecr": { "region": REGION } }]);
    let of_moto = |command: &mut Command| {
        command.env("AWS_ENDPOINT_URL_ECR", moto.endpoint());
    };
    let (_installation, daemon) =
        start(&control_plane, &aws, &moto, "moto-dead", registries, of_moto).await?;
    let said = ["\"reason\":\"bad_response\"", "2015-01-01T00:00:00Z"];
    in_log(&daemon, &said).await?;

    // The first delay is 1 s, and each is at least that.
    let (start, before) = (Instant::now(), failures(&daemon, "bad_response").await?);
    let more = 3.0;
    eventually("more failures", PATIENCE, async || {
        let now = failures(&daemon, "bad_response").await?;
        ensure!(now >= before + more, "{now} of them");
        Ok(())
    })
    .await?;
    let least = Duration::from_secs(2);
    ensure!(start.elapsed() >= least, "{more} failures in {:?}", start.elapsed());
    let client = control_plane.admin_client();
    let copy = cluster::secret(&client, "moto-dead-a", "moto-dead-pull").await?;
    ensure!(copy.is_none(), "a copy was written");
    Ok(())
}

/// Starts the daemon with moto as STS, and with what `add` adds to its environment.
async fn start(
    control_plane: &Arc<ControlPlane>,
    aws: &FakeAws,
    moto: &Moto,
    name: &str,
    registries: Value,
    add: impl FnOnce(&mut Command),
) -> Result<(Installation, Daemon)> {
    create_namespace(&control_plane.admin_client(), &format!("{name}-a"), &[]).await?;
    let installation = install(control_plane, name, registries).await?;
    let mut command = installation.command(aws)?;
    command.env("AWS_ENDPOINT_URL_STS", moto.endpoint());
    add(&mut command);
    let daemon = installation.start_command(&command).await?;
    Ok((installation, daemon))
}

/// Waits for the copy, and has ECR check its token for an account.
async fn is_accepted(
    control_plane: &ControlPlane,
    aws: &FakeAws,
    name: &str,
    account: &str,
) -> Result<()> {
    let accepted = |copy: &Secret| {
        let password = cluster::password(copy, &host(account))?;
        let verdict = aws.verdict(account, REGION, "AWS", &password);
        ensure!(verdict == Verdict::Accepted, "{verdict:?}");
        Ok(())
    };
    let client = control_plane.admin_client();
    let (namespace, secret) = (format!("{name}-a"), format!("{name}-pull"));
    eventually_secret(&client, &namespace, &secret, PATIENCE, accepted).await.map(drop)
}
