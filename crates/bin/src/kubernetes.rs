//! The Kubernetes client.

mod plugin;

use std::{env, io};

use anyhow::{Context, Result, bail};
use ecr_refresher_core::connect::{
    self, CONNECT_TIMEOUT, Connector,
    proxies::{Proxies, proxy_url},
    with_tls,
};
use http::{
    Request, Uri,
    header::{HeaderValue, USER_AGENT},
};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{
    Api, Client, Config,
    api::PostParams,
    client::{Body, ConfigExt},
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use rustls::pki_types::ServerName;
use tower::{BoxError, ServiceBuilder};

use crate::cli::ClusterArgs;

/// A client, and the API server that it asks.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    /// The URL of the API server.
    pub(crate) server: String,
}

/// Does not connect yet: the first request does. `identity` names the client in the audit log.
pub(crate) async fn client(args: &ClusterArgs, identity: &str) -> Result<Client> {
    Ok(cluster(args, identity, None).await?.client)
}

/// As [`client`], as another user if one is named.
pub(crate) async fn cluster(
    args: &ClusterArgs,
    identity: &str,
    user: Option<&str>,
) -> Result<Cluster> {
    let mut config = config(args).await?;
    if let Some(user) = user {
        config.auth_info.impersonate = Some(user.to_owned());
    }
    let server = shown(&config.cluster_url);
    let agent = format!("ecr-refresher/{} ({identity})", env!("CARGO_PKG_VERSION"));
    let agent = HeaderValue::try_from(agent).context("POD_NAME cannot be in a header")?;
    config.headers.push((USER_AGENT, agent));
    Ok(Cluster { client: build(&config).context("the Kubernetes client cannot be made")?, server })
}

/// The user that the API server takes the caller for.
pub(crate) async fn user(client: &Client) -> Result<String> {
    let api: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = api.create(&PostParams::default(), &SelfSubjectReview::default()).await;
    let review = review.context("does not say who the user is")?;
    let user = review.status.and_then(|status| status.user_info).and_then(|user| user.username);
    Ok(user.unwrap_or_default())
}

/// A URL without user, password and path.
fn shown(url: &Uri) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let (scheme, host) = (url.scheme_str().unwrap_or("https"), url.host().unwrap_or_default());
    format!("{scheme}://{host}{port}")
}

/// Not kube's own stack: it keeps idle connections for 90 s, retries inside a write although the queue has its
/// own backoff, and goes through proxies by code of its own.
fn build(config: &Config) -> Result<Client> {
    let name = config.auth_info.exec.as_ref().and_then(|exec| exec.command.clone());
    let name = name.unwrap_or_else(|| "for authentication".to_owned());
    let auth = config.auth_layer().map_err(|error| match &error {
        kube::Error::Auth(auth) => {
            plugin::failure(&name, auth).map_or_else(|| error.into(), anyhow::Error::msg)
        }
        _ => error.into(),
    });
    let auth = auth?;
    // Asked once: it starts the plugin, which may have a certificate too.
    let tls = config.rustls_client_config()?;
    let connector = Connector::new(tls.clone(), Proxies::always(config.proxy_url.clone()));
    let server = config.tls_server_name.clone().map(ServerName::try_from).transpose()?;
    // The limit holds for TLS too. The client takes no future that must be pinned.
    let connect = ServiceBuilder::new()
        .map_future(Box::pin)
        .timeout(CONNECT_TIMEOUT)
        .service(with_tls(tls, server, connector.clone()));
    let service = ServiceBuilder::new()
        .map_err(move |error| plugin::known(&name, error))
        .layer(config.base_uri_layer())
        .option_layer(auth)
        .layer(config.extra_headers_layer()?)
        .map_request(move |mut request: Request<Body>| {
            connector.authorize(&mut request);
            request
        })
        .map_err(BoxError::from)
        .service(connect::client(connect));
    Ok(Client::new(service, config.default_namespace.clone()))
}

async fn config(args: &ClusterArgs) -> Result<Config> {
    // Before the client library reads them: it shows the whole URL in its errors.
    let proxies = Proxies::from_env()?;
    let Some(kubeconfig) = kubeconfig(args)? else {
        // A proxy is for what is outside the cluster.
        return Config::incluster().context("the Pod's service account cannot be used");
    };
    let explicit = explicit_proxy(&kubeconfig, args.context.as_deref())?;
    let options =
        KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.context(match (&args.context, &args.kubeconfig) {
        (Some(context), _) => format!("the context {context:?} cannot be used"),
        (None, Some(path)) => format!("the kubeconfig {} cannot be used", path.display()),
        (None, None) => "the kubeconfig cannot be used".to_owned(),
    })?;
    // Not the client library's choice, which compares NO_PROXY with the address of the proxy.
    config.proxy_url = explicit.or_else(|| proxies.of(&config.cluster_url).cloned());
    Ok(config)
}

/// The kubeconfig; `None` in a Pod without one.
fn kubeconfig(args: &ClusterArgs) -> Result<Option<Kubeconfig>> {
    if let Some(path) = &args.kubeconfig {
        let kubeconfig = Kubeconfig::read_from(path)
            .with_context(|| format!("cannot read the kubeconfig {}", path.display()))?;
        return Ok(Some(kubeconfig));
    }
    let error = match Kubeconfig::read() {
        Ok(kubeconfig) => return Ok(Some(kubeconfig)),
        Err(error) => error,
    };
    let is_in_pod = env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let is_missing = match &error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(error, _) => error.kind() == io::ErrorKind::NotFound,
        _ => false,
    };
    match (&args.context, is_missing) {
        (None, true) if is_in_pod => Ok(None),
        (None, true) => bail!(
            "there is neither a kubeconfig nor a Pod's service account: name one with --kubeconfig"
        ),
        _ => Err(error).context("cannot read the kubeconfig"),
    }
}

/// The `proxy-url` of the context's cluster. `NO_PROXY` is for the proxies of the environment.
fn explicit_proxy(kubeconfig: &Kubeconfig, context: Option<&str>) -> Result<Option<Uri>> {
    let name = context.or(kubeconfig.current_context.as_deref());
    let context = kubeconfig.contexts.iter().find(|it| Some(it.name.as_str()) == name);
    let name = context.and_then(|it| it.context.as_ref()).map(|it| it.cluster.as_str());
    let cluster = kubeconfig.clusters.iter().find(|it| Some(it.name.as_str()) == name);
    let proxy = cluster.and_then(|it| it.cluster.as_ref()).and_then(|it| it.proxy_url.as_deref());
    let proxy = proxy.filter(|proxy| !proxy.is_empty());
    Ok(proxy.map(|proxy| proxy_url("`proxy-url` of the kubeconfig", proxy)).transpose()?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A client whose plugin, in a shell, is this script.
    async fn with_plugin(script: &str) -> Result<Client> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("kubeconfig");
        let exec = serde_json::json!({
            "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
            "command": "sh", "args": ["-c", script],
            "env": [{ "name": "PASSWORD", "value": "hunter2" }],
        });
        let kubeconfig = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "a",
            "contexts": [{ "name": "a", "context": { "cluster": "a", "user": "a" } }],
            "clusters": [{ "name": "a", "cluster": { "server": "http://127.0.0.1:9" } }],
            "users": [{ "name": "a", "user": { "exec": exec } }],
        });
        fs::write(&path, kubeconfig.to_string())?;
        let args = ClusterArgs { kubeconfig: Some(path), context: None };
        client(&args, "test").await
    }

    #[tokio::test]
    async fn a_plugin_that_fails_is_named_without_its_variables_and_its_output() {
        for (script, words) in [
            (
                "echo $PASSWORD; echo log in first >&2; exit 7",
                "sh of the kubeconfig failed with exit status: 7: log in first",
            ),
            ("echo $PASSWORD", "sh of the kubeconfig printed something that is no ExecCredential"),
        ] {
            let error = with_plugin(script).await.map(drop).unwrap_err();
            let shown = format!("{error:#} {error:?}");
            assert!(shown.contains(words) && !shown.contains("hunter2"), "{shown}");
        }
    }

    #[tokio::test]
    async fn so_is_one_that_fails_when_its_token_has_expired() {
        let folder = tempfile::tempdir().unwrap();
        let seen = folder.path().join("seen");
        let credential = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",
            "status":{"token":"hunter2","expirationTimestamp":"2020-01-01T00:00:00Z"}}"#;
        let script = format!(
            "test -e {0} && echo $PASSWORD && exit 7; touch {0}; echo '{credential}'",
            seen.display()
        );
        let client = with_plugin(&script).await.unwrap();
        let error = client.apiserver_version().await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(
            shown.contains("failed with exit status: 7") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
