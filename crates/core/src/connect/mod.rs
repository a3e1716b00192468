//! The connection for a URL, to AWS or to the Kubernetes API server: direct, or through a proxy.

pub mod proxies;
mod resolver;

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Uri, header::PROXY_AUTHORIZATION};
use hyper::{
    body::Body,
    rt::{Read, ReadBufCursor, Write},
};
use hyper_rustls::{
    FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream,
};
use hyper_util::{
    client::{
        legacy::{
            Client,
            connect::{
                Connect, Connected, Connection, HttpConnector,
                proxy::{SocksV5, Tunnel},
            },
        },
        proxy::matcher::{Intercept, Matcher},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tower::{BoxError, Service};

use self::{proxies::Proxies, resolver::Resolver};

type Tcp = HttpConnector<Resolver>;

/// The timeout of a TCP connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection without requests is kept: half of the silence after which a watch is opened anew,
/// so that it does not get another connection of the same dead network.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A client over HTTP/1.1. Its clones share their connections.
pub fn client<C, B>(connector: C) -> Client<C, B>
where
    C: Connect + Clone,
    B: Body<Data: Send> + Send,
{
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .build(connector)
}

/// A connector with TLS for `https`, for a server with the certificate of `name` or else of its host.
pub fn with_tls<C>(
    tls: ClientConfig,
    name: Option<ServerName<'static>>,
    connector: C,
) -> HttpsConnector<C> {
    let mut builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    if let Some(name) = name {
        builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    builder.enable_http1().wrap_connector(connector)
}

/// Connects, without TLS to the server.
#[derive(Debug, Clone)]
pub struct Connector {
    tcp: Tcp,
    /// A connection to a proxy may have TLS of its own.
    to_proxy: HttpsConnector<Tcp>,
    proxies: Arc<Proxies>,
}

impl Connector {
    /// A connector with these proxies; `tls` is for those that have TLS themselves.
    #[must_use]
    pub fn new(tls: ClientConfig, proxies: Proxies) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Self { to_proxy: with_tls(tls, None, tcp.clone()), tcp, proxies: Arc::new(proxies) }
    }

    /// Adds `Proxy-Authorization` to a request that a proxy forwards. A tunnel has had it already.
    pub fn authorize<B>(&self, request: &mut Request<B>) {
        let url = request.uri();
        let proxy = self.proxy(url).filter(|proxy| is_forwarded(url, proxy));
        if let Some(auth) = proxy.as_ref().and_then(Intercept::basic_auth) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, auth.clone());
        }
    }

    /// The proxy for a URL, with the user and the password taken apart.
    fn proxy(&self, url: &Uri) -> Option<Intercept> {
        let proxy = self.proxies.of(url)?;
        Matcher::builder().all(proxy.to_string()).build().intercept(url)
    }
}

fn is_socks(proxy: &Intercept) -> bool {
    proxy.uri().scheme_str() == Some("socks5")
}

/// Whether a proxy is asked for the URL itself: plain HTTP needs no tunnel.
fn is_forwarded(url: &Uri, proxy: &Intercept) -> bool {
    url.scheme_str() == Some("http") && !is_socks(proxy)
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // So are the connectors below.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let proxy = self.proxy(&url);
        let Self { mut tcp, mut to_proxy, .. } = self.clone();
        Box::pin(async move {
            let Some(proxy) = proxy else {
                return Ok(Stream::plain(tcp.call(url).await?));
            };
            let address = proxy.uri().clone();
            if is_forwarded(&url, &proxy) {
                return Ok(Stream { io: to_proxy.call(address).await?, is_forwarded: true });
            }
            if is_socks(&proxy) {
                let mut socks = SocksV5::new(address, tcp);
                if let Some((user, password)) = proxy.raw_auth() {
                    socks = socks.with_auth(user.to_owned(), password.to_owned());
                }
                return Ok(Stream::plain(socks.call(url).await?));
            }
            let mut tunnel = Tunnel::new(address, to_proxy);
            if let Some(auth) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(auth.clone());
            }
            Ok(Stream { io: tunnel.call(url).await?, is_forwarded: false })
        })
    }
}

/// A connection.
#[derive(Debug)]
pub struct Stream {
    io: MaybeHttpsStream<TokioIo<TcpStream>>,
    /// Whether its requests name the server, for a proxy.
    is_forwarded: bool,
}

impl Stream {
    fn plain(io: TokioIo<TcpStream>) -> Self {
        Self { io: MaybeHttpsStream::Http(io), is_forwarded: false }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.is_forwarded)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;
    use rustls::RootCertStore;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        time,
    };

    use super::*;

    #[tokio::test]
    async fn a_connection_without_requests_is_kept_for_30_seconds() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let tls = ClientConfig::builder().with_root_certificates(RootCertStore::empty());
        let connector = Connector::new(tls.with_no_client_auth(), Proxies::always(None));
        let client = client::<_, Empty<&[u8]>>(connector);
        let mut connections = Vec::new();
        for (idle, opens) in [(0, true), (29, false), (31, true)] {
            // Only here: a clock that is paused runs ahead while a socket is waited for.
            time::pause();
            time::advance(Duration::from_secs(idle)).await;
            time::resume();
            let answering = async {
                if opens {
                    connections.push(listener.accept().await.unwrap().0);
                }
                let connection = connections.last_mut().unwrap();
                assert!(connection.read(&mut [0; 4096]).await.unwrap() > 0);
                connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            };
            let both = async { tokio::join!(client.get(url.clone()), answering).0 };
            let answer = time::timeout(Duration::from_secs(30), both).await;
            assert_eq!(answer.unwrap().unwrap().status(), 204, "after {idle} s");
        }
    }
}
