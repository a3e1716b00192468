//! The control plane itself: the assumptions of every other scenario.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ecr_refresher_tests::control_plane::{ControlPlane, Filter, user_name};
use ecr_refresher_tests::wait::eventually;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use kube::api::{DeleteParams, ListParams, PostParams, WatchParams};
use kube::{Api, Client};
use serde_json::json;

use crate::scenario::Scenario;

const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "a namespace gets its default service account, and goes when it is deleted",
            a_namespace_comes_and_goes,
        ),
        Scenario::new(
            "a service account without rights is refused, and the audit log shows it",
            a_refusal_is_in_the_audit_log,
        ),
        Scenario::new(
            "what the administrator does is not in the audit log",
            the_administrator_is_not_in_the_audit_log,
        ),
        Scenario::alone(
            "a restart of the API server keeps its data, its port and its tokens",
            a_restart_keeps_everything,
        ),
    ]
}

async fn a_namespace_comes_and_goes(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    create_namespace(&client, "comes-and-goes").await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "comes-and-goes");
    eventually("the default service account", DEADLINE, async || {
        Ok(accounts.get("default").await?)
    })
    .await?;
    let secrets: Api<Secret> = Api::namespaced(client, "comes-and-goes");
    let secret = serde_json::from_value(json!({ "metadata": { "name": "goes-too" } }))?;
    secrets.create(&PostParams::default(), &secret).await?;

    namespaces.delete("comes-and-goes", &DeleteParams::default()).await?;
    eventually("the namespace to go", DEADLINE, async || {
        match namespaces.get_opt("comes-and-goes").await? {
            None => Ok(()),
            Some(namespace) => bail!("{:?}", namespace.status),
        }
    })
    .await?;
    ensure!(secrets.get_opt("goes-too").await?.is_none());
    Ok(())
}

async fn a_refusal_is_in_the_audit_log(control_plane: Arc<ControlPlane>) -> Result<()> {
    create_namespace(&control_plane.admin_client(), "refused").await?;
    let client = eventually("a token of the default account", DEADLINE, async || {
        control_plane.client_for("refused", "default").await
    })
    .await?;
    let audit = control_plane.audit().from_now()?;
    let secrets: Api<Secret> = Api::namespaced(client, "refused");
    ensure_forbidden(secrets.get("mine").await.map(drop))?;
    ensure_forbidden(secrets.list(&ListParams::default()).await.map(drop))?;
    let watch = secrets.watch(&WatchParams::default(), "0").await;
    ensure_forbidden(watch.map(drop))?;

    let user = user_name("refused", "default");
    eventually("three requests in the audit log", DEADLINE, async || {
        let requests = audit.requests_by(&user)?;
        ensure!(requests.len() >= 3, "{requests:?}");
        Ok(())
    })
    .await?;
    let refused = Filter::default().resource("secrets").code(403);
    ensure!(audit.count(&user, refused.verb("get").name("mine"))? == 1);
    ensure!(audit.count(&user, refused.verb("list").namespace("refused"))? == 1);
    ensure!(audit.count(&user, refused.verb("watch"))? == 1);
    ensure!(audit.count(&user, Filter::default())? == 3);
    Ok(())
}

async fn the_administrator_is_not_in_the_audit_log(control_plane: Arc<ControlPlane>) -> Result<()> {
    create_namespace(&control_plane.admin_client(), "unseen").await?;
    let requests = control_plane.audit().requests()?;
    ensure!(requests.iter().all(|request| {
        request.user.starts_with("system:serviceaccount:") && request.name != "unseen"
    }));
    Ok(())
}

async fn a_restart_keeps_everything(control_plane: ControlPlane) -> Result<()> {
    let client = control_plane.admin_client();
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    let map = serde_json::from_value(json!({
        "metadata": { "name": "kept" }, "data": { "key": "value" },
    }))?;
    maps.create(&PostParams::default(), &map).await?;
    let account = control_plane.client_for("default", "default").await?;

    control_plane.stop_api_server().await;
    ensure!(maps.get("kept").await.is_err(), "it should be down");
    control_plane.start_api_server().await?;
    let kept = maps.get("kept").await?.data.context("no data")?;
    ensure!(kept["key"] == "value");
    let theirs: Api<ConfigMap> = Api::default_namespaced(account);
    ensure_forbidden(theirs.get("kept").await.map(drop))?;

    control_plane.restart_api_server().await?;
    maps.get("kept").await?;
    let audit = control_plane.audit();
    let refused = Filter::default().name("kept").code(403);
    eventually("a request of before in the audit log", DEADLINE, async || {
        ensure!(audit.count(&user_name("default", "default"), refused)? == 1);
        Ok(())
    })
    .await
}

async fn create_namespace(client: &Client, name: &str) -> Result<()> {
    let namespace = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    Ok(())
}

fn ensure_forbidden(answer: kube::Result<()>) -> Result<()> {
    match answer {
        Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(()),
        other => bail!("expected a refusal, and not {other:?}"),
    }
}
