//! The one HTTP stack of all AWS clients: rustls on ring, through a proxy where the environment names
//! one.

use std::sync::Arc;

use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use http::Uri;

use super::resolver::Resolver;
use crate::proxies::Proxies;

/// A client that uses the proxies of the environment, and trusts the authorities of `trust`.
pub(super) fn client(trust: TrustStore, proxies: Proxies) -> SharedHttpClient {
    // Both read the authorities once.
    let context = TlsContext::builder().with_trust_store(trust).build().ok();
    SharedHttpClient::new(Client {
        direct: build(ProxyConfig::disabled, context.clone()),
        proxied: build(ProxyConfig::from_env, context),
        proxies: Arc::new(proxies),
    })
}

fn build(proxy: fn() -> ProxyConfig, context: Option<TlsContext>) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder().proxy_config(proxy());
        builder.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            builder.set_sleep_impl(components.sleep_impl());
        }
        let builder = builder.tls_provider(Provider::Rustls(CryptoMode::Ring));
        match context.clone() {
            Some(context) => builder.tls_context(context).build_with_resolver(Resolver),
            None => builder.build_with_resolver(Resolver),
        }
    })
}

/// Sends each request directly or through a proxy, as [`Proxies`] decides.
#[derive(Debug)]
struct Client {
    direct: SharedHttpClient,
    proxied: SharedHttpClient,
    proxies: Arc<Proxies>,
}

/// A [`Client`] with settings.
#[derive(Debug)]
struct Fork {
    direct: SharedHttpConnector,
    proxied: SharedHttpConnector,
    proxies: Arc<Proxies>,
}

impl HttpClient for Client {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Fork {
            direct: self.direct.http_connector(settings, components),
            proxied: self.proxied.http_connector(settings, components),
            proxies: Arc::clone(&self.proxies),
        })
    }
}

impl HttpConnector for Fork {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let url = request.uri().parse::<Uri>().ok();
        let proxy = url.as_ref().and_then(|url| self.proxies.of(url));
        match proxy.and_then(Uri::scheme_str) {
            None => self.direct.call(request),
            Some("socks5") => HttpConnectorFuture::ready(Err(ConnectorError::user(
                "AWS cannot be asked through a SOCKS proxy: set HTTPS_PROXY to one for HTTP".into(),
            ))),
            Some(_) => self.proxied.call(request),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, net::TcpListener};

    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};

    use super::*;

    /// The first byte of a TLS record that holds a handshake (RFC 8446, section 5.1).
    const HANDSHAKE: u8 = 22;

    #[tokio::test]
    async fn https_begins_with_a_handshake_of_tls() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let mut first = [0];
            listener.accept().unwrap().0.read_exact(&mut first).unwrap();
            first[0]
        });
        let keys = Credentials::new("id", "secret", None, None, "test");
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(keys))
            .retry_config(aws_config::retry::RetryConfig::disabled())
            .endpoint_url(url)
            .http_client(build(ProxyConfig::disabled, None))
            .build();
        let sts = aws_sdk_sts::Client::from_conf(config);
        sts.get_caller_identity().send().await.unwrap_err();
        assert_eq!(server.join().unwrap(), HANDSHAKE);
    }
}
