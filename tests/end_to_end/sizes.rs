//! Copies as large as Kubernetes allows, and larger.

use std::{fs, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use ecr_refresher_tests::{
    cluster::{self, create_namespace, create_namespaces, eventually_secret, patch_secret},
    control_plane::{ControlPlane, Filter},
    daemon::Installation,
    fake_aws::{FakeAws, Operation},
    wait::eventually,
};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::{events::eventually_event, process::FILE_PASSWORD, scenario::Scenario};

const PATIENCE: Duration = Duration::from_mins(1);
/// The limits of Kubernetes.
const ANNOTATIONS: usize = 256 << 10;
const DATA: usize = 1 << 20;

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("a hundred accounts in three variants make copies of 400 hosts", wide),
        Scenario::new("a copy that the API server finds too large is no conflict", refused),
        Scenario::new("a document that is too large is not sent", large_file),
    ]
}

fn accounts(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{:012}", 123_456_789_012 + number)).collect()
}

/// How often a copy of this pull Secret was too large.
fn too_large(secret: &str) -> String {
    format!(
        "ecr_refresher_copy_writes_total{{reason=\"too_large\",result=\"failure\",secret=\"{secret}\"}}"
    )
}

fn copies(secret: &str, state: &str) -> String {
    format!("ecr_refresher_copies{{secret=\"{secret}\",state=\"{state}\"}}")
}

async fn wide(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    create_namespaces(&client, (0..10).map(|number| format!("wide-{number}"))).await?;
    let variants = ["standard", "fips", "dualStack"];
    let ecr = json!({ "region": "eu-west-1", "accounts": accounts(100), "variants": variants });
    let config = json!({
        "registries": [{ "name": "main", "ecr": ecr }],
        "secrets": [{ "name": "wide-pull", "namespaces": ["wide-?"] }],
        "refresh": { "spread": "0s" },
    });
    let aws = FakeAws::start().await?;
    let installation = Installation::new(&control_plane, "wide", config).await?;
    let daemon = installation.start_ready(&aws).await?;
    daemon.metric_becomes(&copies("wide-pull", "fresh"), 10.0).await?;
    let copy = eventually_secret(&client, "wide-0", "wide-pull", PATIENCE, |_| Ok(())).await?;
    let document = cluster::document(&copy)?;
    let hosts = document["auths"].as_object().context("no auths")?;
    ensure!(hosts.len() == 400, "{} hosts", hosts.len());
    for host in hosts.keys() {
        ensure!(aws.accepts(&cluster::password(&copy, host)?), "the token of {host} is dead");
    }
    ensure!(aws.count(Operation::GetAuthorizationToken) == 1, "all accounts share a token");
    ensure!(daemon.log()?.contains("may be too large: 400 hosts x "), "there is no warning");
    let audit = control_plane.audit();
    let patches = Filter::default().verb("patch").resource("secrets").name("wide-pull");
    ensure!(audit.count(&installation.user(), patches)? == 10, "one write per copy");
    Ok(())
}

async fn refused(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    for namespace in ["large-a", "large-b", "large-c"] {
        create_namespace(&client, namespace, &[]).await?;
    }
    let config = |count: usize, annotations: Value| {
        let ecr = json!({ "region": "eu-west-1", "accounts": accounts(count) });
        json!({
            "registries": [{ "name": "main", "ecr": ecr }],
            "secrets": [{
                "name": "large-pull", "namespaces": ["large-?"], "annotations": annotations,
            }],
            "refresh": { "spread": "0s" },
        })
    };
    let grown = config(3, json!({ "example.com/contact": "#platform" }));
    let aws = FakeAws::start().await?;
    let installation = Installation::new(&control_plane, "large", grown.clone()).await?;
    fs::write(installation.config(), config(1, json!({})).to_string())?;
    let daemon = installation.start_ready(&aws).await?;
    daemon.metric_becomes(&copies("large-pull", "fresh"), 3.0).await?;

    // Another client fills both up to the last byte.
    let copy = cluster::secret(&client, "large-a", "large-pull").await?.context("no copy")?;
    let size: usize = copy.annotations().iter().map(|(key, value)| key.len() + value.len()).sum();
    let rest = "x".repeat(ANNOTATIONS - size - "theirs".len());
    let notes = |value| json!({ "metadata": { "annotations": { "theirs": value } } });
    patch_secret(&client, "large-a", "large-pull", &notes(json!(rest))).await?;
    let data = |value| json!({ "data": { "theirs": value } });
    let rest = STANDARD.encode(vec![b'x'; DATA - data_size(&copy)]);
    patch_secret(&client, "large-b", "large-pull", &data(json!(rest))).await?;

    fs::write(installation.config(), grown.to_string())?;
    let has_grown = |copy: &Secret| {
        let hosts = cluster::document(copy)?["auths"].as_object().map_or(0, serde_json::Map::len);
        ensure!(hosts == 3, "{hosts} hosts");
        Ok(())
    };
    eventually_secret(&client, "large-c", "large-pull", PATIENCE, has_grown).await?;
    daemon.metric_becomes(&copies("large-pull", "failed"), 2.0).await?;
    ensure!(daemon.metric(&copies("large-pull", "conflict")).await?.abs() < 0.5);
    ensure!(daemon.metric(&too_large("large-pull")).await? >= 2.0);
    for (namespace, field) in [("large-a", "metadata.annotations"), ("large-b", "data")] {
        let event = eventually_event(&client, namespace, "large-pull", "CopyNotWritten").await?;
        let note = event.note.context("no note")?;
        let is_good = note.contains(": too_large: ")
            && note.contains(&format!("{field}: Too long: "))
            && note.contains("remove data and annotations of other clients");
        ensure!(is_good, "{note}");
        let patches = Filter::default().verb("patch").resource("secrets").namespace(namespace);
        let refused = control_plane.audit().count(&installation.user(), patches.code(422))?;
        // With the delays 1, 2, 4, 8, 16, … s of which half may be taken off.
        ensure!((1..9).contains(&refused), "{refused} attempts");
    }

    patch_secret(&client, "large-a", "large-pull", &notes(Value::Null)).await?;
    patch_secret(&client, "large-b", "large-pull", &data(Value::Null)).await?;
    for namespace in ["large-a", "large-b"] {
        eventually_secret(&client, namespace, "large-pull", PATIENCE, has_grown).await?;
    }
    daemon.metric_becomes(&copies("large-pull", "fresh"), 3.0).await
}

/// The size of the data of a Secret, as the API server counts it.
fn data_size(secret: &Secret) -> usize {
    secret.data.iter().flatten().map(|(_, value)| value.0.len()).sum()
}

async fn large_file(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    create_namespace(&client, "heavy-a", &[]).await?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("hub.json");
    let write = |hosts: usize| {
        let entry = json!({
            "username": "me", "password": format!("{FILE_PASSWORD}-{}", "x".repeat(4000)),
        });
        let entries: serde_json::Map<_, _> =
            (0..hosts).map(|host| (format!("{host}.example.com"), entry.clone())).collect();
        fs::write(&path, json!({ "auths": entries }).to_string())
    };
    write(300)?;
    let config = json!({
        "registries": [{ "name": "hub", "file": { "path": path } }],
        "secrets": [{ "name": "heavy-pull", "namespaces": ["heavy-?"] }],
        "refresh": { "spread": "0s" },
    });
    let aws = FakeAws::start().await?;
    let installation = Installation::new(&control_plane, "heavy", config).await?;
    let daemon = installation.start(&aws).await?;
    let event = eventually_event(&client, "heavy-a", "heavy-pull", "CopyNotWritten").await?;
    let note = event.note.context("no note")?;
    let expected = "too_large: the document has 1.17 MiB, a Secret holds 1 MiB: split";
    ensure!(note.contains(expected), "{note}");
    ensure!(daemon.metric(&too_large("heavy-pull")).await? >= 1.0);
    let patches = Filter::default().verb("patch").resource("secrets").name("heavy-pull");
    let audit = control_plane.audit();
    ensure!(audit.count(&installation.user(), patches)? == 0, "it was sent");
    let cache = "could not write the token cache; retrying: too_large: the tokens have 1.17 MiB";
    eventually("the token cache to be refused", PATIENCE, async || {
        ensure!(daemon.log()?.contains(cache), "it is not");
        Ok(())
    })
    .await?;

    write(3)?;
    eventually_secret(&client, "heavy-a", "heavy-pull", PATIENCE, |_| Ok(())).await?;
    eventually_secret(&client, installation.home(), &installation.token_cache(), PATIENCE, |_| {
        Ok(())
    })
    .await?;
    daemon.metric_becomes(&copies("heavy-pull", "fresh"), 1.0).await
}
