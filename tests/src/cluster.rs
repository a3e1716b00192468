//! Namespaces and Secrets, as an administrator makes and reads them.

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{TryStreamExt, stream};
use k8s_openapi::{
    ByteString,
    api::core::v1::{Namespace, Secret},
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::wait::eventually;

/// The controllers of a busy machine get this long.
const PATIENCE: Duration = Duration::from_mins(1);

/// Makes an object.
///
/// # Errors
/// When it is not one of this kind, or the API server refuses.
pub async fn create<K>(api: &Api<K>, object: Value) -> Result<()>
where
    K: Clone + fmt::Debug + DeserializeOwned + Serialize,
{
    api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

/// Makes a namespace with labels.
///
/// # Errors
/// When the API server refuses.
pub async fn create_namespace(client: &Client, name: &str, labels: &[(&str, &str)]) -> Result<()> {
    let labels: BTreeMap<_, _> = labels.iter().copied().collect();
    let namespace = json!({ "metadata": { "name": name, "labels": labels } });
    let namespace: Namespace = serde_json::from_value(namespace)?;
    let api = Api::<Namespace>::all(client.clone());
    api.create(&PostParams::default(), &namespace)
        .await
        .with_context(|| format!("creating the namespace {name}"))?;
    Ok(())
}

/// Makes many namespaces, several at a time.
///
/// # Errors
/// When the API server refuses one.
pub async fn create_namespaces(
    client: &Client,
    names: impl IntoIterator<Item = String>,
) -> Result<()> {
    stream::iter(names.into_iter().map(Ok))
        .try_for_each_concurrent(
            16,
            |name| async move { create_namespace(client, &name, &[]).await },
        )
        .await
}

/// Sets a label of a namespace, or takes it away.
///
/// # Errors
/// When the API server refuses.
pub async fn label_namespace(
    client: &Client,
    name: &str,
    key: &str,
    value: Option<&str>,
) -> Result<()> {
    let patch = Patch::Merge(json!({ "metadata": { "labels": { key: value } } }));
    let api = Api::<Namespace>::all(client.clone());
    api.patch(name, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Deletes a namespace and waits until it is gone.
///
/// # Errors
/// When it is not gone in time.
pub async fn delete_namespace(client: &Client, name: &str) -> Result<()> {
    let api = Api::<Namespace>::all(client.clone());
    api.delete(name, &DeleteParams::default()).await?;
    eventually("the namespace to go", PATIENCE, async || match api.get_opt(name).await? {
        None => Ok(()),
        Some(namespace) => bail!("{:?}", namespace.status),
    })
    .await
}

/// A Secret of a namespace, if it is there.
///
/// # Errors
/// When the API server does not answer.
pub async fn secret(client: &Client, namespace: &str, name: &str) -> Result<Option<Secret>> {
    Ok(Api::<Secret>::namespaced(client.clone(), namespace).get_opt(name).await?)
}

/// All Secrets of that name in the cluster.
///
/// # Errors
/// When the API server does not answer.
pub async fn secrets(client: &Client, name: &str) -> Result<Vec<Secret>> {
    let named = ListParams::default().fields(&format!("metadata.name={name}"));
    Ok(Api::<Secret>::all(client.clone()).list(&named).await?.items)
}

/// Waits for a Secret that is as `wanted` says; what it is not yet is in the error.
///
/// # Errors
/// When there is no such Secret in time.
pub async fn eventually_secret(
    client: &Client,
    namespace: &str,
    name: &str,
    deadline: Duration,
    wanted: impl Fn(&Secret) -> Result<()>,
) -> Result<Secret> {
    eventually(&format!("the Secret {namespace}/{name}"), deadline, async || {
        let secret = secret(client, namespace, name).await?.context("there is none")?;
        wanted(&secret)?;
        Ok(secret)
    })
    .await
}

/// Waits until there is no such Secret.
///
/// # Errors
/// When it is there still after the deadline.
pub async fn eventually_no_secret(
    client: &Client,
    namespace: &str,
    name: &str,
    deadline: Duration,
) -> Result<()> {
    eventually(&format!("the Secret {namespace}/{name} to go"), deadline, async || {
        ensure!(secret(client, namespace, name).await?.is_none(), "it is there");
        Ok(())
    })
    .await
}

/// The document of a pull Secret.
///
/// # Errors
/// When it has none.
pub fn document(secret: &Secret) -> Result<Value> {
    let data = secret.data.as_ref().and_then(|data| data.get(".dockerconfigjson"));
    let ByteString(bytes) = data.context("the Secret has no .dockerconfigjson")?;
    // Not the parser's own words, which may quote a password.
    serde_json::from_slice(bytes).ok().context("the document is not JSON")
}

/// The password that a pull Secret holds for a host, after a check of its user.
///
/// # Errors
/// When it holds none.
pub fn password(secret: &Secret, host: &str) -> Result<String> {
    let document = document(secret)?;
    let auth = document["auths"][host]["auth"].as_str();
    let auth = auth.with_context(|| {
        format!("{} has no auth for {host}", secret.namespace().unwrap_or_default())
    })?;
    let decoded = String::from_utf8(STANDARD.decode(auth)?)?;
    let (user, password) = decoded.split_once(':').context("the auth has no password")?;
    ensure!(user == "AWS", "the user is {user}");
    Ok(password.to_owned())
}

/// Deletes a Secret.
///
/// # Errors
/// When the API server refuses.
pub async fn delete_secret(client: &Client, namespace: &str, name: &str) -> Result<()> {
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    api.delete(name, &DeleteParams::default()).await?;
    Ok(())
}

/// Edits a Secret by a merge patch, as `kubectl edit` would.
///
/// # Errors
/// When the API server refuses.
pub async fn patch_secret(
    client: &Client,
    namespace: &str,
    name: &str,
    edit: &Value,
) -> Result<()> {
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    api.patch(name, &PatchParams::default(), &Patch::Merge(edit)).await?;
    Ok(())
}
