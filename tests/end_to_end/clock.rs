//! The wall clock is stepped, as by NTP or after a pause of the machine.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{create_namespace, eventually_secret},
    control_plane::ControlPlane,
    daemon::Installation,
    fake_aws::FakeAws,
    tools::Tool,
    wait::eventually,
    wall_clock::WallClock,
};
use k8s_openapi::{api::coordination::v1::Lease, jiff::Timestamp};
use kube::Api;
use serde_json::json;

use crate::scenario::Scenario;

const TIMEOUT: Duration = Duration::from_secs(20);
/// The size of a step, in seconds: more than the Lease lasts.
const STEP: i64 = 20;

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "after three steps of the wall clock a new namespace still gets its copy",
            steps,
        )
        .needing(&[Tool::Faketime]),
    ]
}

async fn steps(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    create_namespace(&client, "step-a", &[]).await?;
    let aws = FakeAws::start().await?;
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": "step-pull", "namespaces": ["step-?"] }],
        "refresh": { "spread": "0s" },
    });
    let installation = Installation::new(&control_plane, "step", config).await?;
    let clock = WallClock::new()?;
    let mut command = installation.command(&aws)?;
    clock.apply(&mut command);
    let daemon = installation.start_command(&command).await?;
    daemon.ready().await?;

    let leases: Api<Lease> = Api::namespaced(client.clone(), installation.home());
    let renewed = async || {
        let spec = leases.get(installation.name()).await?.spec.context("no spec")?;
        anyhow::Ok(spec.renew_time.context("not renewed")?.0)
    };
    for offset in [STEP, 2 * STEP, 3 * STEP] {
        clock.set_offset(offset)?;
        // The daemon writes its own time into the Lease.
        eventually("a renewal after the step", TIMEOUT, async || {
            let ahead = renewed().await?.duration_since(Timestamp::now()).as_secs();
            ensure!(ahead > offset - STEP, "the clock of the daemon is {ahead} s ahead");
            Ok(())
        })
        .await?;
    }
    ensure!(daemon.metric("ecr_refresher_leader").await? > 0.0, "it no longer leads");
    create_namespace(&client, "step-b", &[]).await?;
    eventually_secret(&client, "step-b", "step-pull", TIMEOUT, |_| Ok(())).await?;
    Ok(())
}
