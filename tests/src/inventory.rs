//! All that a cluster has, of whatever kind.

use std::collections::BTreeSet;

use anyhow::Result;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::discovery::{ApiGroup, Discovery, Scope, verbs};
use kube::{Api, Client, ResourceExt};

/// The objects of a namespace, each as `KIND NAME`.
///
/// # Errors
/// When the API server does not list a kind.
pub async fn in_namespace(client: &Client, namespace: &str) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for (resource, scope) in kinds(client).await? {
        if scope == Scope::Namespaced {
            let api = Api::namespaced_with(client.clone(), namespace, &resource);
            found.extend(names(&api, &resource, &ListParams::default()).await?);
        }
    }
    Ok(found)
}

/// The objects with these labels, of all namespaces and of none, each as `KIND NAME`.
///
/// # Errors
/// When the API server does not list a kind.
pub async fn labelled(client: &Client, labels: &str) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for (resource, _) in kinds(client).await? {
        let api = Api::all_with(client.clone(), &resource);
        found.extend(names(&api, &resource, &ListParams::default().labels(labels)).await?);
    }
    Ok(found)
}

/// All kinds that can be listed, except Events, which come and go.
async fn kinds(client: &Client) -> Result<Vec<(ApiResource, Scope)>> {
    let discovery = Discovery::new(client.clone()).run().await?;
    let resources = discovery.groups().flat_map(ApiGroup::recommended_resources);
    Ok(resources
        .filter(|(resource, capabilities)| {
            capabilities.supports_operation(verbs::LIST) && resource.kind != "Event"
        })
        .map(|(resource, capabilities)| (resource, capabilities.scope))
        .collect())
}

async fn names(
    api: &Api<DynamicObject>,
    resource: &ApiResource,
    which: &ListParams,
) -> Result<Vec<String>> {
    let list = api.list_metadata(which).await?;
    Ok(list.iter().map(|object| format!("{} {}", resource.kind, object.name_any())).collect())
}
