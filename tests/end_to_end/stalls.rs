//! Connections that fall silent without an end.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{create_namespace, eventually_secret},
    control_plane::ControlPlane,
    daemon::{Daemon, Installation},
    fake_aws::FakeAws,
    wait::eventually,
};
use serde_json::json;

use crate::scenario::Scenario;

/// The 64 s after which a silent watch is ended, its backoff, and a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// This many seconds of silence are not an error yet. They are half a term.
const QUIET: u64 = 30;

pub(crate) fn tests() -> Vec<Scenario> {
    vec![Scenario::new("a watch that has fallen silent is reopened", fallen_silent)]
}

async fn fallen_silent(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    create_namespace(&client, "silent-a", &[]).await?;
    let aws = FakeAws::start().await?;
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": "silent-pull", "namespaces": ["silent-?"] }],
        // A leader that loses its Lease, which is on a silent connection too, would watch anew.
        "leaderElection": { "leaseDuration": "3m", "renewDeadline": "2m" },
    });
    let installation = Installation::new(&control_plane, "silent", config).await?;
    let (installation, proxy) = installation.through_proxy().await?;
    let daemon = installation.start_ready(&aws).await?;
    let series =
        |resource: &str| format!("ecr_refresher_watch_errors_total{{resource=\"{resource}\"}}");
    for resource in ["namespaces", "secrets"] {
        let errors = daemon.metric(&series(resource)).await?;
        ensure!(errors <= 0.0, "{errors} errors of the watch of {resource}");
    }
    ensure!(age_of_namespaces(&daemon).await? < QUIET, "it has just listed them");

    proxy.freeze();
    create_namespace(&client, "silent-b", &[]).await?;
    eventually("the watch to be silent for long", PATIENCE, async || {
        let age = age_of_namespaces(&daemon).await?;
        ensure!(age >= QUIET, "the last event was {age} s ago");
        Ok(())
    })
    .await?;
    let errors = daemon.metric(&series("namespaces")).await?;
    ensure!(errors <= 0.0, "{errors} errors before its time was over");

    eventually_secret(&client, "silent-b", "silent-pull", PATIENCE, |_| Ok(())).await?;
    ensure!(daemon.metric(&series("namespaces")).await? >= 1.0, "no error was counted");
    let words = "the API server has sent nothing for 64 s";
    ensure!(daemon.log()?.contains(words), "the log does not say why");
    ensure!(age_of_namespaces(&daemon).await? < QUIET, "there was another event");
    Ok(())
}

/// The seconds since the last event of the watch of namespaces, by `/healthz`, which must be good.
async fn age_of_namespaces(daemon: &Daemon) -> Result<u64> {
    let (status, body) = daemon.get("/healthz").await?;
    ensure!(status == 200 && body.starts_with("ok\n"), "{status}: {body}");
    let line = body.lines().find_map(|line| line.strip_prefix("watch of namespaces: last event "));
    let age = line.and_then(|line| line.strip_suffix(" s ago"));
    Ok(age.with_context(|| format!("no age in {body}"))?.parse()?)
}
