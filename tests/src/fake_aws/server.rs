//! The HTTP server around the state.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::bail;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::metadata::{self, MetadataRequest};
use super::registry;
use super::state::State;
use super::wire::{Answer, Reply, Request};

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const METADATA_TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
const METADATA_TOKEN_TTL: HeaderName =
    HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

type SharedState = Arc<Mutex<State>>;

/// The state, also after a test has panicked with it in hand.
pub(super) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves until the task is aborted, which ends all connections with it.
pub(super) async fn serve(listener: TcpListener, state: SharedState) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, Arc::clone(&state)));
                }
                // Out of file descriptors, most likely: others will be closed.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            // Finished connections are let go as they finish.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, state: SharedState) {
    let service = service_fn(move |request| answer(request, Arc::clone(&state)));
    // It fails when the client closes the connection, or when the fake has to: both are expected.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Answers a request. An error closes the connection without an answer.
async fn answer(
    request: hyper::Request<Incoming>,
    state: SharedState,
) -> anyhow::Result<Response<Full<Bytes>>> {
    if request.uri().path().starts_with(registry::PATH) {
        return registry::answer(request, state).await;
    }
    // All of AWS's operations are a POST to the root.
    if request.method() != Method::POST || request.uri().path() != "/" {
        return answer_metadata(&request, &state);
    }
    let request = read(request).await?;
    let answer = lock(&state).answer(&request, Timestamp::now());
    match answer {
        Answer::Reply(reply) => render(reply),
        Answer::Late(delay, reply) => {
            tokio::time::sleep(delay).await;
            render(reply)
        }
        Answer::Silence => std::future::pending().await,
        Answer::Disconnect => bail!("the fake has to close the connection"),
    }
}

fn answer_metadata(
    request: &hyper::Request<Incoming>,
    state: &SharedState,
) -> anyhow::Result<Response<Full<Bytes>>> {
    let request = MetadataRequest {
        method: request.method().as_str(),
        path: request.uri().path(),
        authorization: header(request.headers(), AUTHORIZATION),
        metadata_token: header(request.headers(), METADATA_TOKEN),
    };
    let answer = metadata::answer(request, &mut lock(state), Timestamp::now());
    let (status, body) = answer.unwrap_or((StatusCode::NOT_FOUND.as_u16(), String::new()));
    let response = Response::builder().status(status).header(METADATA_TOKEN_TTL, "21600");
    Ok(response.body(Full::new(Bytes::from(body)))?)
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

async fn read(request: hyper::Request<Incoming>) -> anyhow::Result<Request> {
    let (head, body) = request.into_parts();
    let header = |name| header(&head.headers, name).map(str::to_owned);
    Ok(Request {
        target: header(TARGET),
        authorization: header(AUTHORIZATION),
        session_token: header(SECURITY_TOKEN),
        body: body.collect().await?.to_bytes().to_vec(),
    })
}

fn render(reply: Reply) -> anyhow::Result<Response<Full<Bytes>>> {
    let mut response = Response::builder()
        .status(reply.status)
        .header(CONTENT_TYPE, reply.content_type)
        .header(REQUEST_ID, reply.request_id);
    if let Some(seconds) = reply.retry_after {
        response = response.header(RETRY_AFTER, seconds);
    }
    Ok(response.body(Full::new(Bytes::from(reply.body)))?)
}
