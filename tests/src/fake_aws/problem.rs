//! What the services refuse a request with: code, status and message, in either protocol.

use super::operation::Service;
use super::wire::{Protocol, Reply, request_id};
use super::xml;

/// A reason to refuse a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    MissingAuthentication,
    IncompleteSignature(String),
    WrongService(Service),
    UnrecognizedClient,
    ExpiredToken,
    AccessDenied { arn: String, action: String, resource: String },
    UnknownOperation,
    Validation(String),
    InvalidIdentityToken,
    Throttled,
    ThrottleException,
    TooManyRequests { retry_after: Option<u64> },
    Server(u16),
}

impl Problem {
    /// The answer as the service of that protocol gives it.
    pub(super) fn reply(&self, protocol: Protocol) -> Reply {
        let (status, code) = match protocol {
            Protocol::Json => self.json_code(),
            Protocol::Query => self.query_code(),
        };
        let request_id = request_id();
        let message = self.message(protocol);
        let body = match protocol {
            Protocol::Json => serde_json::json!({ "__type": code, "message": message }).to_string(),
            Protocol::Query => {
                let fault = if status < 500 { "Sender" } else { "Receiver" };
                xml::error(fault, code, &message, &request_id)
            }
        };
        let retry_after = match self {
            Self::TooManyRequests { retry_after } => *retry_after,
            _ => None,
        };
        Reply { status, content_type: protocol.content_type(), retry_after, request_id, body }
    }

    fn json_code(&self) -> (u16, &'static str) {
        match self {
            Self::MissingAuthentication => (400, "MissingAuthenticationTokenException"),
            Self::IncompleteSignature(_) => (400, "IncompleteSignatureException"),
            Self::WrongService(_) => (400, "InvalidSignatureException"),
            Self::UnrecognizedClient => (400, "UnrecognizedClientException"),
            Self::ExpiredToken => (400, "ExpiredTokenException"),
            Self::AccessDenied { .. } => (400, "AccessDeniedException"),
            Self::UnknownOperation => (400, "UnknownOperationException"),
            Self::Validation(_) | Self::InvalidIdentityToken => (400, "InvalidParameterException"),
            Self::Throttled => (400, "ThrottlingException"),
            Self::ThrottleException => (400, "ThrottleException"),
            Self::TooManyRequests { .. } => (429, "TooManyRequestsException"),
            Self::Server(status @ 503) => (*status, "ServiceUnavailableException"),
            Self::Server(status) => (*status, "ServerException"),
        }
    }

    fn query_code(&self) -> (u16, &'static str) {
        match self {
            Self::MissingAuthentication => (403, "MissingAuthenticationToken"),
            Self::IncompleteSignature(_) => (400, "IncompleteSignature"),
            Self::WrongService(_) => (403, "SignatureDoesNotMatch"),
            Self::UnrecognizedClient => (403, "InvalidClientTokenId"),
            Self::ExpiredToken => (403, "ExpiredToken"),
            Self::AccessDenied { .. } => (403, "AccessDenied"),
            Self::UnknownOperation => (400, "InvalidAction"),
            Self::Validation(_) => (400, "ValidationError"),
            Self::InvalidIdentityToken => (400, "InvalidIdentityToken"),
            Self::Throttled => (400, "Throttling"),
            Self::ThrottleException => (400, "ThrottleException"),
            Self::TooManyRequests { .. } => (429, "TooManyRequestsException"),
            Self::Server(status @ 503) => (*status, "ServiceUnavailable"),
            Self::Server(status) => (*status, "InternalFailure"),
        }
    }

    fn message(&self, protocol: Protocol) -> String {
        match self {
            Self::MissingAuthentication if protocol == Protocol::Query => {
                "Request is missing Authentication Token".to_owned()
            }
            Self::MissingAuthentication => "Missing Authentication Token".to_owned(),
            Self::IncompleteSignature(what) | Self::Validation(what) => what.clone(),
            Self::WrongService(service) => {
                let name = service.signing_name();
                format!("Credential should be scoped to correct service: '{name}'. ")
            }
            Self::UnrecognizedClient => {
                "The security token included in the request is invalid.".to_owned()
            }
            Self::ExpiredToken => {
                "The security token included in the request is expired".to_owned()
            }
            Self::AccessDenied { arn, action, resource } => format!(
                "User: {arn} is not authorized to perform: {action} on resource: {resource} \
                 because no identity-based policy allows the {action} action"
            ),
            Self::UnknownOperation => "The operation is not known to this service".to_owned(),
            Self::InvalidIdentityToken => "The ID Token provided is not a valid JWT.".to_owned(),
            Self::Throttled | Self::ThrottleException | Self::TooManyRequests { .. } => {
                "Rate exceeded".to_owned()
            }
            Self::Server(_) => "We encountered an internal error. Please try again.".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_error_has_its_type_and_message() {
        let reply = Problem::ExpiredToken.reply(Protocol::Json);
        let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(reply.status, 400);
        assert_eq!(reply.content_type, "application/x-amz-json-1.1");
        assert_eq!(body["__type"], "ExpiredTokenException");
        assert_eq!(body["message"], "The security token included in the request is expired");
    }

    #[test]
    fn the_same_problem_has_another_name_and_status_in_sts() {
        let reply = Problem::UnrecognizedClient.reply(Protocol::Query);
        assert_eq!(reply.status, 403);
        assert!(reply.body.contains("<Code>InvalidClientTokenId</Code>"), "{}", reply.body);
        assert!(reply.body.contains("<Type>Sender</Type>"), "{}", reply.body);
        assert!(reply.body.contains(&reply.request_id), "{}", reply.body);
    }

    #[test]
    fn access_denied_names_the_caller_and_the_action() {
        let denied = Problem::AccessDenied {
            arn: "arn:aws:iam::1:user/a".into(),
            action: "ecr:GetAuthorizationToken".into(),
            resource: "*".into(),
        };
        let body = denied.reply(Protocol::Json).body;
        let expected = "User: arn:aws:iam::1:user/a is not authorized to perform: \
                        ecr:GetAuthorizationToken on resource: *";
        assert!(body.contains(expected), "{body}");
    }

    #[test]
    fn only_too_many_requests_says_when_to_come_back() {
        let reply = Problem::TooManyRequests { retry_after: Some(7) }.reply(Protocol::Json);
        assert_eq!((reply.status, reply.retry_after), (429, Some(7)));
        assert_eq!(Problem::Server(503).reply(Protocol::Json).retry_after, None);
    }
}
