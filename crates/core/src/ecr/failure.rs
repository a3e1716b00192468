//! What a failed call to ECR means: a reason for the metric, and a sentence for the operator.

use std::{error::Error, time::Duration};

use aws_sdk_ecr::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use crate::{Chain, FetchError, Reason, shorten};

/// Describes a failure without ever showing a reply's body.
pub(super) fn describe<E>(error: &SdkError<E, HttpResponse>) -> FetchError
where
    E: Error + ProvideErrorMetadata + 'static,
{
    match error {
        SdkError::ServiceError(failure) => {
            let code = failure.err().code().unwrap_or_default();
            refused(code, failure.err().message(), failure.raw())
        }
        SdkError::ResponseError(_) => nonsense(),
        SdkError::TimeoutError(_) => FetchError::new(Reason::Timeout, "ECR did not answer in time"),
        other => undelivered(other),
    }
}

/// AWS answered with an error.
fn refused(code: &str, message: Option<&str>, raw: &HttpResponse) -> FetchError {
    let status = raw.status().as_u16();
    if raw.status().is_success() {
        return nonsense();
    }
    let reason = reason_of(code, status);
    let said = match message {
        Some(message) => format!("{code} (HTTP {status}): {}", shorten(message)),
        None => format!("{code} (HTTP {status})"),
    };
    let retry_after = raw.headers().get("retry-after").and_then(|value| value.parse().ok());
    FetchError {
        reason,
        message: format!("ECR answered {}{}", said.trim_start(), remedy(reason)),
        retry_after: retry_after.map(Duration::from_secs),
    }
}

/// The answer came with a good status, but makes no sense.
fn nonsense() -> FetchError {
    FetchError::new(
        Reason::BadResponse,
        "the endpoint's answer is not one that ECR gives: check `endpointUrl` and any proxy",
    )
}

/// The request never reached AWS, or nothing came back.
fn undelivered<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> FetchError {
    // The first words of the SDK's own error say only that something failed.
    let causes =
        error.source().map_or_else(String::new, |cause| shorten(&Chain(cause).to_string()));
    let credentials = causes.contains("credential");
    let timed_out = matches!(error, SdkError::DispatchFailure(failure) if failure.is_timeout());
    let network =
        matches!(error, SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_user());
    let reason = match (timed_out, network, credentials) {
        (true, _, _) => Reason::Timeout,
        (_, true, _) => Reason::Network,
        (_, _, true) => Reason::NoCredentials,
        _ => Reason::Network,
    };
    let message = format!("ECR could not be asked: {}{}", causes, remedy(reason));
    FetchError::new(reason, message)
}

fn reason_of(code: &str, status: u16) -> Reason {
    match code {
        "AccessDeniedException" | "AccessDenied" => Reason::AccessDenied,
        "ThrottlingException"
        | "ThrottleException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "TooManyRequestsException" => Reason::Throttled,
        "ExpiredTokenException"
        | "ExpiredToken"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "RequestExpired" => Reason::ExpiredCredentials,
        _ if status == 429 => Reason::Throttled,
        _ if status >= 500 => Reason::ServerError,
        _ => Reason::BadResponse,
    }
}

fn remedy(reason: Reason) -> &'static str {
    match reason {
        Reason::AccessDenied => "; allow this identity ecr:GetAuthorizationToken on *",
        Reason::ExpiredCredentials => "; renew the AWS credentials, and check the clock",
        Reason::NoCredentials => {
            "; give the ServiceAccount an IAM role, or the process AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_reason() {
        assert_eq!(reason_of("AccessDeniedException", 400), Reason::AccessDenied);
        assert_eq!(reason_of("ThrottleException", 400), Reason::Throttled);
        assert_eq!(reason_of("", 429), Reason::Throttled);
        assert_eq!(reason_of("ExpiredTokenException", 400), Reason::ExpiredCredentials);
        assert_eq!(reason_of("ServerException", 500), Reason::ServerError);
        assert_eq!(reason_of("InvalidParameterException", 400), Reason::BadResponse);
    }
}
