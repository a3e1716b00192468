//! The HTTP client of all AWS calls: HTTP/1.1 over rustls, directly or through a proxy.
//!
//! The SDK's own brings HTTP/2 and holds the authorities of the machine twice, and it has no SOCKS: see
//! "Effect of each design choice" in docs/benchmarks.

use std::{error::Error, io, iter, time::Duration};

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector as SdkConnector, HttpConnectorFuture, HttpConnectorSettings,
        SharedHttpClient, SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use http::Request;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client as HyperClient;
use rustls::ClientConfig;
use tokio::time::timeout;
use tower::BoxError;

use crate::connect::{self, Connector, proxies::Proxies, with_tls};

/// A client that uses the proxies of the environment.
pub(super) fn client(tls: ClientConfig, proxies: Proxies) -> SharedHttpClient {
    let connector = Connector::new(tls.clone(), proxies);
    let hyper = connect::client(with_tls(tls, None, connector.clone()));
    SharedHttpClient::new(Client { hyper, connector, limit: None })
}

/// Its clones share their connections.
#[derive(Debug, Clone)]
struct Client {
    hyper: HyperClient<HttpsConnector<Connector>, SdkBody>,
    connector: Connector,
    /// For each request, until the head of its reply.
    limit: Option<Duration>,
}

impl HttpClient for Client {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let limit = settings.read_timeout().zip(settings.connect_timeout());
        let limit = limit.map(|(read, connect)| read + connect);
        SharedHttpConnector::new(Self { limit, ..self.clone() })
    }
}

impl SdkConnector for Client {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { hyper, connector, limit } = self.clone();
        HttpConnectorFuture::new(async move {
            let mut request: Request<_> =
                request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            connector.authorize(&mut request);
            let answer = timeout(limit.unwrap_or(Duration::MAX), hyper.request(request)).await;
            let answer = answer.map_err(|elapsed| ConnectorError::timeout(elapsed.into()))?;
            let reply = answer.map_err(|error| failure(error.into()))?.map(SdkBody::from_body_1_x);
            HttpResponse::try_from(reply).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

fn failure(error: BoxError) -> ConnectorError {
    let causes = iter::successors(Some(&*error as &(dyn Error + 'static)), |it| (*it).source());
    let mut io = causes.filter_map(|cause| cause.downcast_ref::<io::Error>());
    if io.any(|error| error.kind() == io::ErrorKind::TimedOut) {
        ConnectorError::timeout(error)
    } else {
        ConnectorError::io(error)
    }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::{Files, aws::trust};

    const PATIENCE: Duration = Duration::from_secs(30);
    /// The first byte of a TLS record that holds a handshake (RFC 8446, section 5.1).
    const HANDSHAKE: u8 = 22;
    /// The bytes that a proxy gets, and its answer.
    type Step = (&'static [u8], &'static [u8]);
    const CLOUD: &str = "https://sts.example.com";

    /// Sends a call to `url` with this variable, both with `LISTENER` for the address of a server.
    async fn call(url: &str, variable: (&str, &str), server: impl AsyncFnOnce(TcpStream)) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let proxies = Proxies::new(|name| {
            (name == variable.0).then(|| variable.1.replace("LISTENER", &address))
        });
        let keys = Credentials::new("id", "secret", None, None, "test");
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(keys))
            .retry_config(aws_config::retry::RetryConfig::disabled())
            .endpoint_url(url.replace("LISTENER", &address))
            .http_client(client(trust::config(&Files::system()).unwrap(), proxies.unwrap()))
            .build();
        let sts = aws_sdk_sts::Client::from_conf(config);
        let call = sts.get_caller_identity().send();
        let answering = async { server(listener.accept().await.unwrap().0).await };
        let (failed, ()) =
            timeout(PATIENCE, async { tokio::join!(call, answering) }).await.unwrap();
        failed.unwrap_err();
    }

    /// Checks that the server gets what is given, answers it, and then gets a handshake.
    async fn check(url: &str, variable: (&str, &str), exchange: Vec<Step>) {
        call(url, variable, async |mut stream| {
            for (expected, answer) in exchange {
                let mut got = vec![0; expected.len()];
                stream.read_exact(&mut got).await.unwrap();
                assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(expected));
                stream.write_all(answer).await.unwrap();
            }
            assert_eq!(stream.read_u8().await.unwrap(), HANDSHAKE);
        })
        .await;
    }

    #[tokio::test]
    async fn a_proxy_forwards_plain_http() {
        let proxy = ("HTTP_PROXY", "http://me:secret@LISTENER");
        call("http://sts.example.com", proxy, async |mut stream| {
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            let head = String::from_utf8_lossy(&head[..length]);
            assert!(head.starts_with("POST http://sts.example.com/ HTTP/1.1\r\n"), "{head}");
            assert!(head.contains("proxy-authorization: Basic bWU6c2VjcmV0\r\n"), "{head}");
        })
        .await;
    }

    #[tokio::test]
    async fn without_a_proxy_https_begins_with_a_handshake_of_tls() {
        check("https://LISTENER", ("HTTPS_PROXY", "http://nowhere.invalid"), Vec::new()).await;
    }

    #[tokio::test]
    async fn a_proxy_is_asked_for_a_tunnel_with_the_user_and_the_password() {
        let request = b"CONNECT sts.example.com:443 HTTP/1.1\r\nHost: sts.example.com:443\r\n\
            Proxy-Authorization: Basic bWU6c0BjcmV0\r\n\r\n";
        let proxy = ("HTTPS_PROXY", "http://me:s%40cret@LISTENER");
        check(CLOUD, proxy, vec![(request, b"HTTP/1.1 200 OK\r\n\r\n")]).await;
    }

    #[tokio::test]
    async fn a_proxy_itself_may_have_tls() {
        check(CLOUD, ("HTTPS_PROXY", "https://LISTENER"), Vec::new()).await;
    }

    #[tokio::test]
    async fn a_socks_proxy_resolves_the_name() {
        let request = b"\x05\x01\x00\x03\x0fsts.example.com\x01\xbb";
        let done = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00";
        let exchange: Vec<Step> = vec![(b"\x05\x01\x00", b"\x05\x00"), (request, done)];
        check(CLOUD, ("ALL_PROXY", "socks5h://LISTENER"), exchange).await;
    }
}
