//! Registries that ask as the same identity share its calls.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use ecr_refresher_tests::{
    cluster::{self, delete_secret, eventually_secret},
    control_plane::{ControlPlane, Filter},
    fake_aws::{FakeAws, Fault, Operation, Rule},
    wait::eventually,
};
use serde_json::{Value, json};

use crate::{
    identities::{PATIENCE, REGION, host, issues_more, start, start_unready},
    scenario::Scenario,
};

const LIFE: Duration = Duration::from_secs(8);
/// For how long calls are counted while they fail.
const OUTAGE: Duration = Duration::from_secs(30);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("two registries of one identity are one call, also when forced", one_call),
        Scenario::new("a hundred registries of three identities make no storm of calls", no_storm),
        Scenario::new("registries of three identities cause one write per refresh", one_write),
    ]
}

async fn one_call(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let aws = FakeAws::start().await?;
    let registries = json!([
        { "name": "one", "ecr": { "region": REGION, "accounts": ["111111111111"] } },
        { "name": "two", "ecr": {
            "region": REGION, "accounts": ["222222222222"], "variants": ["fips", "dualStack"] } },
    ]);
    let (installation, daemon) = start(&control_plane, &aws, "shared", registries).await?;
    let calls = || aws.count(Operation::GetAuthorizationToken);
    ensure!(calls() == 1, "{} calls", calls());
    let observed = r#"ecr_refresher_token_request_duration_seconds_count{api="ecr"}"#;
    daemon.metric_becomes(observed, 1.0).await?;
    let hosts = [
        host("111111111111"),
        format!("222222222222.dkr.ecr-fips.{REGION}.amazonaws.com"),
        format!("222222222222.dkr-ecr.{REGION}.on.aws"),
        format!("222222222222.dkr-ecr-fips.{REGION}.on.aws"),
    ];
    all_hold_the_latest(&control_plane, &aws, &hosts).await?;

    // Tokens are short from now on, so that it is seen how they are replaced.
    aws.set_token_life(LIFE);
    let cache = installation.token_cache();
    eventually_secret(&client, installation.home(), &cache, PATIENCE, |_| Ok(())).await?;
    delete_secret(&client, installation.home(), &cache).await?;
    issues_more(&aws, 1).await?;
    all_hold_the_latest(&control_plane, &aws, &hosts).await?;
    ensure!(calls() == 2, "{} calls", calls());

    eventually("some rotations", PATIENCE, async || {
        ensure!(calls() > 6, "{} calls", calls());
        Ok(())
    })
    .await?;
    let asked = aws.calls().into_iter();
    let asked = asked.filter(|call| call.operation == Operation::GetAuthorizationToken);
    let times: Vec<_> = asked.map(|call| call.at).skip(1).collect();
    for (one, next) in times.iter().zip(times.iter().skip(1)) {
        let pause = next.duration_since(*one).as_secs_f64();
        ensure!(pause > LIFE.as_secs_f64() / 3.0, "two calls within {pause} s");
    }
    drop(daemon);
    Ok(())
}

async fn no_storm(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    aws.fail(Rule::always(Fault::ServerError(503)).on(Operation::GetAuthorizationToken));
    let registries: Vec<Value> = (0..100)
        .map(|number| {
            let role =
                format!("arn:aws:iam::{}:role/puller", (number % 3 + 1).to_string().repeat(12));
            let account = format!("{:012}", 500 + number);
            json!({ "name": format!("registry-{number}"), "ecr": {
                "region": REGION, "accounts": [account], "assumeRole": { "roleArn": role } } })
        })
        .collect();
    let (_installation, _daemon) =
        start_unready(&control_plane, &aws, "storm", registries.into()).await?;
    tokio::time::sleep(OUTAGE).await;
    let calls = aws.calls();
    let mut of_account: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.operation == Operation::GetAuthorizationToken) {
        of_account.entry(&call.account).or_default().push(call.at);
    }
    ensure!(of_account.len() == 3 && aws.count(Operation::AssumeRole) == 3);
    for times in of_account.values() {
        ensure!(times.len() >= 3, "{} calls within {OUTAGE:?}", times.len());
        // 33 registries that retried alone would do so within a second of each other.
        for (one, next) in times.iter().zip(times.iter().skip(1)) {
            let pause = next.duration_since(*one).as_secs_f64();
            ensure!(pause > 0.95, "two calls within {pause} s");
        }
    }
    aws.heal();
    eventually("a token for each identity", PATIENCE, async || {
        ensure!(aws.issued().len() == 3, "{} tokens", aws.issued().len());
        Ok(())
    })
    .await
}

/// Waits until the one copy of the test of shared tokens has the newest at all these hosts.
async fn all_hold_the_latest(
    control_plane: &ControlPlane,
    aws: &FakeAws,
    hosts: &[String],
) -> Result<()> {
    let client = control_plane.admin_client();
    eventually_secret(&client, "shared-a", "shared-pull", PATIENCE, |copy| {
        let latest = aws.latest_password();
        for host in hosts {
            ensure!(Some(cluster::password(copy, host)?) == latest, "{host}");
        }
        Ok(())
    })
    .await?;
    Ok(())
}

async fn one_write(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    aws.set_token_life(LIFE);
    let registry = |number: usize| {
        let role = format!("arn:aws:iam::{number:012}:role/puller");
        let ecr = json!({ "region": REGION, "assumeRole": { "roleArn": role } });
        json!({ "name": format!("registry-{number}"), "ecr": ecr })
    };
    let registries = json!([registry(1), registry(2), registry(3)]);
    let audit = control_plane.audit().from_now()?;
    let (installation, _daemon) = start(&control_plane, &aws, "together", registries).await?;
    eventually("six refreshes", PATIENCE * 2, async || {
        let issued = aws.issued().len();
        ensure!(issued >= 7 * 3, "{issued} tokens were issued");
        Ok(())
    })
    .await?;
    let patches = Filter::default().verb("patch").resource("secrets").namespace("together-a");
    let (writes, issued) = (audit.count(&installation.user(), patches)?, aws.issued().len());
    // The tokens of one refresh arrive within a moment, or now and then in two.
    ensure!(writes <= issued / 3 + 3, "{writes} writes for {issued} tokens of three registries");
    Ok(())
}
