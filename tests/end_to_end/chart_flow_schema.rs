//! The daemon's own priority level in the API server, by the API server's own count.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use ecr_refresher_tests::{
    cluster::{create_namespace, eventually_secret},
    control_plane::{ControlPlane, Filter},
    daemon::Installation,
    fake_aws::FakeAws,
    helm::{Helm, Release},
    metrics,
    tools::Tool,
    wait::eventually,
};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, api::ListParams};
use serde_json::json;

use crate::scenario::Scenario;

const PATIENCE: Duration = Duration::from_secs(30);

/// The name of the `FlowSchema` and of its level, as of all that has no namespace.
const NAME: &str = "flow-ecr-refresher.flow-home";

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "with a FlowSchema the daemon's requests have a priority level of their own",
            own_level,
        )
        .needing(&[Tool::Helm]),
    ]
}

async fn own_level(control_plane: Arc<ControlPlane>) -> Result<()> {
    let admin = control_plane.admin_client();
    let helm = Helm::new(control_plane.admin_kubeconfig()).await?;
    let namespaces = ["flow-a", "flow-b", "flow-c"];
    for namespace in namespaces {
        create_namespace(&admin, namespace, &[]).await?;
    }
    let values = json!({
        "config": {
            "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
            "secrets": [{ "name": "flow-pull", "namespaces": ["flow-?"] }],
        },
        "flowSchema": { "enabled": true },
    });
    let release = Release { name: "flow", namespace: "flow-home" };
    let installation = Installation::released(&control_plane, &helm, release, &values).await?;
    let dispatched = dispatched_once_in_force(&admin, &installation).await?;
    // Figures of the documentation: 5 shares beside 245 of the default levels, of 600 seats.
    let seats = format!(r#"apiserver_flowcontrol_nominal_limit_seats{{priority_level="{NAME}"}}"#);
    let seats = value(&admin, &seats).await?;
    ensure!(seats == 12, "{seats} seats");

    let audit = control_plane.audit().from_now()?;
    let aws = FakeAws::start().await?;
    let daemon = installation.start_ready(&aws).await?;
    for namespace in namespaces {
        eventually_secret(&admin, namespace, "flow-pull", PATIENCE, |_| Ok(())).await?;
    }
    ensure!(daemon.stop().await?.success());
    let asked = audit.count(&installation.user(), Filter::default())?;
    ensure!(asked > namespaces.len(), "only {asked} requests");
    let dispatched = value(&admin, &dispatched_total()).await? - dispatched;
    ensure!(dispatched >= asked, "{dispatched} of {asked} requests");
    helm.uninstall(release).await
}

/// How many requests the API server has dispatched by the `FlowSchema`, after the first: it takes up a
/// new schema and its level in its own time.
async fn dispatched_once_in_force(admin: &Client, installation: &Installation) -> Result<usize> {
    let daemon = installation.client().await?;
    let namespaces: Api<Namespace> = Api::all(daemon);
    eventually("the FlowSchema to be in force", PATIENCE, async || {
        namespaces.list_metadata(&ListParams::default().limit(1)).await?;
        value(admin, &dispatched_total()).await
    })
    .await
}

fn dispatched_total() -> String {
    let labels = format!(r#"flow_schema="{NAME}",priority_level="{NAME}""#);
    format!("apiserver_flowcontrol_dispatched_requests_total{{{labels}}}")
}

/// The value of a series of the API server's.
async fn value(client: &Client, series: &str) -> Result<usize> {
    let request = http::Request::get("/metrics").body(Vec::new())?;
    metrics::value(&client.request_text(request).await?, series)
}
