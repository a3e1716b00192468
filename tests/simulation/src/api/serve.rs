//! One request: its way to the server, what happens to it there, and the way back.

use std::{future::pending, sync::Arc, time::Duration};

use bytes::Bytes;
use http::request::Parts;
use kube::client::Body;
use tokio::time::sleep;
use tower::BoxError;

use super::{
    ApiServer,
    answer::{Answer, HttpResponse},
    faults::Outcome,
    list,
    request::{Request, RequestInfo, Verb},
    status::Status,
    store::Server,
    watch,
};

/// Notifies the observer when a request ends, also when the caller gives up.
struct Ending {
    api: ApiServer,
    info: Option<RequestInfo>,
}

impl Ending {
    fn end(&mut self, status: Option<u16>) {
        if let Some(info) = self.info.take() {
            self.api.lock().observe(|observer| observer.request_ended(&info, status));
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.end(None);
    }
}

/// Serves one request of a caller.
pub(super) async fn serve(
    api: ApiServer,
    caller: Arc<str>,
    request: http::Request<Body>,
) -> Result<HttpResponse, BoxError> {
    let (parts, body) = request.into_parts();
    let body = body.collect_bytes().await?;
    let (request, info, route) = api.lock().accept(&caller, &parts, body);
    let mut ending = Ending { api: api.clone(), info: Some(info) };
    // The request goes on when the caller does not wait for it any more.
    let handling = tokio::spawn(handle(api, request, route));
    let Some(response) = handling.await? else { return pending().await };
    ending.end(response.as_ref().ok().map(|response| response.status().as_u16()));
    response
}

/// Latencies and the outcome of a request, which are drawn when it is sent.
#[derive(Debug, Clone, Copy)]
struct Route {
    there: Duration,
    back: Duration,
    outcome: Outcome,
}

/// `None` when there is never an answer.
async fn handle(
    api: ApiServer,
    request: Result<Request, Status>,
    route: Route,
) -> Option<Result<HttpResponse, BoxError>> {
    sleep(route.there).await;
    match route.outcome {
        Outcome::Refused => return Some(Err("connection refused".into())),
        Outcome::Hang => return None,
        _ => {}
    }
    let answer = request.and_then(|request| {
        let mut server = api.lock();
        match server.fault(&request, route.outcome) {
            Some(answer) => answer,
            None => server.handle(&request),
        }
    });
    sleep(route.back).await;
    match route.outcome {
        Outcome::HangAfterEffect => None,
        Outcome::AnswerLost => Some(Err("connection reset by peer".into())),
        _ => Some(Ok(answer.map_or_else(Status::into_response, Answer::into_response))),
    }
}

impl Server {
    fn accept(
        &mut self,
        caller: &Arc<str>,
        parts: &Parts,
        body: Bytes,
    ) -> (Result<Request, Status>, RequestInfo, Route) {
        let id = self.next_request();
        let request = Request::parse(id, Arc::clone(caller), parts, body);
        let at = self.time.elapsed();
        let info = RequestInfo::new(id, Arc::clone(caller), at, request.as_ref());
        let route = Route {
            there: self.faults.latency(caller, &mut self.rng),
            back: self.faults.latency(caller, &mut self.rng),
            outcome: self.faults.outcome(caller, request.as_ref().ok(), &mut self.rng),
        };
        self.observe(|observer| observer.request_started(&info));
        (request, info, route)
    }

    fn handle(&mut self, request: &Request) -> Result<Answer, Status> {
        if request.query.dry_run {
            // The daemon verifies the admission policy, which refuses its dry runs.
            return Err(Status::new(422, "Invalid", "denied request: rule `type`"));
        }
        match request.verb {
            Verb::Get => self.read(request),
            Verb::List => self.list(request),
            Verb::Watch => self.watch(request),
            Verb::Create => self.create(request),
            Verb::Update => self.update(request),
            Verb::Apply => self.patch_apply(request),
            Verb::MergePatch | Verb::StrategicMergePatch | Verb::JsonPatch => {
                self.patch_other(request)
            }
            Verb::Delete => self.delete_object(request),
        }
    }

    /// The answer of a fault, which takes the place of the right one.
    fn fault(&mut self, request: &Request, outcome: Outcome) -> Option<Result<Answer, Status>> {
        let key = request.key();
        let too_many =
            "the server has received too many requests and has asked us to try again later";
        let status = match outcome {
            Outcome::Handled
            | Outcome::Refused
            | Outcome::AnswerLost
            | Outcome::Hang
            | Outcome::HangAfterEffect => return None,
            Outcome::ExpiredWatch => {
                let version = request.query.resource_version.parse().unwrap_or_default();
                return Some(Ok(watch::expired_watch(version, self.version)));
            }
            Outcome::ExpiredList => list::expired_continue(),
            Outcome::Unauthorized => Status::new(401, "Unauthorized", "Unauthorized"),
            Outcome::Forbidden => {
                let (namespace, name) = (&request.namespace, &request.name);
                Status::without_right(request.kind, namespace, name, request.verb.as_str())
            }
            Outcome::NotFound => Status::not_found(&key),
            Outcome::Conflict => Status::modified(&key),
            Outcome::ManagerConflict => {
                let manager = format!("\"kubectl-edit\" using {}", key.kind.api_version());
                Status::apply_conflict(&[(manager, ".data..dockerconfigjson".to_owned())])
            }
            Outcome::Invalid => {
                let message = format!("{} {:?} is invalid: made up", key.kind.name(), key.name);
                Status::new(422, "Invalid", message)
            }
            Outcome::Throttled => Status::new(429, "TooManyRequests", too_many),
            Outcome::ThrottledWithWait => {
                let seconds = self.rng.u64(1..=5);
                Status::new(429, "TooManyRequests", too_many).retry_after(seconds)
            }
            Outcome::InternalError => {
                let message = "Internal error occurred: etcdserver: request timed out";
                Status::new(500, "InternalError", message)
            }
            Outcome::Unavailable => {
                let message = "the server is currently unable to handle the request";
                Status::new(503, "ServiceUnavailable", message)
            }
        };
        Some(Err(status))
    }
}
