//! AWS fails when a token is due: nothing good is overwritten by something worse.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{self, create_namespace, eventually_secret},
    control_plane::ControlPlane,
    daemon::{self, Daemon, Installation},
    fake_aws::{FakeAws, Fault, Operation},
    process::Guarded,
    wait::eventually,
};
use kube::{Client, ResourceExt};
use serde_json::json;

use crate::{rollout::HOST, scenario::Scenario};

const LIFE: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("while AWS fails, the last good document stays", |control_plane| {
            the_last_good_stays(control_plane, "fails", "server_error", || Fault::ServerError(500))
        }),
        Scenario::new("while AWS throttles, the last good document stays", |control_plane| {
            the_last_good_stays(control_plane, "throttles", "throttled", || {
                Fault::ThrottleException
            })
        }),
        Scenario::new("while AWS refuses, the last good document stays", |control_plane| {
            the_last_good_stays(control_plane, "refuses", "access_denied", || Fault::AccessDenied)
        }),
        Scenario::new("while AWS answers garbage, the last good document stays", |control_plane| {
            the_last_good_stays(control_plane, "garbage", "bad_response", || Fault::Garbage)
        }),
        Scenario::new(
            "while AWS gives dead tokens, the last good document stays",
            |control_plane| {
                the_last_good_stays(control_plane, "dead", "bad_response", || Fault::AlreadyExpired)
            },
        ),
        Scenario::new("no region, no credentials and no network each have their reason", no_way),
        Scenario::new("an AWS that hangs is given up on, and asked again", an_aws_that_hangs),
    ]
}

async fn the_last_good_stays(
    control_plane: Arc<ControlPlane>,
    name: &'static str,
    reason: &'static str,
    fault: impl Fn() -> Fault,
) -> Result<()> {
    let client = control_plane.admin_client();
    let aws = FakeAws::start().await?;
    aws.set_token_life(LIFE);
    let (secret, namespace) = (format!("{name}-pull"), format!("{name}-a"));
    let (_installation, daemon) = start(&control_plane, &aws, name).await?;
    let before = cluster::secret(&client, &namespace, &secret).await?.context("no copy")?;

    aws.fail_with(fault());
    let series = format!(
        r#"ecr_refresher_token_requests_total{{reason="{reason}",registry="main",result="failure"}}"#
    );
    eventually("three failures", PATIENCE, async || {
        let failures = daemon.metric(&series).await?;
        ensure!(failures >= 3.0, "{failures} failures");
        Ok(())
    })
    .await?;
    let during = cluster::secret(&client, &namespace, &secret).await?.context("no copy")?;
    ensure!(during.resource_version() == before.resource_version(), "it was written");
    check_pace(&aws)?;

    aws.heal();
    healed(&client, &aws, &namespace, &secret).await?;
    let after = cluster::secret(&client, &namespace, &secret).await?.context("no copy")?;
    ensure!(after.uid() == before.uid());
    Ok(())
}

async fn an_aws_that_hangs(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let aws = FakeAws::start().await?;
    aws.fail_next(1, Fault::Hang);
    let namespace = "hangs-a";
    create_namespace(&client, namespace, &[]).await?;
    let installation = install(&control_plane, "hangs").await?;
    let daemon = installation.start(&aws).await?;
    healed(&client, &aws, namespace, "hangs-pull").await?;
    let series =
        r#"ecr_refresher_token_requests_total{reason="timeout",registry="main",result="failure"}"#;
    let timeouts = daemon.metric(series).await?;
    ensure!(timeouts.to_bits() == 1_f64.to_bits(), "{timeouts} timeouts");
    Ok(())
}

async fn no_way(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let config = json!({
        "registries": [
            { "name": "no-region", "ecr": {} },
            // The port of `discard`, where nothing listens.
            { "name": "no-network", "ecr": {
                "region": "eu-west-1", "endpointUrl": "http://127.0.0.1:9" } },
        ],
        "secrets": [{ "name": "no-way-pull", "namespaces": ["no-way-?"] }],
    });
    let installation = Installation::new(&control_plane, "no-way", config).await?;
    let log = daemon::logs()?.join("no-way.log");
    let mut command = installation.command(&aws)?;
    let with_keys = Guarded::spawn("ecr-refresher", &command, &log)?;
    reasons(&log, &["no_region", "network"]).await?;
    drop(with_keys);
    let log = daemon::logs()?.join("no-way-without-keys.log");
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    command.env("HOME", "/nowhere");
    let _without_keys = Guarded::spawn("ecr-refresher", &command, &log)?;
    reasons(&log, &["no_region", "no_credentials"]).await
}

/// Waits until a daemon's log holds all of these reasons.
async fn reasons(log: &Path, reasons: &[&str]) -> Result<()> {
    eventually("the reasons in the log", PATIENCE, async || {
        let text = std::fs::read_to_string(log)?;
        for reason in reasons {
            ensure!(text.contains(&format!("\"reason\":\"{reason}\"")), "no {reason}");
        }
        Ok(())
    })
    .await
}

async fn start(
    control_plane: &Arc<ControlPlane>,
    aws: &FakeAws,
    name: &str,
) -> Result<(Installation, Daemon)> {
    create_namespace(&control_plane.admin_client(), &format!("{name}-a"), &[]).await?;
    let installation = install(control_plane, name).await?;
    let daemon = installation.start_ready(aws).await?;
    Ok((installation, daemon))
}

async fn install(control_plane: &Arc<ControlPlane>, name: &str) -> Result<Installation> {
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": format!("{name}-pull"), "namespaces": [format!("{name}-?")] }],
    });
    Installation::new(control_plane, name, config).await
}

/// Two calls are at least a second apart, within the resolution of a clock.
fn check_pace(aws: &FakeAws) -> Result<()> {
    let calls = aws.calls().into_iter();
    let asked = calls.filter(|call| call.operation == Operation::GetAuthorizationToken);
    let times: Vec<_> = asked.map(|call| call.at).collect();
    for (one, next) in times.iter().zip(times.iter().skip(1)) {
        let pause = next.duration_since(*one).as_secs_f64();
        ensure!(pause > 0.95, "two calls within {pause} s");
    }
    Ok(())
}

async fn healed(client: &Client, aws: &FakeAws, namespace: &str, secret: &str) -> Result<()> {
    let accepted = |copy: &_| {
        ensure!(aws.accepts(&cluster::password(copy, HOST)?), "its token is dead");
        Ok(())
    };
    eventually_secret(client, namespace, secret, PATIENCE, accepted).await?;
    Ok(())
}
