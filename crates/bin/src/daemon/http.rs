//! Metrics and probes over HTTP.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use ecr_refresher_sync::{engine::handle::EngineHandle, report::WatchReport};
use futures::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Frame, Incoming},
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

/// The text of an answer: the metrics of a large cluster are not held as a whole.
type Page = UnsyncBoxBody<Bytes, Infallible>;

/// A server that is bound to its address.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
}

/// The sources of the pages.
#[derive(Debug)]
struct Pages {
    metrics: Metrics,
    engine: EngineHandle,
}

impl Server {
    /// Binds the address, so that one in use is an error at start.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("could not listen at {address}: change `listen` in the config")
        })?;
        info!(address = %listener.local_addr()?, "serving metrics and probes");
        Ok(Self { listener })
    }

    /// Serves for ever, as a task.
    pub(crate) async fn serve(self, metrics: Metrics, engine: EngineHandle) -> Result<()> {
        let pages = Arc::new(Pages { metrics, engine });
        let permits = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        loop {
            let permit = Arc::clone(&permits).acquire_owned().await;
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let pages = Arc::clone(&pages);
                    tokio::spawn(async move {
                        serve_connection(stream, pages).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: that passes.
                    warn!("could not accept a connection: {error}");
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
        debug!("a connection ended with an error: {error}");
    }
}

impl Pages {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Page> {
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

    async fn metrics(&self) -> Response<Page> {
        match self.metrics.render(&self.engine).await {
            Ok(pieces) => {
                let frames = pieces.map(|piece| Ok(Frame::data(Bytes::from(piece))));
                let body = StreamBody::new(stream::iter(frames)).boxed_unsync();
                let mut response = Response::new(body);
                let format = hyper::header::HeaderValue::from_static(prometheus::TEXT_FORMAT);
                response.headers_mut().insert(CONTENT_TYPE, format);
                response
            }
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}\n")),
        }
    }

    async fn healthz(&self) -> Response<Page> {
        match self.engine.health().await {
            Ok(health) => {
                let (status, body) = judge(&health.watches);
                text(status, &body)
            }
            Err(stalled) => text(StatusCode::SERVICE_UNAVAILABLE, &format!("{stalled}\n")),
        }
    }

    async fn readyz(&self) -> Response<Page> {
        match self.engine.health().await {
            Ok(health) if health.synced => text(StatusCode::OK, "ok\n"),
            Ok(_) => text(StatusCode::SERVICE_UNAVAILABLE, "the first sync is not done\n"),
            Err(stalled) => text(StatusCode::SERVICE_UNAVAILABLE, &format!("{stalled}\n")),
        }
    }
}

/// Whether the watches are alive, and the last activity of each. An API server that is down is no reason
/// for a restart: then the watches fail, and are resumed.
fn judge(watches: &[WatchReport]) -> (StatusCode, String) {
    let hanging = watches.iter().filter(|watch| watch.is_stuck);
    let mut lines: Vec<_> = hanging
        .map(|watch| format!("the {watch} is stuck: no event and no error for 5 minutes"))
        .collect();
    let status = if lines.is_empty() {
        lines.push("ok".to_owned());
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let activity =
        |watch: &WatchReport| format!("{watch}: last event {} s ago", watch.silence.as_secs());
    lines.extend(watches.iter().map(activity));
    (status, lines.join("\n") + "\n")
}

fn text(status: StatusCode, body: &str) -> Response<Page> {
    let mut response = Response::new(Full::from(body.to_owned()).boxed_unsync());
    *response.status_mut() = status;
    let plain = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
mod tests {
    use ecr_refresher_sync::observed::resource::Resource;

    use super::*;

    fn watch(name: Option<&str>, seconds: u64, is_stuck: bool) -> WatchReport {
        WatchReport {
            resource: if name.is_some() { Resource::Secrets } else { Resource::Namespaces },
            name: name.map(str::to_owned),
            last_event_at: jiff::Timestamp::UNIX_EPOCH,
            silence: Duration::from_secs(seconds),
            is_stuck,
        }
    }

    #[test]
    fn health_shows_the_last_event_of_each_watch() {
        let watches = [watch(None, 12, false), watch(Some("ecr-pull"), 400, false)];
        let lines = "ok\nwatch of namespaces: last event 12 s ago\n\
                     watch of secrets named ecr-pull: last event 400 s ago\n";
        assert_eq!(judge(&watches), (StatusCode::OK, lines.to_owned()));
    }

    #[test]
    fn a_stuck_watch_is_unhealthy_and_named() {
        let watches = [watch(None, 12, false), watch(Some("ecr-pull"), 400, true)];
        let lines = "the watch of secrets named ecr-pull is stuck: no event and no error for 5 \
                     minutes\n\
                     watch of namespaces: last event 12 s ago\n\
                     watch of secrets named ecr-pull: last event 400 s ago\n";
        assert_eq!(judge(&watches), (StatusCode::SERVICE_UNAVAILABLE, lines.to_owned()));
    }
}
