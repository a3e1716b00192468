//! Two releases in one cluster.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{self, create_namespace, delete_secret, eventually_secret},
    control_plane::{ControlPlane, Filter},
    daemon::{Daemon, Installation},
    fake_aws::FakeAws,
    helm::{Helm, Release},
    inventory,
    tools::Tool,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Client, ResourceExt};
use serde_json::json;

use crate::{rollout::HOST, scenario::Scenario, service_accounts};

const PATIENCE: Duration = Duration::from_secs(20);

/// The same name: whatever has no namespace must not have this name alone.
const RELEASE: &str = "twin";
const NAMESPACES: [&str; 2] = ["twin-a", "twin-b"];

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "two releases of one name, in two namespaces, live side by side, and one outlives the other",
            side_by_side,
        )
        .needing(&[Tool::Helm]),
    ]
}

/// One of the two: all of its own.
struct Twin {
    aws: FakeAws,
    installation: Installation,
    daemon: Daemon,
    secret: String,
}

async fn start(control_plane: &Arc<ControlPlane>, helm: &Helm, home: &str) -> Result<Twin> {
    let secret = format!("{home}-pull");
    let values = json!({ "config": {
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": secret, "namespaces": ["twin-?"], "serviceAccounts": ["default"] }],
        "refresh": { "spread": "0s" },
    } });
    let release = Release { name: RELEASE, namespace: home };
    let installation = Installation::released(control_plane, helm, release, &values).await?;
    let aws = FakeAws::start().await?;
    let daemon = installation.start_ready(&aws).await?;
    Ok(Twin { aws, installation, daemon, secret })
}

async fn side_by_side(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let helm = Helm::new(control_plane.admin_kubeconfig()).await?;
    for namespace in NAMESPACES {
        create_namespace(&client, namespace, &[]).await?;
    }
    let one = start(&control_plane, &helm, "twin-one").await?;
    let two = start(&control_plane, &helm, "twin-two").await?;
    both_have_their_own(&client).await?;
    let before = copies(&client, &two).await?;

    // New tokens for one of them: the other one's copies stay as they are.
    let old = one.aws.latest_password().context("no token")?;
    let (home, cache) = (one.installation.home(), one.installation.token_cache());
    eventually_secret(&client, home, &cache, PATIENCE, |_| Ok(())).await?;
    delete_secret(&client, home, &cache).await?;
    for namespace in NAMESPACES {
        eventually_secret(&client, namespace, &one.secret, PATIENCE, |copy| {
            ensure!(cluster::password(copy, HOST)? != old, "it is the old token");
            Ok(())
        })
        .await?;
    }
    ensure!(copies(&client, &two).await? == before, "the other copies were written");

    ensure!(one.daemon.stop().await?.success());
    helm.uninstall(Release { name: RELEASE, namespace: home }).await?;
    outlives(&client, &two).await?;
    ensure!(two.daemon.stop().await?.success());
    for (twin, other) in [(&one.installation, &two.secret), (&two.installation, &one.secret)] {
        let audit = control_plane.audit();
        let meddled = audit.matching(&twin.user(), Filter::default().name(other))?;
        ensure!(meddled.is_empty(), "{meddled:?}");
    }
    Ok(())
}

/// What has no namespace is there twice, with two names.
async fn both_have_their_own(client: &Client) -> Result<()> {
    let labels = format!("app.kubernetes.io/instance={RELEASE}");
    let objects = inventory::labelled(client, &labels).await?;
    for kind in ["ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy"] {
        for name in ["twin-ecr-refresher.twin-one", "twin-ecr-refresher.twin-two"] {
            ensure!(objects.contains(&format!("{kind} {name}")), "no {kind} {name}: {objects:?}");
        }
    }
    Ok(())
}

/// The copies of one of them: where, and in which version.
async fn copies(client: &Client, twin: &Twin) -> Result<BTreeSet<(String, String)>> {
    let copies = cluster::secrets(client, &twin.secret).await?;
    ensure!(copies.len() == NAMESPACES.len(), "{} copies of {}", copies.len(), twin.secret);
    let place = |copy: &Secret| {
        (copy.namespace().unwrap_or_default(), copy.resource_version().unwrap_or_default())
    };
    Ok(copies.iter().map(place).collect())
}

/// It goes on as if nothing had happened, with all of its rights: to write, to link and to lead.
async fn outlives(client: &Client, twin: &Twin) -> Result<()> {
    delete_secret(client, "twin-a", &twin.secret).await?;
    create_namespace(client, "twin-c", &[]).await?;
    for namespace in ["twin-a", "twin-c"] {
        eventually_secret(client, namespace, &twin.secret, PATIENCE, |copy| {
            let password = cluster::password(copy, HOST)?;
            ensure!(twin.aws.accepts(&password), "its token is dead");
            Ok(())
        })
        .await?;
    }
    let leads = twin.daemon.metric("ecr_refresher_leader").await?;
    ensure!(leads.to_bits() == 1_f64.to_bits(), "it does not lead");
    ensure!(cluster::secret(client, "twin-c", "twin-one-pull").await?.is_none());
    let names = service_accounts::names(client, "twin-a", "default").await?;
    ensure!(names.contains(&"twin-two-pull".to_owned()), "{names:?}");
    Ok(())
}
