//! Controllers that undo each write of the daemon at once.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use ecr_refresher_tests::{
    cluster::create_namespace,
    control_plane::{ControlPlane, Filter},
    daemon::{Daemon, Installation},
    fake_aws::FakeAws,
    wait::eventually,
};
use futures::StreamExt;
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Secret, ServiceAccount},
};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams, WatchParams},
    core::WatchEvent,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{bad_namespaces::check_pauses, events::eventually_event, scenario::Scenario};

const TIMEOUT: Duration = Duration::from_mins(1);
/// The field manager of the controllers.
const CONTROLLER: &str = "stubborn-operator";

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "a controller that resets a ServiceAccount is slowed down, and named",
            of_accounts,
        ),
        Scenario::new("a controller that resets a copy is slowed down, and named", of_copies),
    ]
}

/// A release, its daemon, and its AWS.
type Started = (Installation, Daemon, FakeAws);

/// A controller: sends a patch after each change that is not its own.
async fn controller<K>(client: Client, namespace: String, name: String, reset: Value) -> Result<()>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let api = Api::<K>::namespaced(client, &namespace);
    let watch = WatchParams::default().fields(&format!("metadata.name={name}"));
    let mut events = api.watch_metadata(&watch, "0").await?.boxed();
    let parameters =
        PatchParams { field_manager: Some(CONTROLLER.to_owned()), ..PatchParams::default() };
    while let Some(event) = events.next().await {
        let (WatchEvent::Added(object) | WatchEvent::Modified(object)) = event? else { continue };
        let managers = object.metadata.managed_fields.iter().flatten();
        // A patch that changes nothing makes no event, so this ends.
        if managers
            .filter_map(|entry| entry.manager.as_deref())
            .any(|it| it.starts_with("ecr-refresher-"))
        {
            api.patch_metadata(&name, &parameters, &Patch::Merge(&reset)).await?;
        }
    }
    Ok(())
}

async fn start(control_plane: &Arc<ControlPlane>, name: &str) -> Result<Started> {
    let namespace = format!("{name}-a");
    create_namespace(&control_plane.admin_client(), &namespace, &[]).await?;
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{
            "name": format!("{name}-pull"),
            "namespaces": [namespace],
            "serviceAccounts": ["builder"],
        }],
    });
    let aws = FakeAws::start().await?;
    let installation = Installation::new(control_plane, name, config).await?;
    let daemon = installation.start_ready(&aws).await?;
    Ok((installation, daemon, aws))
}

/// Waits until the metric, the log and an Event name the controller, and looks at the times of the writes.
async fn is_named(
    control_plane: &ControlPlane,
    (installation, daemon, _): &Started,
    (kind, resource, name): (&str, &str, &str),
    reason: &str,
) -> Result<()> {
    let namespace = format!("{}-a", installation.home().trim_end_matches("-home"));
    let writes =
        Filter::default().verb("patch").resource(resource).namespace(&namespace).name(name);
    let audit = control_plane.audit();
    let writes = eventually("six writes in the audit log", TIMEOUT, async || {
        let writes = audit.matching(&installation.user(), writes)?;
        let writes: Vec<_> = writes.into_iter().filter(|request| request.code < 300).collect();
        ensure!(writes.len() >= 6, "{writes:?}");
        Ok(writes)
    })
    .await?;
    // The first write and two repairs come at once.
    check_pauses(&writes, &[0.0, 0.0, 1.0, 2.0, 4.0])?;
    let series = format!(
        "ecr_refresher_contested{{kind=\"{kind}\",manager=\"{CONTROLLER}\",name=\"{name}\"}}"
    );
    daemon.metric_becomes(&series, 1.0).await?;
    ensure!(daemon.log()?.contains(&format!("{CONTROLLER} keeps changing this")), "no log line");
    let event = eventually_event(&control_plane.admin_client(), &namespace, name, reason).await?;
    let note = event.note.unwrap_or_default();
    ensure!(note.starts_with(CONTROLLER), "{note}");
    Ok(())
}

async fn of_accounts(control_plane: Arc<ControlPlane>) -> Result<()> {
    let started = start(&control_plane, "reset").await?;
    let reset = json!({ "imagePullSecrets": [] });
    let (namespace, name) = ("reset-a".to_owned(), "builder".to_owned());
    let client = control_plane.admin_client();
    // As operators do. Of an account that nobody has applied, the API server records no managers.
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name },
        "automountServiceAccountToken": false,
    });
    let apply = PatchParams::apply(CONTROLLER);
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
    accounts.patch_metadata(&name, &apply, &Patch::Apply(account)).await?;
    let controller = controller::<ServiceAccount>(client, namespace, name, reset);
    let of = ("ServiceAccount", "serviceaccounts", "builder");
    tokio::select! {
        ended = controller => ended,
        named = is_named(&control_plane, &started, of, "ServiceAccountContested") => named,
    }
}

async fn of_copies(control_plane: Arc<ControlPlane>) -> Result<()> {
    let started = start(&control_plane, "stubborn").await?;
    let reset = json!({ "data": { ".dockerconfigjson": "e30=" } });
    let (namespace, name) = ("stubborn-a".to_owned(), "stubborn-pull".to_owned());
    let client = control_plane.admin_client();
    let controller = controller::<Secret>(client, namespace, name, reset);
    let of = ("Secret", "secrets", "stubborn-pull");
    tokio::select! {
        ended = controller => ended,
        named = is_named(&control_plane, &started, of, "CopyContested") => named,
    }
}
