//! Metrics and probes over HTTP.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use ecr_refresher_sync::EngineHandle;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::CONTENT_TYPE,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::sleep,
};
use tracing::{debug, info, warn};

use crate::metrics::Metrics;

/// More clients than this at once wait their turn: Prometheus and the kubelet are a handful.
const MOST_CONNECTIONS: usize = 32;
/// How long a client may take to send its request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that is bound to its address.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    pages: Arc<Pages>,
}

/// What the pages show.
#[derive(Debug)]
struct Pages {
    metrics: Metrics,
    engine: EngineHandle,
}

impl Server {
    /// Binds the address, so that one in use is an error at start.
    pub(crate) async fn bind(
        address: SocketAddr,
        metrics: Metrics,
        engine: EngineHandle,
    ) -> Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("cannot listen at {address}: change `listen` in the config")
        })?;
        info!(address = %listener.local_addr()?, "serving metrics and probes");
        Ok(Self { listener, pages: Arc::new(Pages { metrics, engine }) })
    }

    /// Serves for ever, as a task.
    pub(crate) async fn serve(self) -> Result<()> {
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        loop {
            let place = Arc::clone(&places).acquire_owned().await;
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let pages = Arc::clone(&self.pages);
                    tokio::spawn(async move {
                        serve_connection(stream, pages).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: that passes.
                    warn!("cannot accept a connection: {error}");
                    sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, pages: Arc<Pages>) {
    let service = service_fn(|request| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(pages.answer(&request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        debug!("a connection ended badly: {error}");
    }
}

impl Pages {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n");
        }
        match request.uri().path() {
            "/metrics" => self.metrics().await,
            "/healthz" => self.healthz().await,
            "/readyz" => self.readyz().await,
            "/" => text(StatusCode::OK, "ecr-refresher: /metrics /healthz /readyz\n"),
            _ => text(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n"),
        }
    }

    async fn metrics(&self) -> Response<Full<Bytes>> {
        match self.metrics.render(&self.engine).await {
            Ok(body) => {
                let mut response = Response::new(Full::from(body));
                let format = hyper::header::HeaderValue::from_static(prometheus::TEXT_FORMAT);
                response.headers_mut().insert(CONTENT_TYPE, format);
                response
            }
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}\n")),
        }
    }

    async fn healthz(&self) -> Response<Full<Bytes>> {
        match self.engine.report(false).await {
            Ok(_) => text(StatusCode::OK, "ok\n"),
            Err(stalled) => text(StatusCode::SERVICE_UNAVAILABLE, &format!("{stalled}\n")),
        }
    }

    async fn readyz(&self) -> Response<Full<Bytes>> {
        match self.engine.report(false).await {
            Ok(report) if report.synced => text(StatusCode::OK, "ok\n"),
            Ok(_) => text(StatusCode::SERVICE_UNAVAILABLE, "the first sync is not done\n"),
            Err(stalled) => text(StatusCode::SERVICE_UNAVAILABLE, &format!("{stalled}\n")),
        }
    }
}

fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_owned()));
    *response.status_mut() = status;
    let plain = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
