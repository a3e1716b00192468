//! Pods as an application's owner makes them, and what becomes of them.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::{ContainerState, Pod};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use crate::wait::eventually;

/// How a Pod gets to its pull Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullsWith<'a> {
    /// It names the Secret itself.
    Secret(&'a str),
    /// Its `ServiceAccount` does.
    ServiceAccount,
}

/// A Pod of one container.
pub struct RunningPod {
    api: Api<Pod>,
    name: String,
}

impl RunningPod {
    /// Makes a Pod that runs an image. The image is looked for in its registry each time, also when
    /// the node has it.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn create(
        client: &Client,
        namespace: &str,
        name: &str,
        image: &str,
        pulls_with: PullsWith<'_>,
    ) -> Result<Self> {
        let secrets = match pulls_with {
            PullsWith::Secret(name) => json!([{ "name": name }]),
            PullsWith::ServiceAccount => json!(null),
        };
        let pod = json!({
            "metadata": { "name": name },
            "spec": {
                // There is no other network.
                "hostNetwork": true,
                "imagePullSecrets": secrets,
                "terminationGracePeriodSeconds": 1,
                "containers": [{ "name": "app", "image": image, "imagePullPolicy": "Always" }],
            },
        });
        let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
        api.create(&PostParams::default(), &serde_json::from_value(pod)?)
            .await
            .with_context(|| format!("making the Pod {namespace}/{name}"))?;
        Ok(Self { api, name: name.to_owned() })
    }

    /// Waits until it runs. An image that cannot be pulled ends the wait: kubelet would try again.
    ///
    /// # Errors
    /// When it does not run in time, or its image cannot be pulled, in kubelet's words.
    pub async fn runs(&self, deadline: Duration) -> Result<()> {
        match self.starts_or_is_refused(deadline).await? {
            None => Ok(()),
            Some(reason) => bail!("the Pod {} cannot pull: {reason}", self.name),
        }
    }

    /// Waits until its image could not be pulled, and returns kubelet's words.
    ///
    /// # Errors
    /// When it runs, or nothing is known in time.
    pub async fn is_refused(&self, deadline: Duration) -> Result<String> {
        let refused = self.starts_or_is_refused(deadline).await?;
        refused.with_context(|| format!("the Pod {} runs", self.name))
    }

    /// Waits until it runs, or until its image could not be pulled: then kubelet's words.
    async fn starts_or_is_refused(&self, deadline: Duration) -> Result<Option<String>> {
        let what = format!("the Pod {} to run or to be refused its image", self.name);
        eventually(&what, deadline, async || {
            let state = self.state().await?;
            if state.running.is_some() {
                return Ok(None);
            }
            let waiting = state.waiting.unwrap_or_default();
            let reason = waiting.reason.unwrap_or_default();
            ensure!(reason.contains("ImagePull"), "{reason}");
            Ok(Some(format!("{reason}: {}", waiting.message.unwrap_or_default())))
        })
        .await
    }

    /// Deletes it, and waits until it is gone.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn delete(self, deadline: Duration) -> Result<()> {
        self.api.delete(&self.name, &DeleteParams::default()).await?;
        eventually(&format!("the Pod {} to go", self.name), deadline, async || {
            ensure!(self.api.get_opt(&self.name).await?.is_none(), "it is there");
            Ok(())
        })
        .await
    }

    async fn state(&self) -> Result<ContainerState> {
        let pod = self.api.get(&self.name).await?;
        let phase = pod.status.context("no status yet")?;
        let statuses = phase.container_statuses.unwrap_or_default();
        let status = statuses.into_iter().next().with_context(|| {
            format!("no container yet: {:?}", phase.conditions.unwrap_or_default())
        })?;
        status.state.context("its container has no state yet")
    }
}
