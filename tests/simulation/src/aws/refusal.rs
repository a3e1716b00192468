//! The errors of AWS: code, status and message, in the protocols of ECR and of STS.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{cloud::Reply, request::Protocol, sts};

/// A reason to refuse a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `ThrottlingException`, HTTP 400.
    Throttling,
    /// `ThrottleException`, HTTP 400.
    Throttle,
    /// HTTP 429.
    TooManyRequests {
        /// The `Retry-After` header, in seconds.
        retry_after: Option<u64>,
    },
    /// The identity has no permission for the operation.
    AccessDenied,
    /// The session has expired.
    ExpiredCredentials,
    /// The access key is not known.
    UnrecognizedCredentials,
    /// HTTP 500.
    ServerError,
    /// HTTP 503.
    ServiceUnavailable,
    /// The request is not signed.
    MissingCredentials,
    /// The request's date differs too much from AWS's clock.
    WrongDate {
        /// The date of the request.
        date: Timestamp,
        /// AWS's clock.
        clock: Timestamp,
        /// The greatest difference.
        tolerance: SignedDuration,
    },
    /// The role to assume has no valid ARN, or its session no name.
    InvalidRole(String),
    /// The service has no such operation.
    UnknownOperation,
}

impl Refusal {
    /// The reply, to an identity of this ARN.
    pub(super) fn reply(
        &self,
        protocol: Protocol,
        arn: &str,
        action: &str,
        resource: &str,
    ) -> Reply {
        let (status, code) = match protocol {
            Protocol::Json => self.json_code(),
            Protocol::Query => self.query_code(),
        };
        let message = match self {
            Self::AccessDenied => format!(
                "User: {arn} is not authorized to perform: {action} on resource: {resource} \
                 because no identity-based policy allows the {action} action"
            ),
            other => other.message(),
        };
        let body = match protocol {
            Protocol::Json => json!({ "__type": code, "message": message }).to_string(),
            Protocol::Query => sts::error(status, code, &message),
        };
        let retry_after = match self {
            Self::TooManyRequests { retry_after } => *retry_after,
            _ => None,
        };
        Reply { retry_after, ..Reply::new(protocol, status, body) }
    }

    fn json_code(&self) -> (u16, &'static str) {
        match self {
            Self::Throttling => (400, "ThrottlingException"),
            Self::Throttle => (400, "ThrottleException"),
            Self::TooManyRequests { .. } => (429, "TooManyRequestsException"),
            Self::AccessDenied => (400, "AccessDeniedException"),
            Self::ExpiredCredentials => (400, "ExpiredTokenException"),
            Self::UnrecognizedCredentials => (400, "UnrecognizedClientException"),
            Self::ServerError => (500, "ServerException"),
            Self::ServiceUnavailable => (503, "ServiceUnavailableException"),
            Self::MissingCredentials => (400, "MissingAuthenticationTokenException"),
            Self::WrongDate { .. } => (400, "InvalidSignatureException"),
            Self::InvalidRole(_) => (400, "InvalidParameterException"),
            Self::UnknownOperation => (400, "UnknownOperationException"),
        }
    }

    fn query_code(&self) -> (u16, &'static str) {
        match self {
            Self::Throttling => (400, "Throttling"),
            Self::Throttle => (400, "ThrottleException"),
            Self::TooManyRequests { .. } => (429, "TooManyRequestsException"),
            Self::AccessDenied => (403, "AccessDenied"),
            Self::ExpiredCredentials => (403, "ExpiredToken"),
            Self::UnrecognizedCredentials => (403, "InvalidClientTokenId"),
            Self::ServerError => (500, "InternalFailure"),
            Self::ServiceUnavailable => (503, "ServiceUnavailable"),
            Self::MissingCredentials => (403, "MissingAuthenticationToken"),
            Self::WrongDate { .. } => (403, "SignatureDoesNotMatch"),
            Self::InvalidRole(_) => (400, "ValidationError"),
            Self::UnknownOperation => (400, "InvalidAction"),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Throttling | Self::Throttle | Self::TooManyRequests { .. } => "Rate exceeded",
            Self::AccessDenied => "Access denied",
            Self::ExpiredCredentials => "The security token included in the request is expired",
            Self::UnrecognizedCredentials => {
                "The security token included in the request is invalid."
            }
            Self::ServerError | Self::ServiceUnavailable => {
                "We encountered an internal error. Please try again."
            }
            Self::MissingCredentials => "Missing Authentication Token",
            Self::UnknownOperation => "The operation is not known to this service",
            Self::InvalidRole(arn) => return format!("{arn} is invalid"),
            Self::WrongDate { date, clock, tolerance } => {
                return wrong_date(*date, *clock, *tolerance);
            }
        }
        .to_owned()
    }
}

fn wrong_date(date: Timestamp, clock: Timestamp, tolerance: SignedDuration) -> String {
    let show = |time: Timestamp| time.strftime("%Y%m%dT%H%M%SZ").to_string();
    let minutes = tolerance.as_mins();
    let (date_text, clock_text) = (show(date), show(clock));
    if date < clock {
        let limit = show(clock - tolerance);
        format!(
            "Signature expired: {date_text} is now earlier than {limit} \
             ({clock_text} - {minutes} min.)"
        )
    } else {
        let limit = show(clock + tolerance);
        format!(
            "Signature not yet current: {date_text} is still later than {limit} \
             ({clock_text} + {minutes} min.)"
        )
    }
}
