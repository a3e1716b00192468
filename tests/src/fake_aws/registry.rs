//! The registries of ECR and ECR Public: they check the token and pass the request on to a real registry.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, WWW_AUTHENTICATE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::json;
use tokio::net::TcpStream;

use super::server::lock;
use super::state::State;
use super::tokens::{Registry, Verdict};

/// Where all requests to registries begin.
pub(super) const PATH: &str = "/v2/";

const PUBLIC: &str = "public.ecr.aws";

/// A request to one of the registries, and what the fake thought of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryRequest {
    /// The registry's host.
    pub host: String,
    /// The path, which has the repository and what is asked of it.
    pub path: String,
    /// What became of the user name and password; none where there were none.
    pub verdict: Option<Verdict>,
    /// When it came in.
    pub at: Timestamp,
}

/// Answers a request to a registry. An error closes the connection without an answer.
pub(super) async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>> {
    let host = host(&request).unwrap_or_default();
    let credentials = basic_credentials(request.headers());
    let (verdict, upstream) = {
        let mut state = lock(&state);
        let now = Timestamp::now();
        let verdict = credentials.as_ref().map(|(user, password)| {
            registry_of(&host).map_or(Verdict::Unknown, |registry| {
                state.tokens.verdict(registry, user, password, now)
            })
        });
        let path = request.uri().path().to_owned();
        state.registry_requests.push(RegistryRequest {
            host: host.clone(),
            path,
            verdict,
            at: now,
        });
        (verdict, state.registry)
    };
    match verdict {
        Some(Verdict::Accepted) => {
            pass_on(&request, upstream.context("there is no registry behind the fake")?).await
        }
        Some(verdict) => denied(verdict),
        None => challenge(&host),
    }
}

/// Asks the real registry, without the credentials, which mean nothing to it.
async fn pass_on(
    request: &Request<Incoming>,
    upstream: SocketAddr,
) -> Result<Response<Full<Bytes>>> {
    let stream = TcpStream::connect(upstream).await.context("connecting to the registry")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let path = request.uri().path_and_query().context("a request without a path")?;
    let mut onward = Request::builder().method(request.method()).uri(path.as_str());
    for (name, value) in request.headers() {
        if ![HOST, AUTHORIZATION].contains(name) {
            onward = onward.header(name, value);
        }
    }
    let onward = onward.header(HOST, upstream.to_string()).body(Empty::<Bytes>::new())?;
    let (head, body) = sender.send_request(onward).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    Ok(Response::from_parts(head, Full::new(body)))
}

/// ECR's message for an expired token. It has another one for a token of another account.
fn denied(verdict: Verdict) -> Result<Response<Full<Bytes>>> {
    let message = match verdict {
        Verdict::Expired => "Your authorization token has expired. Reauthenticate and try again.",
        _ => "not authorized to perform: ecr:BatchGetImage on this resource",
    };
    problem(StatusCode::FORBIDDEN, "DENIED", message, None)
}

fn challenge(host: &str) -> Result<Response<Full<Bytes>>> {
    let challenge = format!("Basic realm=\"https://{host}/\",service=\"ecr.amazonaws.com\"");
    problem(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "Not Authorized", Some(challenge))
}

fn problem(
    status: StatusCode,
    code: &str,
    message: &str,
    challenge: Option<String>,
) -> Result<Response<Full<Bytes>>> {
    let body = json!({ "errors": [{ "code": code, "message": message }] }).to_string();
    let mut response = Response::builder()
        .status(status)
        .header("Docker-Distribution-Api-Version", "registry/2.0")
        .header(CONTENT_TYPE, "application/json");
    if let Some(challenge) = challenge {
        response = response.header(WWW_AUTHENTICATE, challenge);
    }
    Ok(response.body(Full::new(Bytes::from(body)))?)
}

/// The host that the client means. containerd, which is sent here in its place, names it in the
/// query; a client that comes through a proxy in the URL; any other in its header.
fn host<T>(request: &Request<T>) -> Option<String> {
    let query = request.uri().query().unwrap_or_default();
    let mut fields = form_urlencoded::parse(query.as_bytes());
    let in_query = fields.find_map(|(key, value)| (key == "ns").then(|| value.into_owned()));
    let in_url = || request.uri().host().map(str::to_owned);
    let in_header = || Some(request.headers().get(HOST)?.to_str().ok()?.to_owned());
    in_query.or_else(in_url).or_else(in_header)
}

/// The registry of a host: `ACCOUNT.dkr.ecr.REGION.amazonaws.com` or ECR Public's.
fn registry_of(host: &str) -> Option<Registry<'_>> {
    if host == PUBLIC {
        return Some(Registry::Public);
    }
    let (account, rest) = host.split_once(".dkr.ecr.")?;
    let (region, _) = rest.split_once(".amazonaws.com")?;
    Some(Registry::Private { account, region })
}

fn basic_credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::FakeAws;
    use super::*;
    use crate::http_client;

    #[test]
    fn the_registry_is_read_off_its_host() {
        let found = registry_of("123456789012.dkr.ecr.eu-west-1.amazonaws.com");
        let Some(Registry::Private { account, region }) = found else { panic!("{found:?}") };
        assert_eq!((account, region), ("123456789012", "eu-west-1"));
        assert!(matches!(registry_of(PUBLIC), Some(Registry::Public)));
        assert!(registry_of("docker.io").is_none());
    }

    #[test]
    fn the_host_is_named_in_the_query_or_the_url_or_the_header() {
        let request = |url: &str| Request::get(url).header(HOST, "header").body(()).unwrap();
        assert_eq!(host(&request("http://url/v2/?ns=query")).as_deref(), Some("query"));
        assert_eq!(host(&request("http://url/v2/")).as_deref(), Some("url"));
        assert_eq!(host(&request("/v2/")).as_deref(), Some("header"));
    }

    #[test]
    fn credentials_are_a_user_and_a_password_in_base64() {
        let header = |text: &str| {
            HeaderMap::from_iter([(AUTHORIZATION, format!("Basic {text}").parse().unwrap())])
        };
        let found = basic_credentials(&header("QVdTOmE6Yg=="));
        assert_eq!(found, Some(("AWS".to_owned(), "a:b".to_owned())));
        assert_eq!(basic_credentials(&header("!")), None);
        assert_eq!(basic_credentials(&HeaderMap::new()), None);
    }

    #[tokio::test]
    async fn without_credentials_a_registry_sends_a_challenge() {
        let aws = FakeAws::start().await.unwrap();
        let (status, body) = http_client::get(&aws.address.to_string(), PATH).await.unwrap();
        assert_eq!(status, 401);
        assert!(body.contains("UNAUTHORIZED"), "{body}");
        assert_eq!(aws.registry_requests()[0].verdict, None);
    }
}
