//! Notices at once when the copy of one namespace appears: polling would measure too long a time.

use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{ListParams, WatchParams},
    core::{PartialObjectMeta, WatchEvent},
};

type Event = WatchEvent<PartialObjectMeta<Secret>>;

/// A watch of one Secret, with the events after its start.
pub(crate) struct CopyWatch {
    name: String,
    events: Pin<Box<dyn Stream<Item = kube::Result<Event>>>>,
}

impl CopyWatch {
    /// Starts to watch. The namespace need not be there yet.
    pub(crate) async fn start(client: &Client, namespace: &str, secret: &str) -> Result<Self> {
        let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let field = format!("metadata.name={secret}");
        let now = api.list_metadata(&ListParams::default().fields(&field)).await?;
        let version = now.metadata.resource_version.context("a list without a version")?;
        let events = api.watch_metadata(&WatchParams::default().fields(&field), &version).await?;
        Ok(Self { name: format!("{namespace}/{secret}"), events: Box::pin(events) })
    }

    /// Waits until the Secret is made.
    pub(crate) async fn appears(&mut self, deadline: Duration) -> Result<()> {
        let Self { name, events } = self;
        let appears = async {
            while let Some(event) = events.next().await {
                match event.with_context(|| format!("watching {name}"))? {
                    Event::Added(_) => return Ok(()),
                    Event::Error(status) => bail!("the watch of {name} ended: {status:?}"),
                    _ => {}
                }
            }
            bail!("the watch of {name} ended")
        };
        let appeared = tokio::time::timeout(deadline, appears).await.ok();
        appeared.with_context(|| format!("there is no Secret {name} after {deadline:?}"))?
    }
}
