//! The API server goes away under the daemon, and comes back.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{self, create_namespace, delete_secret, eventually_secret},
    control_plane::{ControlPlane, Filter},
    daemon::{Daemon, Installation},
    fake_aws::{FakeAws, Operation},
    wait::eventually,
};
use kube::Client;
use serde_json::json;

use crate::{rollout::HOST, scenario::Scenario};

/// The watches wait up to half a minute before they are taken up again.
const PATIENCE: Duration = Duration::from_mins(1);
const LIFE: Duration = Duration::from_secs(6);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::alone(
            "the API server killed and restarted changes nothing, and what happened meanwhile is \
             made right",
            restarted,
        ),
        Scenario::alone(
            "after an outage of the API server that outlived the tokens and the lease, all copies \
             hold a token that works",
            outlived,
        ),
    ]
}

/// Installs a daemon for the namespaces `down-a`, `down-b` and whatever comes later.
async fn start(control_plane: &Arc<ControlPlane>, aws: &FakeAws) -> Result<(Installation, Daemon)> {
    let client = control_plane.admin_client();
    for namespace in ["down-a", "down-b"] {
        create_namespace(&client, namespace, &[]).await?;
    }
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": "down-pull", "namespaces": ["down-?"] }],
        "refresh": { "spread": "0s" },
        "leaderElection": { "leaseDuration": "10s", "renewDeadline": "8s", "retryPeriod": "1s" },
    });
    let installation = Installation::new(control_plane, "down", config).await?;
    let daemon = installation.start_ready(aws).await?;
    let cache = installation.token_cache();
    eventually_secret(&client, installation.home(), &cache, PATIENCE, |_| Ok(())).await?;
    Ok((installation, daemon))
}

/// Waits until both watches have failed.
async fn notices(daemon: &Daemon) -> Result<()> {
    for resource in ["namespaces", "secrets"] {
        let series = format!("ecr_refresher_watch_errors_total{{resource=\"{resource}\"}}");
        eventually("the watch to fail", PATIENCE, async || {
            ensure!(daemon.metric(&series).await? > 0.0, "it has not");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

async fn restarted(control_plane: ControlPlane) -> Result<()> {
    let control_plane = Arc::new(control_plane);
    let client = control_plane.admin_client();
    let aws = FakeAws::start().await?;
    let (installation, daemon) = start(&control_plane, &aws).await?;
    let audit = control_plane.audit().from_now()?;

    control_plane.stop_api_server().await;
    notices(&daemon).await?;
    for page in ["/healthz", "/readyz"] {
        let (status, body) = daemon.get(page).await?;
        ensure!(status == 200, "{page} answers {status}: a restart would not help: {body}");
    }
    control_plane.start_api_server().await?;
    // The daemon waits before it takes up its watches again.
    create_namespace(&client, "down-c", &[]).await?;
    delete_secret(&client, "down-a", "down-pull").await?;
    for namespace in ["down-a", "down-c"] {
        eventually_secret(&client, namespace, "down-pull", PATIENCE, |copy| {
            ensure!(aws.accepts(&cluster::password(copy, HOST)?), "its token is dead");
            Ok(())
        })
        .await?;
    }
    daemon.metric_becomes(r#"ecr_refresher_copies{secret="down-pull",state="fresh"}"#, 3.0).await?;
    ensure!(aws.count(Operation::GetAuthorizationToken) == 1);
    ensure!(daemon.stop().await?.success(), "it has ended by itself");
    let writes = Filter::default().verb("patch").resource("secrets").name("down-pull");
    let writes = audit.matching(&installation.user(), writes)?;
    let mut written: Vec<_> = writes.iter().map(|write| (&*write.namespace, write.code)).collect();
    written.sort_unstable();
    ensure!(written == [("down-a", 201), ("down-c", 201)], "{written:?}");
    Ok(())
}

async fn outlived(control_plane: ControlPlane) -> Result<()> {
    let control_plane = Arc::new(control_plane);
    let client = control_plane.admin_client();
    let aws = FakeAws::start().await?;
    aws.set_token_life(LIFE);
    let (_installation, daemon) = start(&control_plane, &aws).await?;

    control_plane.stop_api_server().await;
    // It waits for the token cache, so that no copy is ever newer than that.
    eventually("a new token that cannot be written", PATIENCE, async || {
        ensure!(daemon.log()?.contains("could not write the token cache"), "none");
        Ok(())
    })
    .await?;
    daemon.metric_becomes("ecr_refresher_leader", 0.0).await?;
    // A replica without the right to write fetches no tokens.
    eventually("the last token to expire", PATIENCE, async || {
        let last = aws.latest_password().context("no token")?;
        ensure!(!aws.accepts(&last), "it lives");
        Ok(())
    })
    .await?;

    control_plane.start_api_server().await?;
    eventually("a token that works in all copies", PATIENCE, async || {
        all_accepted(&client, &aws).await
    })
    .await?;
    // And from now on at every moment, as if nothing had happened.
    let issued = aws.issued().len();
    let mut broken = None;
    eventually("two rotations", PATIENCE, async || {
        broken = all_accepted(&client, &aws).await.err();
        let rotations = aws.issued().len() - issued;
        ensure!(broken.is_some() || rotations >= 2, "{rotations}");
        Ok(())
    })
    .await?;
    broken.map_or(Ok(()), Err)?;
    ensure!(daemon.stop().await?.success(), "it has ended by itself");
    Ok(())
}

async fn all_accepted(client: &Client, aws: &FakeAws) -> Result<()> {
    let copies = cluster::secrets(client, "down-pull").await?;
    ensure!(copies.len() == 2, "{} copies", copies.len());
    for copy in copies {
        ensure!(aws.accepts(&cluster::password(&copy, HOST)?), "a token is dead");
    }
    Ok(())
}
