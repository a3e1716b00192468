//! Copies that somebody restores or copies: their labels and annotations come along, and the record of
//! what was applied does not.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{
        self, create_namespace, delete_secret, eventually_no_secret, eventually_secret,
        label_namespace,
    },
    control_plane::ControlPlane,
    daemon::{Daemon, Installation},
    fake_aws::FakeAws,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt, api::PostParams};
use serde_json::json;

use crate::{rollout::HOST, scenario::Scenario};

const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new("a copy that a backup has restored is repaired in place", velero),
        Scenario::new("a copy that kubectl has replaced by force is repaired in place", replaced),
        Scenario::new("a tenant's copy of a copy is not deleted", copy_of_a_copy),
    ]
}

async fn start(control_plane: &Arc<ControlPlane>, name: &str) -> Result<(FakeAws, Daemon)> {
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{
            "name": format!("{name}-pull"),
            "namespaces": { "allow": [format!("{name}-?")], "selector": { "matchLabels": { "pulls": "yes" } } },
        }],
        "prune": { "after": "0s" },
    });
    create_namespace(&control_plane.admin_client(), &format!("{name}-a"), &[("pulls", "yes")])
        .await?;
    let aws = FakeAws::start().await?;
    let installation = Installation::new(control_plane, name, config).await?;
    let daemon = installation.start_ready(&aws).await?;
    Ok((aws, daemon))
}

/// The Secret as a backup has it: without the record of who applied what.
fn backup(mut secret: Secret) -> Secret {
    secret.metadata.managed_fields = None;
    secret.metadata.resource_version = None;
    secret.metadata.uid = None;
    secret.metadata.creation_timestamp = None;
    secret
}

/// Creates a Secret, as the client with this field manager.
async fn create(
    control_plane: &ControlPlane,
    namespace: &str,
    secret: &Secret,
    manager: &str,
) -> Result<Secret> {
    let api: Api<Secret> = Api::namespaced(control_plane.admin_client(), namespace);
    let secret = Secret {
        metadata: kube::core::ObjectMeta { namespace: None, ..secret.metadata.clone() },
        ..secret.clone()
    };
    let parameters =
        PostParams { field_manager: Some(manager.to_owned()), ..PostParams::default() };
    Ok(api.create(&parameters, &secret).await?)
}

/// An old backup of the copy comes back while the daemon runs: it is written in place.
async fn comes_back(control_plane: Arc<ControlPlane>, name: &str, manager: &str) -> Result<()> {
    let admin = control_plane.admin_client();
    let (namespace, secret) = (format!("{name}-a"), format!("{name}-pull"));
    let (aws, _daemon) = start(&control_plane, name).await?;
    let old = cluster::secret(&admin, &namespace, &secret).await?.context("there is no copy")?;
    let mut old = backup(old);
    // Its token has died since.
    let dead = json!({ "auths": { HOST: { "auth": "QVdTOmRlYWQ=" } } }).to_string();
    let dead = k8s_openapi::ByteString(dead.into_bytes());
    old.data = Some([(".dockerconfigjson".to_owned(), dead)].into());
    // While the namespace is not selected, the daemon deletes its copy and makes no other.
    label_namespace(&admin, &namespace, "pulls", None).await?;
    eventually_no_secret(&admin, &namespace, &secret, TIMEOUT).await?;
    let restored = create(&control_plane, &namespace, &old, manager).await?;
    label_namespace(&admin, &namespace, "pulls", Some("yes")).await?;
    let repaired = eventually_secret(&admin, &namespace, &secret, TIMEOUT, |copy| {
        ensure!(aws.accepts(&cluster::password(copy, HOST)?), "its token is dead");
        Ok(())
    })
    .await?;
    ensure!(repaired.uid() == restored.uid(), "it was made anew");
    Ok(())
}

async fn velero(control_plane: Arc<ControlPlane>) -> Result<()> {
    comes_back(control_plane, "velero", "velero-server").await
}

async fn replaced(control_plane: Arc<ControlPlane>) -> Result<()> {
    let admin = control_plane.admin_client();
    let (aws, _daemon) = start(&control_plane, "replace").await?;
    let copy = cluster::secret(&admin, "replace-a", "replace-pull").await?.context("no copy")?;
    // As `kubectl replace --force` does: delete, and create again. The daemon may be faster.
    let copy = backup(copy);
    let mut created = None;
    for _ in 0..50 {
        delete_secret(&admin, "replace-a", "replace-pull").await?;
        if let Ok(copy) = create(&control_plane, "replace-a", &copy, "kubectl-replace").await {
            created = Some(copy);
            break;
        }
    }
    let created = created.context("the daemon was always faster")?;
    let repaired = eventually_secret(&admin, "replace-a", "replace-pull", TIMEOUT, |copy| {
        ensure!(aws.accepts(&cluster::password(copy, HOST)?), "its token is dead");
        let managers = copy.managed_fields().iter().filter_map(|it| it.manager.as_deref());
        ensure!(managers.clone().any(|it| it.starts_with("ecr-refresher-")), "it is not applied");
        Ok(())
    })
    .await?;
    ensure!(repaired.uid() == created.uid(), "it was made anew");
    Ok(())
}

async fn copy_of_a_copy(control_plane: Arc<ControlPlane>) -> Result<()> {
    let admin = control_plane.admin_client();
    let (_aws, daemon) = start(&control_plane, "tenant").await?;
    let copy = cluster::secret(&admin, "tenant-a", "tenant-pull").await?.context("no copy")?;
    create_namespace(&admin, "tenant-elsewhere", &[]).await?;
    create_namespace(&admin, "tenant-b", &[]).await?;
    for namespace in ["tenant-elsewhere", "tenant-b"] {
        create(&control_plane, namespace, &backup(copy.clone()), "kubectl-client-side-apply")
            .await?;
    }
    // What the daemon does delete meanwhile is its own.
    label_namespace(&admin, "tenant-a", "pulls", None).await?;
    eventually_no_secret(&admin, "tenant-a", "tenant-pull", TIMEOUT).await?;
    ensure!(daemon.stop().await?.success());
    for namespace in ["tenant-elsewhere", "tenant-b"] {
        let left = cluster::secret(&admin, namespace, "tenant-pull").await?;
        ensure!(left.is_some(), "the Secret in {namespace} was deleted");
    }
    Ok(())
}
