//! The Kubernetes client.

use std::time::Duration;

use anyhow::{Context, Result};
use http::header::{HeaderValue, USER_AGENT};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::cli::ClusterArgs;

/// Does not connect yet: the first request does. `identity` names the client in the audit log.
pub(crate) async fn client(args: &ClusterArgs, identity: &str) -> Result<Client> {
    let mut config = config(args).await?;
    config.connect_timeout = Some(Duration::from_secs(5));
    // The queue retries, with its own backoff; the client's would sleep inside a write.
    config.default_retry = false;
    let agent = format!("ecr-refresher/{} ({identity})", env!("CARGO_PKG_VERSION"));
    let agent = HeaderValue::try_from(agent).context("POD_NAME cannot be in a header")?;
    config.headers.push((USER_AGENT, agent));
    Client::try_from(config).context("the Kubernetes client cannot be made")
}

async fn config(args: &ClusterArgs) -> Result<Config> {
    let options =
        KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
    match (&args.kubeconfig, &args.context) {
        (Some(path), _) => {
            let kubeconfig = Kubeconfig::read_from(path)
                .with_context(|| format!("cannot read the kubeconfig {}", path.display()))?;
            Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .with_context(|| format!("the kubeconfig {} cannot be used", path.display()))
        }
        (None, Some(context)) => Config::from_kubeconfig(&options)
            .await
            .with_context(|| format!("the context {context:?} cannot be used")),
        (None, None) => Config::infer().await.context(
            "there is neither a kubeconfig nor a Pod's service account: name one with --kubeconfig",
        ),
    }
}
