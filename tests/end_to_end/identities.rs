//! The AWS identities of calls: roles, key files, ECR Public, and identities that registries share.

use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{self, create_namespace, eventually_secret},
    control_plane::ControlPlane,
    daemon::{self, Daemon, Installation},
    fake_aws::{FakeAws, Fault, Operation, Rule, Verdict},
    process::Guarded,
    wait::eventually,
};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::{rollout::HOST, scenario::Scenario};

const LIFE: Duration = Duration::from_secs(8);
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);
pub(crate) const REGION: &str = "eu-west-1";
/// What no log may show.
const SECRET_KEY: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY";

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("roles in two accounts are assumed, each once, with its external id", roles),
        Scenario::new("a denied role is reported with the denied identity", a_denied_role),
        Scenario::new("a session that AWS no longer takes is replaced at once", a_dead_session),
        Scenario::new("key files that rotate are read again before the old ones fail", key_files),
        Scenario::new("ECR Public has its token beside a private registry", ecr_public),
        Scenario::new("a host of another region is reported with both", another_region),
        Scenario::new("a file's entry for a host of ECR is refused with both names", served_twice),
        Scenario::new("AWS is asked through the proxy that the environment names", through_a_proxy),
        Scenario::new(
            "without an answer about the identity, tokens are fetched nevertheless",
            unknown_identity,
        ),
    ]
}

async fn roles(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let role = |account: &str| format!("arn:aws:iam::{account}:role/team/puller");
    let registry = |name: &str, account: &str, id: &str| {
        let role = json!({ "roleArn": role(account), "externalId": id, "sessionName": "pulls" });
        json!({ "name": name, "ecr": { "region": REGION, "assumeRole": role } })
    };
    aws.require_external_id(role("111111111111"), "one-id");
    aws.require_external_id(role("222222222222"), "two-id");
    let registries = json!([
        registry("one", "111111111111", "one-id"),
        registry("two", "222222222222", "two-id"),
        { "name": "three", "ecr": { "region": REGION, "accounts": ["333333333333"],
            "assumeRole": { "roleArn": role("222222222222"), "externalId": "two-id", "sessionName": "pulls" } } },
    ]);
    let (_installation, daemon) = start(&control_plane, &aws, "roles", registries).await?;
    let copy = copy(&control_plane, "roles").await?;
    for account in ["111111111111", "222222222222"] {
        let password = cluster::password(&copy, &host(account))?;
        let verdict = aws.verdict(account, REGION, "AWS", &password);
        ensure!(verdict == Verdict::Accepted, "{verdict:?}");
    }
    let of_two = cluster::password(&copy, &host("222222222222"))?;
    ensure!(cluster::password(&copy, &host("333333333333"))? == of_two);
    ensure!(aws.count(Operation::AssumeRole) == 2);
    ensure!(aws.count(Operation::GetAuthorizationToken) == 2);

    eventually("both identities in the log", PATIENCE, async || {
        let log = daemon.log()?;
        for account in ["111111111111", "222222222222"] {
            let arn = format!("arn:aws:sts::{account}:assumed-role/puller/pulls");
            let line = log
                .lines()
                .find(|line| line.contains("AWS calls use this identity") && line.contains(&arn));
            ensure!(line.is_some_and(|line| line.contains("\"account\"")), "no {arn}");
        }
        Ok(())
    })
    .await?;
    ensure!(aws.count(Operation::GetCallerIdentity) == 2);
    ensure!(!daemon.log()?.contains("FakeSessionToken"), "the log shows a session's token");
    Ok(())
}

async fn a_denied_role(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let role = "arn:aws:iam::111111111111:role/puller";
    aws.require_external_id(role, "right");
    let registries = json!([{ "name": "main", "ecr": {
        "region": REGION, "assumeRole": { "roleArn": role, "externalId": "wrong" } } }]);
    let (_installation, daemon) = start_unready(&control_plane, &aws, "denied", registries).await?;
    let remedy = format!(
        "allow arn:aws:iam::123456789012:user/ecr-refresher sts:AssumeRole on {role}, have the role's \
         trust policy name it, and check `externalId`"
    );
    in_log(&daemon, &["\"reason\":\"access_denied\"", &remedy]).await
}

async fn a_dead_session(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    aws.set_token_life(LIFE);
    let role = json!({ "roleArn": "arn:aws:iam::123456789012:role/puller" });
    let registries = json!([{ "name": "main", "ecr": { "region": REGION, "assumeRole": role } }]);
    let (_installation, daemon) = start(&control_plane, &aws, "session", registries).await?;
    ensure!(aws.count(Operation::AssumeRole) == 1);
    let issued = aws.issued().len();
    aws.fail(Rule::next(1, Fault::ExpiredToken).on(Operation::GetAuthorizationToken));
    issues_more(&aws, issued).await?;
    ensure!(aws.count(Operation::AssumeRole) == 2);
    ensure!(failures(&daemon, "expired_credentials").await? == 0.0, "it was no failure");
    Ok(())
}

async fn key_files(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    aws.set_token_life(LIFE);
    let mount = tempfile::tempdir()?;
    rotate(mount.path(), "AKIAOLD")?;
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        symlink(Path::new("..data").join(name), mount.path().join(name))?;
    }
    let registries = json!([{ "name": "main", "ecr": {
        "region": REGION, "credentialsDirectory": mount.path() } }]);
    let (_installation, daemon) = start(&control_plane, &aws, "keys", registries).await?;
    let asked_with = || {
        let calls = aws.calls().into_iter();
        let mut asked = calls.filter(|call| call.operation == Operation::GetAuthorizationToken);
        asked.next_back().map(|call| call.access_key_id)
    };
    ensure!(asked_with().as_deref() == Some("AKIAOLD"));
    rotate(mount.path(), "AKIANEW")?;
    aws.fail(Rule::always(Fault::UnrecognizedClient).for_access_key("AKIAOLD"));
    let issued = aws.issued().len();
    issues_more(&aws, issued).await?;
    ensure!(asked_with().as_deref() == Some("AKIANEW"));
    ensure!(failures(&daemon, "expired_credentials").await? == 0.0, "the old keys were used");

    aws.fail(Rule::always(Fault::UnrecognizedClient).for_access_key("AKIANEW"));
    in_log(&daemon, &["\"reason\":\"expired_credentials\"", "renew the AWS credentials"]).await?;
    rotate(mount.path(), "AKIALAST")?;
    let issued = aws.issued().len();
    issues_more(&aws, issued).await?;
    ensure!(!daemon.log()?.contains(SECRET_KEY), "the log shows a key");
    Ok(())
}

async fn ecr_public(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let registries = json!([
        { "name": "main", "ecr": { "region": REGION } },
        { "name": "gallery", "ecrPublic": {} },
    ]);
    let (_installation, _daemon) = start(&control_plane, &aws, "public", registries).await?;
    let accepted = |copy: &Secret| {
        let private = cluster::password(copy, HOST)?;
        ensure!(aws.verdict("123456789012", REGION, "AWS", &private) == Verdict::Accepted);
        for host in ["public.ecr.aws", "ecr-public.aws.com"] {
            let password = cluster::password(copy, host)?;
            ensure!(aws.public_verdict("AWS", &password) == Verdict::Accepted, "{host}");
        }
        Ok(())
    };
    let client = control_plane.admin_client();
    eventually_secret(&client, "public-a", "public-pull", PATIENCE, accepted).await?;
    let calls = aws.calls();
    let public = calls.iter().find(|call| call.operation == Operation::GetPublicAuthorizationToken);
    ensure!(public.context("ECR Public was not asked")?.region == "us-east-1");
    Ok(())
}

async fn another_region(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    aws.set_token_life(LIFE);
    let registries = json!([{ "name": "main", "ecr": { "region": REGION } }]);
    let (_installation, daemon) = start(&control_plane, &aws, "region", registries).await?;
    let before = copy(&control_plane, "region").await?;
    let version = before.resource_version();
    aws.fail_with(Fault::OtherRegion("us-east-1"));
    let said = "answered for 123456789012.dkr.ecr.us-east-1.amazonaws.com, which is in the region \
                us-east-1, but eu-west-1 was asked";
    in_log(&daemon, &["\"reason\":\"bad_response\"", said]).await?;
    ensure!(copy(&control_plane, "region").await?.resource_version() == version);
    Ok(())
}

async fn served_twice(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("config.json");
    let entry = json!({ "username": "me", "password": crate::process::FILE_PASSWORD });
    fs::write(&path, json!({ "auths": { HOST: entry } }).to_string())?;
    let registries = json!([
        { "name": "from-file", "file": { "path": path } },
        { "name": "main", "ecr": { "region": REGION } },
    ]);
    let (_installation, daemon) = start(&control_plane, &aws, "twice", registries).await?;
    let said = "the registry main serves it too";
    in_log(&daemon, &["from-file", "\"reason\":\"file\"", HOST, said]).await?;
    let accepted = |copy: &Secret| {
        ensure!(aws.accepts(&cluster::password(copy, HOST)?), "it is the file's");
        Ok(())
    };
    let client = control_plane.admin_client();
    eventually_secret(&client, "twice-a", "twice-pull", PATIENCE, accepted).await?;
    Ok(())
}

async fn through_a_proxy(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let name = "proxied";
    let namespace = format!("{name}-a");
    create_namespace(&control_plane.admin_client(), &namespace, &[]).await?;
    let registries = json!([{ "name": "main", "ecr": { "region": REGION } }]);
    let installation = install(&control_plane, name, registries).await?;
    let mut command = installation.command(&aws)?;
    // Only the proxy, which here is the fake itself, knows this name.
    command.env("AWS_ENDPOINT_URL", "http://aws.invalid").env("http_proxy", aws.endpoint());
    let log = daemon::logs()?.join("proxied.log");
    let _daemon = Guarded::spawn("ecr-refresher", &command, &log)?;
    copy(&control_plane, name).await?;
    ensure!(aws.count(Operation::GetAuthorizationToken) == 1);
    Ok(())
}

async fn unknown_identity(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    aws.fail(Rule::always(Fault::AccessDenied).on(Operation::GetCallerIdentity));
    let registries = json!([{ "name": "main", "ecr": { "region": REGION } }]);
    let (_installation, daemon) = start(&control_plane, &aws, "unknown", registries).await?;
    let line = ["\"level\":\"WARN\"", "could not get the AWS identity", "sts:GetCallerIdentity"];
    in_log(&daemon, &line).await?;
    ensure!(aws.count(Operation::GetCallerIdentity) == 1);
    Ok(())
}

pub(crate) async fn install(
    control_plane: &Arc<ControlPlane>,
    name: &str,
    registries: Value,
) -> Result<Installation> {
    let config = json!({
        "registries": registries,
        "secrets": [{ "name": format!("{name}-pull"), "namespaces": [format!("{name}-?")] }],
        "refresh": { "spread": "0s" },
    });
    Installation::new(control_plane, name, config).await
}

pub(crate) async fn start_unready(
    control_plane: &Arc<ControlPlane>,
    aws: &FakeAws,
    name: &str,
    registries: Value,
) -> Result<(Installation, Daemon)> {
    create_namespace(&control_plane.admin_client(), &format!("{name}-a"), &[]).await?;
    let installation = install(control_plane, name, registries).await?;
    let daemon = installation.start(aws).await?;
    Ok((installation, daemon))
}

/// Starts a daemon and waits for its one copy, which holds something of each registry.
pub(crate) async fn start(
    control_plane: &Arc<ControlPlane>,
    aws: &FakeAws,
    name: &str,
    registries: Value,
) -> Result<(Installation, Daemon)> {
    let started = start_unready(control_plane, aws, name, registries).await?;
    started.1.ready().await?;
    copy(control_plane, name).await?;
    Ok(started)
}

async fn copy(control_plane: &ControlPlane, name: &str) -> Result<Secret> {
    let client = control_plane.admin_client();
    let (namespace, secret) = (format!("{name}-a"), format!("{name}-pull"));
    eventually_secret(&client, &namespace, &secret, PATIENCE, |_| Ok(())).await
}

/// Waits until more tokens have been issued than there were.
pub(crate) async fn issues_more(aws: &FakeAws, before: usize) -> Result<()> {
    eventually("a new token", PATIENCE, async || {
        ensure!(aws.issued().len() > before, "there is none");
        Ok(())
    })
    .await
}

/// Waits until one line of a daemon's log holds all of these.
pub(crate) async fn in_log(daemon: &Daemon, parts: &[&str]) -> Result<()> {
    eventually("a line in the log", PATIENCE, async || {
        let log = daemon.log()?;
        let found = log.lines().any(|line| parts.iter().all(|part| line.contains(part)));
        ensure!(found, "no line with {parts:?}");
        Ok(())
    })
    .await
}

pub(crate) async fn failures(daemon: &Daemon, reason: &str) -> Result<f64> {
    let series = format!(
        r#"ecr_refresher_token_requests_total{{reason="{reason}",registry="main",result="failure"}}"#
    );
    daemon.metric(&series).await
}

/// Swaps new keys in, as the kubelet does with a mounted Secret.
fn rotate(mount: &Path, id: &str) -> Result<()> {
    let folder = mount.join(format!("..{id}"));
    fs::create_dir(&folder)?;
    fs::write(folder.join("AWS_ACCESS_KEY_ID"), format!("{id}\n"))?;
    fs::write(folder.join("AWS_SECRET_ACCESS_KEY"), format!("{SECRET_KEY}\n"))?;
    symlink(format!("..{id}"), mount.join("..data_tmp"))?;
    fs::rename(mount.join("..data_tmp"), mount.join("..data"))?;
    Ok(())
}

pub(crate) fn host(account: &str) -> String {
    format!("{account}.dkr.ecr.{REGION}.amazonaws.com")
}
