//! A daemon that ends in the middle of a rollout: killed, or stopped.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster,
    control_plane::{ControlPlane, Filter},
    daemon::Installation,
    fake_aws::{FakeAws, Operation},
    wait::eventually,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt, api::ListParams, core::PartialObjectMeta};
use serde_json::{Value, json};

use crate::{rollout::HOST, scenario::Scenario};

/// Few, so that the rollout takes long enough to end in the middle of it.
const CONCURRENCY: usize = 4;
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "a daemon killed in the middle of a rollout of 500 is finished by the next one",
            killed,
        ),
        Scenario::new("writes under way end before the daemon does", stopped),
    ]
}

async fn prepare(
    control_plane: &Arc<ControlPlane>,
    name: &str,
    namespaces: usize,
) -> Result<(FakeAws, Installation)> {
    let names = (0..namespaces).map(|number| format!("{name}-{number}"));
    cluster::create_namespaces(&control_plane.admin_client(), names).await?;
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": format!("{name}-pull"), "namespaces": [format!("{name}-[0-9]*")] }],
        "refresh": { "spread": "0s" },
        "writer": { "concurrency": CONCURRENCY },
    });
    Ok((FakeAws::start().await?, Installation::new(control_plane, name, config).await?))
}

/// The resourceVersions of all copies by their namespaces.
async fn versions(client: &Client, secret: &str) -> Result<BTreeMap<String, String>> {
    let named = ListParams::default().fields(&format!("metadata.name={secret}"));
    let copies = Api::<Secret>::all(client.clone()).list_metadata(&named).await?.items;
    let version =
        |copy: &PartialObjectMeta<Secret>| Some((copy.namespace()?, copy.resource_version()?));
    Ok(copies.iter().filter_map(version).collect())
}

/// Checks that nothing is half done: all copies are of the right kind, with one and the same document
/// that holds a token which works.
fn check_whole(copies: &[Secret], aws: &FakeAws) -> Result<()> {
    let mut documents = BTreeSet::new();
    for copy in copies {
        let label = copy.labels().get("app.kubernetes.io/managed-by").map(String::as_str);
        ensure!(label == Some("ecr-refresher"), "{:?}", copy.metadata);
        ensure!(copy.type_.as_deref() == Some("kubernetes.io/dockerconfigjson"));
        ensure!(aws.accepts(&cluster::password(copy, HOST)?), "its token is dead");
        documents.insert(cluster::document(copy)?.to_string());
    }
    ensure!(documents.len() == 1, "{} documents", documents.len());
    Ok(())
}

async fn killed(control_plane: Arc<ControlPlane>) -> Result<()> {
    const NAMESPACES: usize = 500;
    let client = control_plane.admin_client();
    let (aws, installation) = prepare(&control_plane, "killed", NAMESPACES).await?;
    let installation = installation.with_log_level("info");
    let audit = control_plane.audit().from_now()?;
    let first = installation.start(&aws).await?;
    eventually("the middle of the rollout", PATIENCE, async || {
        let cache = installation.token_cache();
        let cache = cluster::secret(&client, installation.home(), &cache).await?;
        cache.context("there is no token cache")?;
        let written = versions(&client, "killed-pull").await?.len();
        ensure!(written >= 50, "{written} copies");
        Ok(())
    })
    .await?;
    first.kill()?;
    let before = versions(&client, "killed-pull").await?;
    ensure!((50..=450).contains(&before.len()), "{} is not the middle", before.len());

    let second = installation.start_ready(&aws).await?;
    let after = versions(&client, "killed-pull").await?;
    ensure!(after.len() == NAMESPACES, "{} copies", after.len());
    let again: Vec<_> =
        before.iter().filter(|(name, version)| after.get(*name) != Some(version)).collect();
    ensure!(again.is_empty(), "copies that were there were written again: {again:?}");
    check_whole(&cluster::secrets(&client, "killed-pull").await?, &aws)?;
    ensure!(aws.count(Operation::GetAuthorizationToken) == 1);
    // The audit log is complete once the daemon's connections are closed.
    ensure!(second.stop().await?.success());
    let patches = Filter::default().verb("patch").resource("secrets").name("killed-pull");
    let patches = audit.count(&installation.user(), patches)?;
    // The answers to the running jobs of the killed daemon are lost.
    let expected = NAMESPACES..=NAMESPACES + CONCURRENCY;
    ensure!(expected.contains(&patches), "{patches} writes");
    Ok(())
}

async fn stopped(control_plane: Arc<ControlPlane>) -> Result<()> {
    const NAMESPACES: usize = 300;
    let client = control_plane.admin_client();
    let (aws, installation) = prepare(&control_plane, "stopped", NAMESPACES).await?;
    let installation = installation.with_log_level("info,ecr_refresher_sync=debug");
    let audit = control_plane.audit().from_now()?;
    let daemon = installation.start(&aws).await?;
    eventually("the middle of the rollout", PATIENCE, async || {
        let written = versions(&client, "stopped-pull").await?.len();
        ensure!(written >= 20, "{written} copies");
        Ok(())
    })
    .await?;
    let log = daemon.log_path().to_owned();
    let signalled = Instant::now();
    let status = daemon.stop().await?;
    let took = signalled.elapsed();
    ensure!(status.code() == Some(0), "{status}");
    ensure!(took < Duration::from_secs(10), "it took {took:?}");

    let copies = cluster::secrets(&client, "stopped-pull").await?;
    ensure!(copies.len() < NAMESPACES, "it ended the rollout first");
    check_whole(&copies, &aws)?;
    let log = std::fs::read_to_string(log)?;
    let lines: Vec<Value> =
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |message: &'static str| lines.iter().filter(move |line| line["message"] == message);
    let last = of("the running jobs have ended").next().context("no last word")?;
    ensure!(last["jobs"].as_u64() > Some(0), "no job was running: {last}");
    // The daemon got the answer to each write of the API server.
    let answered = of("wrote the copy").count();
    ensure!(answered == copies.len(), "{answered} of {} were answered", copies.len());
    let patches = Filter::default().verb("patch").resource("secrets").name("stopped-pull");
    let patches = eventually("all writes in the audit log", PATIENCE, async || {
        let patches = audit.matching(&installation.user(), patches)?;
        ensure!(patches.len() >= copies.len(), "{} are", patches.len());
        Ok(patches)
    })
    .await?;
    ensure!(patches.len() == copies.len(), "{} writes", patches.len());
    for patch in patches {
        ensure!(patch.code == 201 && patch.stage == "ResponseComplete", "{patch:?}");
    }
    Ok(())
}
