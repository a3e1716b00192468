//! The pages, each made for one request.

use std::{convert::Infallible, iter};

use anyhow::Result;
use askama::Template;
use ecr_refresher_sync::{engine::handle::EngineHandle, report::WatchReport};
use futures::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Frame, Incoming},
    header::{CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS},
};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    latest::Latest,
    status::{About, CONTENT_SECURITY_POLICY, Status},
};
use crate::metrics::Metrics;

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// Clients that get the metrics at once: each holds a report, of a few MB in a large cluster.
pub(super) const MOST_SCRAPES: usize = 4;

/// The text of an answer: the metrics of a large cluster are not held as a whole.
pub(super) type Page = UnsyncBoxBody<Bytes, Infallible>;

/// The sources of the pages.
#[derive(Debug)]
pub(super) struct Pages {
    metrics: Metrics,
    engine: EngineHandle,
    about: About,
    scrapes: Latest,
    /// Scrapes take turns, so that a probe never waits for more than one.
    turn: Mutex<()>,
}

impl Pages {
    pub(super) fn new(metrics: Metrics, engine: EngineHandle, about: About) -> Self {
        let (scrapes, turn) = (Latest::new(MOST_SCRAPES), Mutex::const_new(()));
        Self { metrics, engine, about, scrapes, turn }
    }

    /// The answer to a request of a connection, which is cancelled if others need its place.
    pub(super) async fn answer(
        &self,
        request: &Request<Incoming>,
        connection: &CancellationToken,
    ) -> Response<Page> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n");
        }
        match request.uri().path() {
            "/metrics" => self.metrics(connection).await,
            "/healthz" => self.healthz().await,
            "/readyz" => self.readyz().await,
            "/" => self.status(connection, HTML, |status| Ok(status.render()?)).await,
            "/status.json" => {
                let json = |status: &Status| Ok(serde_json::to_string(status)? + "\n");
                self.status(connection, JSON, json).await
            }
            _ => {
                let pages = "there are /, /status.json, /metrics, /healthz and /readyz\n";
                text(StatusCode::NOT_FOUND, pages)
            }
        }
    }

    async fn metrics(&self, connection: &CancellationToken) -> Response<Page> {
        let place = self.scrapes.add(connection);
        let _turn = self.turn.lock().await;
        match self.metrics.render(&self.engine).await {
            Ok(pieces) => {
                // The pieces come from a report, which goes with them. So does the place.
                let pieces = pieces.zip(iter::repeat(place));
                let frames = pieces.map(|(piece, _)| Ok(Frame::data(Bytes::from(piece))));
                let body = StreamBody::new(stream::iter(frames)).boxed_unsync();
                let mut response = Response::new(body);
                let format = HeaderValue::from_static(prometheus::TEXT_FORMAT);
                response.headers_mut().insert(CONTENT_TYPE, format);
                response
            }
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}\n")),
        }
    }

    /// The state of the fleet, in a format.
    async fn status(
        &self,
        connection: &CancellationToken,
        content_type: &'static str,
        render: impl FnOnce(&Status) -> Result<String>,
    ) -> Response<Page> {
        let _place = self.scrapes.add(connection);
        let _turn = self.turn.lock().await;
        let report = match self.engine.report().await {
            Ok(report) => report,
            Err(stalled) => return text(StatusCode::SERVICE_UNAVAILABLE, &format!("{stalled}\n")),
        };
        match render(&Status::new(&self.about, &self.metrics, &report)) {
            Ok(body) => {
                let mut response = Response::new(Full::from(body).boxed_unsync());
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
                headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
                if let Ok(policy) = HeaderValue::from_str(&CONTENT_SECURITY_POLICY) {
                    headers.insert(hyper::header::CONTENT_SECURITY_POLICY, policy);
                }
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
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
