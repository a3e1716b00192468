//! A restart uses the tokens of the token cache.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{self, create_namespace, delete_secret, eventually_secret},
    control_plane::{ControlPlane, Filter},
    daemon::Installation,
    fake_aws::{FakeAws, Fault, Operation, Rule},
    wait::eventually,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{rollout::HOST, scenario::Scenario};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("a restart when all is fresh makes no AWS call and no write", quiet_restart),
        Scenario::new("a restart in an outage serves new namespaces from the cache", in_an_outage),
        Scenario::new("deleting the token cache forces a refresh", deleted),
        Scenario::new("a damaged or foreign token cache is ignored and replaced", damaged),
        Scenario::new("a registry that fails after a restart takes no entry away", nothing_is_lost),
        Scenario::new(
            "a registry that fails with new settings after a restart keeps its former entries",
            new_settings_fail,
        ),
    ]
}

async fn install(control_plane: &Arc<ControlPlane>, name: &str) -> Result<Installation> {
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": format!("{name}-pull"), "namespaces": [format!("{name}-?")] }],
        "refresh": { "spread": "0s" },
    });
    Installation::new(control_plane, name, config).await
}

/// Waits until the token cache is there.
async fn cached(control_plane: &ControlPlane, installation: &Installation) -> Result<Secret> {
    let client = control_plane.admin_client();
    let name = installation.token_cache();
    eventually_secret(&client, installation.home(), &name, PATIENCE, |_| Ok(())).await
}

async fn quiet_restart(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    for number in 0..5 {
        create_namespace(&client, &format!("quiet-{number}"), &[]).await?;
    }
    let aws = FakeAws::start().await?;
    let installation = install(&control_plane, "quiet").await?;
    let first = installation.start_ready(&aws).await?;
    cached(&control_plane, &installation).await?;
    ensure!(first.stop().await?.success());
    let audit = control_plane.audit().from_now()?;

    let second = installation.start_ready(&aws).await?;
    let series = r#"ecr_refresher_copies{secret="quiet-pull",state="fresh"}"#;
    let fresh = second.metric(series).await?;
    ensure!(fresh.to_bits() == 5_f64.to_bits(), "{fresh} are fresh");
    let expiry = r#"ecr_refresher_token_expiration_timestamp_seconds{registry="main"}"#;
    ensure!(second.metric(expiry).await? > 0.0);
    ensure!(second.stop().await?.success());
    ensure!(aws.count(Operation::GetAuthorizationToken) == 1);
    let writes = Filter::default().verb("patch").resource("secrets");
    ensure!(audit.count(&installation.user(), writes)? == 0);
    Ok(())
}

async fn in_an_outage(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let aws = FakeAws::start().await?;
    let installation = install(&control_plane, "dark").await?;
    let first = installation.start(&aws).await?;
    cached(&control_plane, &installation).await?;
    first.kill()?;

    aws.fail_with(Fault::ServerError(500));
    let _second = installation.start(&aws).await?;
    create_namespace(&client, "dark-a", &[]).await?;
    eventually_secret(&client, "dark-a", "dark-pull", PATIENCE, |copy| {
        ensure!(aws.accepts(&cluster::password(copy, HOST)?), "its token is dead");
        Ok(())
    })
    .await?;
    ensure!(aws.count(Operation::GetAuthorizationToken) == 1);
    Ok(())
}

async fn deleted(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    create_namespace(&client, "force-a", &[]).await?;
    let aws = FakeAws::start().await?;
    let installation = install(&control_plane, "force").await?;
    let _daemon = installation.start_ready(&aws).await?;
    cached(&control_plane, &installation).await?;
    let old = aws.latest_password().context("no token")?;

    delete_secret(&client, installation.home(), &installation.token_cache()).await?;
    eventually_secret(&client, "force-a", "force-pull", PATIENCE, |copy| {
        ensure!(cluster::password(copy, HOST)? != old, "it is the old token");
        Ok(())
    })
    .await?;
    ensure!(aws.count(Operation::GetAuthorizationToken) == 2);
    cached(&control_plane, &installation).await?;
    Ok(())
}

async fn damaged(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let aws = FakeAws::start().await?;
    let installation = install(&control_plane, "damaged").await?;
    let name = installation.token_cache();
    let secrets: Api<Secret> = Api::namespaced(client, installation.home());
    for (round, labels) in [json!({}), json!({ "app.kubernetes.io/managed-by": "ecr-refresher" })]
        .into_iter()
        .enumerate()
    {
        let broken = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": name, "labels": labels },
            "stringData": { "tokens.json": "{\"main\": 7}" },
        });
        let apply = PatchParams::apply("somebody").force();
        secrets.patch(&name, &apply, &Patch::Apply(&broken)).await?;
        let daemon = installation.start(&aws).await?;
        eventually("the cache to be replaced", PATIENCE, async || {
            let secret = secrets.get(&name).await?;
            let text = &secret.data.as_ref().context("no data")?["tokens.json"].0;
            ensure!(text.len() > 100, "it is not");
            Ok(())
        })
        .await?;
        ensure!(daemon.log()?.contains("is replaced"), "there is no warning");
        ensure!(aws.count(Operation::GetAuthorizationToken) == round + 1);
    }
    Ok(())
}

async fn nothing_is_lost(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    create_namespace(&client, "merged-a", &[]).await?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("hub.json");
    let document = json!({ "auths": { "hub.example.com": {
        "username": "me", "password": format!("{}-merged", crate::process::FILE_PASSWORD) } } });
    std::fs::write(&path, document.to_string())?;
    let aws = FakeAws::start().await?;
    let config = json!({
        "registries": [
            { "name": "main", "ecr": { "region": "eu-west-1" } },
            { "name": "hub", "file": { "path": path } },
        ],
        "secrets": [{ "name": "merged-pull", "namespaces": ["merged-?"] }],
        "refresh": { "spread": "0s" },
    });
    let installation = Installation::new(&control_plane, "merged", config).await?;
    let first = installation.start_ready(&aws).await?;
    let cache = installation.token_cache();
    eventually_secret(&client, installation.home(), &cache, PATIENCE, |secret| {
        let text = &secret.data.as_ref().context("no data")?["tokens.json"].0;
        ensure!(String::from_utf8_lossy(text).contains("hub.example.com"), "not all is there");
        Ok(())
    })
    .await?;
    first.kill()?;

    std::fs::write(&path, "broken")?;
    let second = installation.start_ready(&aws).await?;
    create_namespace(&client, "merged-b", &[]).await?;
    for namespace in ["merged-a", "merged-b"] {
        eventually_secret(&client, namespace, "merged-pull", PATIENCE, |copy| {
            let document = cluster::document(copy)?;
            let hosts = document["auths"].as_object().context("no auths")?;
            ensure!(hosts.len() == 2, "{:?}", hosts.keys());
            Ok(())
        })
        .await?;
    }
    let series =
        r#"ecr_refresher_token_requests_total{reason="file",registry="hub",result="failure"}"#;
    ensure!(second.metric(series).await? > 0.0, "the broken file is reported");
    Ok(())
}

async fn new_settings_fail(control_plane: Arc<ControlPlane>) -> Result<()> {
    const OTHER: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
    let client = control_plane.admin_client();
    create_namespace(&client, "former-a", &[]).await?;
    let aws = FakeAws::start().await?;
    let config = |other: Value| {
        json!({
            "registries": [
                { "name": "main", "ecr": { "region": "eu-west-1" } },
                { "name": "other", "ecr": other },
            ],
            "secrets": [{ "name": "former-pull", "namespaces": ["former-?"] }],
            "refresh": { "spread": "0s" },
        })
    };
    let before = config(json!({ "region": "us-east-1" }));
    let installation = Installation::new(&control_plane, "former", before).await?;
    let first = installation.start_ready(&aws).await?;
    let passwords =
        |copy: &Secret| Ok((cluster::password(copy, HOST)?, cluster::password(copy, OTHER)?));
    let copy = eventually_secret(&client, "former-a", "former-pull", PATIENCE, |copy| {
        passwords(copy).map(drop)
    })
    .await?;
    let (main, other) = passwords(&copy)?;
    ensure!(first.stop().await?.success());

    // The new role is denied, and the token of `main` is replaced.
    let role = "arn:aws:iam::123456789012:role/puller";
    let after = config(json!({ "region": "us-east-1", "assumeRole": { "roleArn": role } }));
    std::fs::write(installation.config(), after.to_string())?;
    aws.fail(Rule::always(Fault::AccessDenied).on(Operation::AssumeRole));
    let second = installation.start_ready(&aws).await?;
    let failed = r#"ecr_refresher_token_requests_total{reason="access_denied",registry="other",result="failure"}"#;
    eventually("the new settings to fail", PATIENCE, async || {
        ensure!(second.metric(failed).await? > 0.0, "they have not");
        Ok(())
    })
    .await?;
    // A deleted token cache makes each registry fetch a token.
    delete_secret(&client, installation.home(), &installation.token_cache()).await?;
    let copy = eventually_secret(&client, "former-a", "former-pull", PATIENCE, |copy| {
        ensure!(cluster::password(copy, HOST)? != main, "`main` was not refreshed");
        Ok(())
    })
    .await?;
    ensure!(passwords(&copy)?.1 == other, "the former entry of `other` is lost");
    Ok(())
}
