//! The connection to AWS for a URL: direct, or through a proxy.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::{
        legacy::connect::{
            Connected, Connection, HttpConnector,
            proxy::{SocksV5, Tunnel},
        },
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower::{BoxError, Service};

use super::resolver::Resolver;
use crate::proxies::Proxies;

type Tcp = HttpConnector<Resolver>;

/// The limit of TCP, of which the SDK is told too.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connector with TLS for `https`.
pub(super) fn with_tls<C>(tls: ClientConfig, connector: C) -> HttpsConnector<C> {
    HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector)
}

/// Connects, without TLS to the server.
#[derive(Debug, Clone)]
pub(super) struct Route {
    tcp: Tcp,
    /// A connection to a proxy may have TLS of its own.
    to_proxy: HttpsConnector<Tcp>,
    proxies: Arc<Proxies>,
}

impl Route {
    pub(super) fn new(tls: ClientConfig, proxies: Proxies) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Self { to_proxy: with_tls(tls, tcp.clone()), tcp, proxies: Arc::new(proxies) }
    }

    /// The `Proxy-Authorization` of a request that a proxy forwards.
    pub(super) fn forward_authorization(&self, url: &Uri) -> Option<HeaderValue> {
        self.proxy(url).filter(|proxy| is_forwarded(url, proxy))?.basic_auth().cloned()
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

impl Service<Uri> for Route {
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
pub(super) struct Stream {
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
