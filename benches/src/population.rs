//! The namespaces and Secrets of the cluster, made and deleted many at a time.

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::{
    ByteString,
    api::core::v1::{Namespace, Secret},
};
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, PostParams},
};

use crate::{progress::Progress, stage::Stage};

/// A higher number is not faster.
const CONCURRENCY: usize = 32;
/// Where other Secrets are, and how large each is.
const SECRETS_PER_NAMESPACE: usize = 1000;
const OTHER_SECRET_BYTES: usize = 10_000;

/// Which namespaces are on the list from the beginning.
pub(crate) fn is_listed(name: &str) -> bool {
    name.starts_with("team-") || name.starts_with("new-")
}

/// Makes these namespaces.
pub(crate) async fn make_namespaces(client: &Client, names: Vec<String>) -> Result<()> {
    let progress = Progress::start("namespaces", names.len());
    each(names, &progress, async |name| make_namespace(client, name).await).await
}

/// Makes one namespace.
pub(crate) async fn make_namespace(client: &Client, name: &str) -> Result<()> {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    let api = Api::<Namespace>::all(client.clone());
    api.create(&PostParams::default(), &namespace)
        .await
        .with_context(|| format!("creating the namespace {name}"))?;
    Ok(())
}

/// Makes Secrets that are none of the daemon's business, in namespaces of their own.
pub(crate) async fn make_other_secrets(client: &Client, count: usize) -> Result<()> {
    let namespace = |number| format!("other-{}", number / SECRETS_PER_NAMESPACE);
    let namespaces = (0..count).step_by(SECRETS_PER_NAMESPACE).map(namespace);
    make_namespaces(client, namespaces.collect()).await?;
    let progress = Progress::start("other Secrets of 10 KB", count);
    let numbers = (0..count).collect();
    each(numbers, &progress, async |&number| {
        let secret = Secret {
            metadata: ObjectMeta { name: Some(format!("other-{number}")), ..ObjectMeta::default() },
            data: Some([("data".to_owned(), ByteString(vec![b'x'; OTHER_SECRET_BYTES]))].into()),
            ..Secret::default()
        };
        let api = Api::<Secret>::namespaced(client.clone(), &namespace(number));
        api.create(&PostParams::default(), &secret).await?;
        Ok(())
    })
    .await
}

/// Deletes the copies in these namespaces.
pub(crate) async fn delete_copies(stage: &Stage, names: &[String]) -> Result<()> {
    let client = stage.admin();
    let copies = |secret| names.iter().map(move |name| (name, secret));
    let copies: Vec<_> = stage.secrets.iter().flat_map(copies).collect();
    let progress = Progress::start("copies deleted", copies.len());
    each(copies, &progress, async |&(name, secret)| {
        let api = Api::<Secret>::namespaced(client.clone(), name);
        match api.delete(secret, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            deleted => Ok(deleted.map(drop)?),
        }
    })
    .await
}

async fn each<T>(
    all: Vec<T>,
    progress: &Progress,
    make: impl AsyncFn(&T) -> Result<()>,
) -> Result<()> {
    let make = &make;
    let steps = all.into_iter().map(|one| async move {
        make(&one).await?;
        progress.step();
        Ok(())
    });
    stream::iter(steps).buffer_unordered(CONCURRENCY).try_collect().await
}
