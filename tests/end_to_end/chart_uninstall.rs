//! What `helm uninstall` leaves behind, and how the notes of the release say to remove it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use ecr_refresher_tests::{
    chart,
    cluster::{self, create_namespace, eventually_secret},
    control_plane::ControlPlane,
    daemon::Installation,
    fake_aws::FakeAws,
    helm::{Helm, Release},
    inventory,
    tools::Tool,
    wait::eventually,
};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};

use crate::{scenario::Scenario, service_accounts::eventually_names};

const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "an uninstall leaves the copies, the token cache and the Lease, and the notes remove them",
            leaves_nothing_else,
        )
        .needing(&[Tool::Helm]),
        Scenario::new("before an uninstall the daemon can take back all that it wrote", taken_back)
            .needing(&[Tool::Helm]),
    ]
}

fn values() -> Value {
    json!({
        "config": {
            "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
            "secrets": [
                {
                    "name": "removal-pull",
                    "namespaces": ["removal-?"],
                    "serviceAccounts": ["default"],
                },
                { "name": "removal-other", "namespaces": ["removal-a"] },
            ],
        },
        "networkPolicy": { "enabled": true },
        "replicas": 2,
    })
}

async fn leaves_nothing_else(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let helm = Helm::new(control_plane.admin_kubeconfig()).await?;
    let release = Release { name: "removal", namespace: "removal-home" };
    let before = new_home(&client, release.namespace).await?;
    for namespace in ["removal-a", "removal-b"] {
        create_namespace(&client, namespace, &[]).await?;
    }
    let installation = Installation::released(&control_plane, &helm, release, &values()).await?;
    let notes = helm.notes(release).await?;
    leave_copies(&client, &installation).await?;
    // Of another release.
    let foreign = copy_of_another(&client, "removal-a").await?;

    helm.uninstall(release).await?;
    nothing_is_labelled(&client, release).await?;
    let left = [
        format!("Lease {}", installation.name()),
        format!("Secret {}", installation.token_cache()),
    ];
    home_becomes(&client, release, before.iter().cloned().chain(left).collect()).await?;
    for (name, count) in [("removal-pull", 2), ("removal-other", 1)] {
        let copies = cluster::secrets(&client, name).await?;
        ensure!(copies.len() == count, "{} copies of {name}", copies.len());
    }

    for command in cleanup(&notes)? {
        kubectl_delete(&client, &command).await.with_context(|| command.join(" "))?;
    }
    home_becomes(&client, release, before).await?;
    for name in ["removal-pull", "removal-other"] {
        ensure!(cluster::secrets(&client, name).await?.is_empty(), "{name} is there still");
    }
    let after = cluster::secret(&client, "removal-a", "another-release").await?;
    ensure!(after == Some(foreign), "another release's copy is gone");
    // No daemon removes the name; the kubelet ignores it.
    eventually_names(&client, "removal-a", "default", &["removal-pull"]).await
}

/// The steps of docs/install.md: an upgrade that wants no copies, and a check.
async fn taken_back(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let helm = Helm::new(control_plane.admin_kubeconfig()).await?;
    let release = Release { name: "parting", namespace: "parting-home" };
    create_namespace(&client, "parting-a", &[]).await?;
    let values = |namespaces: Value| {
        json!({ "config": {
            "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
            "secrets": [{
                "name": "parting-pull", "namespaces": namespaces, "serviceAccounts": ["default"],
            }],
            "prune": { "after": "0s", "limit": 1 },
        } })
    };
    let first = values(json!(["parting-?"]));
    let installation = Installation::released(&control_plane, &helm, release, &first).await?;
    let aws = FakeAws::start().await?;
    let daemon = installation.start_ready(&aws).await?;
    eventually_names(&client, "parting-a", "default", &["parting-pull"]).await?;

    let last = values(json!({ "allow": ["parting-?"], "deny": ["*"] }));
    let upgraded = helm.upgrade(release, &last).await?;
    // As the kubelet would, once it sees the new ConfigMap.
    std::fs::write(installation.config(), chart::config(&upgraded.objects)?)?;
    eventually("the copies to go", PATIENCE, async || {
        let copies = cluster::secrets(&client, "parting-pull").await?;
        ensure!(copies.is_empty(), "{} copies", copies.len());
        Ok(())
    })
    .await?;
    eventually_names(&client, "parting-a", "default", &[]).await?;
    ensure!(daemon.stop().await?.success());
    helm.uninstall(release).await
}

/// Makes the namespace, and waits for what the controllers put into each.
async fn new_home(client: &Client, namespace: &str) -> Result<BTreeSet<String>> {
    create_namespace(client, namespace, &[]).await?;
    eventually("the namespace to be set up", PATIENCE, async || {
        let objects = inventory::in_namespace(client, namespace).await?;
        ensure!(objects.len() == 2, "{objects:?}");
        Ok(objects)
    })
    .await
}

/// Runs the daemon until it has written all that it writes.
async fn leave_copies(client: &Client, installation: &Installation) -> Result<()> {
    let aws = FakeAws::start().await?;
    let daemon = installation.start_ready(&aws).await?;
    let (home, cache) = (installation.home(), installation.token_cache());
    eventually_secret(client, home, &cache, PATIENCE, |_| Ok(())).await?;
    let leases: Api<Lease> = Api::namespaced(client.clone(), home);
    leases.get(installation.name()).await.context("it made no Lease")?;
    ensure!(daemon.stop().await?.success());
    Ok(())
}

async fn copy_of_another(client: &Client, namespace: &str) -> Result<Secret> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": "another-release",
            "labels": {
                "app.kubernetes.io/managed-by": "ecr-refresher",
                "ecr-refresher.io/release": "another-home.another",
            },
        },
    });
    chart::apply(client, namespace, &secret).await?;
    cluster::secret(client, namespace, "another-release").await?.context("it is not there")
}

/// The Pods of the Deployment go a moment after it.
async fn nothing_is_labelled(client: &Client, release: Release<'_>) -> Result<()> {
    let labels = format!("app.kubernetes.io/instance={}", release.name);
    eventually("the objects of the release to go", PATIENCE, async || {
        let objects = inventory::labelled(client, &labels).await?;
        ensure!(objects.is_empty(), "{objects:?}");
        Ok(())
    })
    .await
}

async fn home_becomes(
    client: &Client,
    release: Release<'_>,
    expected: BTreeSet<String>,
) -> Result<()> {
    eventually("the home namespace", PATIENCE, async || {
        let objects = inventory::in_namespace(client, release.namespace).await?;
        ensure!(objects == expected, "{objects:?}, and not {expected:?}");
        Ok(())
    })
    .await
}

/// The commands that the notes give for the end, each as its words.
fn cleanup(notes: &str) -> Result<Vec<Vec<&str>>> {
    let (_, end) = notes.split_once("To delete them too:").context("the notes do not say how")?;
    let lines = end.lines().map(str::trim).skip_while(|line| line.is_empty());
    let commands = lines.take_while(|line| line.starts_with("kubectl "));
    let commands: Vec<_> = commands.map(|line| line.split(' ').collect()).collect();
    ensure!(commands.len() == 2, "{commands:?}");
    Ok(commands)
}

/// Does what `kubectl delete` would: by selectors, or by `KIND/NAME` in a namespace.
async fn kubectl_delete(client: &Client, command: &[&str]) -> Result<()> {
    match command {
        ["kubectl", "delete", "secrets", "-A", "-l", labels] => {
            let selected = ListParams::default().labels(labels);
            for secret in Api::<Secret>::all(client.clone()).list(&selected).await? {
                let namespace = secret.namespace().context("no namespace")?;
                cluster::delete_secret(client, &namespace, &secret.name_any()).await?;
            }
        }
        ["kubectl", "-n", namespace, "delete", "--ignore-not-found", objects @ ..] => {
            for object in objects {
                match object.split_once('/') {
                    Some(("secret", name)) => {
                        cluster::delete_secret(client, namespace, name).await?;
                    }
                    Some(("lease", name)) => {
                        let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
                        leases.delete(name, &DeleteParams::default()).await?;
                    }
                    _ => bail!("{object} is neither a Secret nor a Lease"),
                }
            }
        }
        _ => bail!("the notes have another command than this test knows"),
    }
    Ok(())
}
