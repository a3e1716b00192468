//! The one HTTP stack of all AWS clients: rustls on ring, through a proxy where the environment names
//! one.

use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};

/// Where a machine or a Pod asks for its own credentials: IMDS, ECS and EKS Pod Identity, and their
/// IPv6 addresses. A proxy would answer for another machine than this one.
const METADATA: [&str; 5] =
    ["169.254.169.254", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "[fd00:ec2::254]"];

/// A client that uses the proxy of `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY`, except for the hosts of
/// `NO_PROXY` and the metadata addresses.
pub(super) fn client() -> SharedHttpClient {
    SharedHttpClient::new(Client {
        direct: build(ProxyConfig::disabled),
        proxied: build(ProxyConfig::from_env),
    })
}

fn build(proxy: fn() -> ProxyConfig) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder().proxy_config(proxy());
        builder.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            builder.set_sleep_impl(components.sleep_impl());
        }
        builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).build()
    })
}

/// Sends requests to metadata addresses directly, and all others as the environment says.
#[derive(Debug)]
struct Client {
    direct: SharedHttpClient,
    proxied: SharedHttpClient,
}

/// A [`Client`] with settings.
#[derive(Debug)]
struct Fork {
    direct: SharedHttpConnector,
    proxied: SharedHttpConnector,
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
        })
    }
}

impl HttpConnector for Fork {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if is_metadata(request.uri()) {
            self.direct.call(request)
        } else {
            self.proxied.call(request)
        }
    }
}

/// Whether a URL is of a metadata address, with or without a port.
fn is_metadata(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    METADATA.iter().any(|address| {
        authority.strip_prefix(address).is_some_and(|port| port.is_empty() || port.starts_with(':'))
    })
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
            .http_client(build(ProxyConfig::disabled))
            .build();
        let sts = aws_sdk_sts::Client::from_conf(config);
        sts.get_caller_identity().send().await.unwrap_err();
        assert_eq!(server.join().unwrap(), HANDSHAKE);
    }

    #[test]
    fn metadata_addresses_are_never_asked_through_a_proxy() {
        for url in [
            "http://169.254.169.254/latest/api/token",
            "http://169.254.169.254:80/latest/meta-data/",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
        ] {
            assert!(is_metadata(url), "{url}");
        }
    }

    #[test]
    fn other_addresses_may_be() {
        for url in [
            "https://api.ecr.eu-west-1.amazonaws.com/",
            "http://169.254.169.254.example.com/",
            "http://127.0.0.1:80/?to=169.254.169.254",
        ] {
            assert!(!is_metadata(url), "{url}");
        }
    }
}
