//! Sends jobs to the API server, and interprets its answers.

mod account;
mod copy;
mod retry_after;

use std::time::Duration;

use bytes::Bytes;
use ecr_refresher_core::{ErrorChain, shorten};
use http::{Request, StatusCode};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::{Client, client::Body};
use tokio::time::timeout;

use self::retry_after::retry_after;
use crate::{
    job::{
        Action, Job, JobResult, Written,
        failure::{WriteFailure, WriteReason, is_denial, is_too_large},
    },
    release::Release,
};

/// How long a job may take. The client itself has no timeout.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Runs a job.
pub(crate) async fn run(client: &Client, release: &Release, job: &Job) -> JobResult {
    let written = async {
        match &job.action {
            Action::Apply(apply) => {
                copy::apply(client, release, job, apply).await.map(Written::Copy)
            }
            Action::Patch(patch) => {
                account::patch(client, release, job, patch).await.map(Written::Account)
            }
            Action::Delete(deletion) => {
                copy::delete(client, job, *deletion).await.map(|()| Written::Deleted)
            }
        }
    };
    timeout(TIMEOUT, written).await.unwrap_or_else(|_| {
        let message = format!("the API server did not answer within {} s", TIMEOUT.as_secs());
        Err(failure(WriteReason::Timeout, message))
    })
}

/// Sends a request, and returns the body of a successful answer.
async fn send(client: &Client, request: Request<Body>) -> Result<Bytes, WriteFailure> {
    let unreachable = |error: kube::Error| {
        let message = format!("could not reach the API server: {}", ErrorChain(&error));
        failure(WriteReason::Network, message)
    };
    let response = client.send(request).await.map_err(unreachable)?;
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let bytes = response.into_body().collect_bytes().await.map_err(unreachable)?;
    if status.is_success() {
        Ok(bytes)
    } else {
        Err(describe(status, retry_after, serde_json::from_slice(&bytes).unwrap_or_default()))
    }
}

/// The failure that an error answer means. `retry_after` is the delay in its headers, where alone a
/// proxy states it.
fn describe(code: StatusCode, retry_after: Option<Duration>, status: Status) -> WriteFailure {
    let message = status.message.unwrap_or_default();
    let details = status.details.unwrap_or_default();
    let causes = details.causes.unwrap_or_default();
    let has_cause = |reason: &str| causes.iter().any(|it| it.reason.as_deref() == Some(reason));
    let is_about_uid = causes.iter().any(|it| it.field.as_deref() == Some("metadata.uid"));
    let reason = match code.as_u16() {
        409 if has_cause("FieldManagerConflict") => WriteReason::Owned,
        // An optimistic lock, such as that of a ResourceQuota, or a precondition: temporary.
        409 => WriteReason::Changed,
        // Another Secret has replaced the one that was observed.
        422 if is_about_uid => WriteReason::Changed,
        // A policy denies with 422, a webhook with any code, and older API servers also with 400.
        400..=499 if is_denial(&message) => WriteReason::Forbidden,
        code if is_too_large(code, &message) => WriteReason::TooLarge,
        422 => WriteReason::Invalid,
        404 => WriteReason::NamespaceGone,
        403 if has_cause("NamespaceTerminating") => WriteReason::NamespaceGone,
        403 if message.contains("exceeded quota") => WriteReason::QuotaExceeded,
        401 | 403 => WriteReason::Forbidden,
        429 => WriteReason::Throttled,
        _ => WriteReason::ServerError,
    };
    let seconds = details.retry_after_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    WriteFailure {
        reason,
        message: format!("the API server answered {}: {}", code.as_u16(), shorten(&message)),
        retry_after: seconds.map(Duration::from_secs).max(retry_after),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes it")]
fn invalid_request(error: http::Error) -> WriteFailure {
    failure(WriteReason::Network, format!("invalid request: {error}"))
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes it")]
fn unreadable(error: serde_json::Error) -> WriteFailure {
    // Only the kind of the error: its text may quote the answer.
    let message = format!("the API server returned an unparseable object ({:?})", error.classify());
    failure(WriteReason::ServerError, message)
}

fn failure(reason: WriteReason, message: String) -> WriteFailure {
    WriteFailure { reason, message, retry_after: None }
}

#[cfg(test)]
mod tests {
    use kube::Config;
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;

    fn describe_json(code: u16, status: serde_json::Value) -> WriteFailure {
        describe(StatusCode::from_u16(code).unwrap(), None, serde_json::from_value(status).unwrap())
    }

    #[test]
    fn every_refusal_has_its_reason() {
        let reason = |code| describe_json(code, json!({})).reason;
        assert_eq!(reason(409), WriteReason::Changed);
        assert_eq!(reason(422), WriteReason::Invalid);
        assert_eq!(reason(404), WriteReason::NamespaceGone);
        assert_eq!(reason(403), WriteReason::Forbidden);
        assert_eq!(reason(429), WriteReason::Throttled);
        assert_eq!(reason(503), WriteReason::ServerError);
    }

    #[test]
    fn only_a_conflict_of_field_managers_is_another_owner() {
        let conflict = json!({"details": {"causes": [{"reason": "FieldManagerConflict"}]}});
        assert_eq!(describe_json(409, conflict).reason, WriteReason::Owned);
        let quota = json!({"message": "Operation cannot be fulfilled on resourcequotas \"few\""});
        assert_eq!(describe_json(409, quota).reason, WriteReason::Changed);
        let uid = json!({"details": {"causes": [{"field": "metadata.uid"}]}});
        assert_eq!(describe_json(422, uid).reason, WriteReason::Changed);
    }

    #[test]
    fn a_denial_by_a_policy_differs_from_a_secret_of_another_type() {
        let policy = "secrets \"ecr-pull\" is forbidden: ValidatingAdmissionPolicy 'no-secrets' with \
                      binding 'no-secrets' denied request: not here";
        assert_eq!(describe_json(422, json!({"message": policy})).reason, WriteReason::Forbidden);
        let immutable = "Secret \"ecr-pull\" is invalid: type: Invalid value: field is immutable";
        assert_eq!(describe_json(422, json!({"message": immutable})).reason, WriteReason::Invalid);
    }

    /// The answers of kube-apiserver 1.37 and 1.27, of a proxy, and of etcd behind the API server.
    #[test]
    fn a_secret_that_is_too_large_is_no_conflict() {
        for (code, message) in [
            (
                422,
                "Secret \"ecr-pull\" is invalid: data: Too long: may not be more than 1048576 bytes",
            ),
            (
                422,
                "Secret \"ecr-pull\" is invalid: data: Too long: must have at most 1048576 bytes",
            ),
            (
                422,
                "Secret \"ecr-pull\" is invalid: metadata.annotations: Too long: must have at most \
                 262144 bytes",
            ),
            (413, "Request entity too large: limit is 3145728"),
            (413, ""),
            (500, "etcdserver: request is too large"),
            (
                500,
                "rpc error: code = ResourceExhausted desc = trying to send message larger than max \
                 (2268431 vs. 2097152)",
            ),
        ] {
            let failure = describe_json(code, json!({ "message": message }));
            assert_eq!(failure.reason, WriteReason::TooLarge, "{code} {message}");
            assert!(!failure.reason.is_conflict() && !failure.reason.is_temporary());
        }
        // Another Secret has replaced the one that was observed, and a webhook may use any code.
        let uid = json!({
            "message": "data: Too long: may not be more than 1048576 bytes",
            "details": {"causes": [{"field": "metadata.uid"}]},
        });
        assert_eq!(describe_json(422, uid).reason, WriteReason::Changed);
        let denied = "admission webhook \"size.example.com\" denied the request: no";
        assert_eq!(describe_json(413, json!({"message": denied})).reason, WriteReason::Forbidden);
        let name = "metadata.labels: Invalid value: \"x\": must be no more than 63 characters";
        assert_eq!(describe_json(422, json!({"message": name})).reason, WriteReason::Invalid);
    }

    #[test]
    fn the_three_kinds_of_forbidden_differ() {
        let terminating = json!({"details": {"causes": [{"reason": "NamespaceTerminating"}]}});
        assert_eq!(describe_json(403, terminating).reason, WriteReason::NamespaceGone);
        let quota = json!({"message": "secrets \"ecr-pull\" is forbidden: exceeded quota: few"});
        assert_eq!(describe_json(403, quota).reason, WriteReason::QuotaExceeded);
        let denied = json!({"message": "User \"x\" cannot patch resource \"secrets\""});
        assert_eq!(describe_json(403, denied).reason, WriteReason::Forbidden);
    }

    #[test]
    fn the_wait_that_the_server_asks_for_is_kept() {
        let status = json!({"details": {"retryAfterSeconds": 7}});
        assert_eq!(describe_json(429, status).retry_after, Some(Duration::from_secs(7)));
        assert_eq!(describe_json(429, json!({})).retry_after, None);
    }

    #[test]
    fn the_wait_that_a_header_asks_for_counts_too() {
        let asked = |seconds, status: &Status| {
            describe(
                StatusCode::SERVICE_UNAVAILABLE,
                Some(Duration::from_secs(seconds)),
                status.clone(),
            )
            .retry_after
        };
        assert_eq!(asked(5, &Status::default()), Some(Duration::from_secs(5)));
        let status = serde_json::from_value(json!({"details": {"retryAfterSeconds": 7}})).unwrap();
        assert_eq!(asked(5, &status), Some(Duration::from_secs(7)));
        assert_eq!(asked(9, &status), Some(Duration::from_secs(9)));
    }

    #[tokio::test]
    async fn the_delay_of_a_proxy_is_respected() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut config = Config::new(url.parse().unwrap());
        config.default_retry = false;
        let client = Client::try_from(config).unwrap();
        let answer = async {
            let (stream, _) = listener.accept().await.unwrap();
            while stream.try_read(&mut [0; 4096]).is_err() {
                stream.readable().await.unwrap();
            }
            stream.writable().await.unwrap();
            let answer = "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
            stream.try_write(answer.as_bytes()).unwrap();
            stream
        };
        let request = Request::get("/").body(Body::empty()).unwrap();
        let (failure, _stream) = tokio::join!(send(&client, request), answer);
        let failure = failure.unwrap_err();
        assert_eq!(failure.reason, WriteReason::ServerError);
        assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
    }
}
