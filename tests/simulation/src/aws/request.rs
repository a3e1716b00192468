//! The parts of a request that decide its reply.

use std::collections::BTreeMap;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// A service of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// Private ECR.
    Ecr,
    /// ECR Public.
    EcrPublic,
    /// The Security Token Service.
    Sts,
    /// Any other. It has no operations here.
    Other,
}

/// An operation of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// `GetAuthorizationToken` of private ECR.
    GetAuthorizationToken,
    /// `GetAuthorizationToken` of ECR Public.
    GetPublicAuthorizationToken,
    /// `GetCallerIdentity` of STS.
    GetCallerIdentity,
    /// `AssumeRole` of STS.
    AssumeRole,
    /// Any other. It is refused.
    Other,
}

impl Operation {
    /// The service that has the operation.
    #[must_use]
    pub fn service(self) -> Service {
        match self {
            Self::GetAuthorizationToken => Service::Ecr,
            Self::GetPublicAuthorizationToken => Service::EcrPublic,
            Self::GetCallerIdentity | Self::AssumeRole => Service::Sts,
            Self::Other => Service::Other,
        }
    }

    /// The name of the operation in IAM policies.
    pub(super) fn action(self) -> &'static str {
        match self {
            Self::GetAuthorizationToken => "ecr:GetAuthorizationToken",
            Self::GetPublicAuthorizationToken => "ecr-public:GetAuthorizationToken",
            Self::GetCallerIdentity => "sts:GetCallerIdentity",
            Self::AssumeRole => "sts:AssumeRole",
            Self::Other => "unknown",
        }
    }
}

/// The protocol of a request and its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// AWS JSON 1.1: ECR and ECR Public.
    Json,
    /// A form in the request, and XML in the reply: STS.
    Query,
}

impl Protocol {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Query => "text/xml",
        }
    }
}

/// A request to AWS.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) operation: Operation,
    pub(super) protocol: Protocol,
    /// The id of the access key that signed it.
    pub(super) key_id: Option<String>,
    pub(super) session_token: Option<String>,
    /// The region that it is signed for.
    pub(super) region: String,
    pub(super) date: Option<Timestamp>,
    fields: BTreeMap<String, String>,
}

impl Request {
    pub(super) fn parse(request: &HttpRequest) -> Self {
        let header = |name| request.headers().get(name);
        let body = request.body().bytes().unwrap_or_default();
        let fields: BTreeMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        let (operation, protocol) = match header("x-amz-target") {
            Some(target) => (named_by_target(target), Protocol::Json),
            None => (named_by_action(fields.get("Action")), Protocol::Query),
        };
        let (key_id, region) = header("authorization").and_then(signer).unzip();
        Self {
            operation,
            protocol,
            key_id,
            session_token: header("x-amz-security-token").map(str::to_owned),
            region: region.unwrap_or_default(),
            date: header("x-amz-date").and_then(date),
            fields,
        }
    }

    /// A field of the form in the body.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

fn named_by_target(target: &str) -> Operation {
    match target {
        "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken" => {
            Operation::GetAuthorizationToken
        }
        "SpencerFrontendService.GetAuthorizationToken" => Operation::GetPublicAuthorizationToken,
        _ => Operation::Other,
    }
}

fn named_by_action(action: Option<&String>) -> Operation {
    match action.map(String::as_str) {
        Some("GetCallerIdentity") => Operation::GetCallerIdentity,
        Some("AssumeRole") => Operation::AssumeRole,
        _ => Operation::Other,
    }
}

/// The access key's id and the region in `... Credential=ID/DATE/REGION/SERVICE/aws4_request, ...`.
fn signer(authorization: &str) -> Option<(String, String)> {
    let (_, rest) = authorization.split_once("Credential=")?;
    let mut parts = rest.split(',').next()?.split('/');
    let (id, _, region) = (parts.next()?, parts.next()?, parts.next()?);
    Some((id.to_owned(), region.to_owned()))
}

fn date(text: &str) -> Option<Timestamp> {
    let date = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}
