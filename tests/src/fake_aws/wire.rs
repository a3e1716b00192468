//! The parts of an HTTP request that matter here, and what goes back.

use std::collections::HashMap;
use std::time::Duration;

/// A request, reduced to what decides its answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    /// The `X-Amz-Target` header: set by the JSON protocol only.
    pub(super) target: Option<String>,
    /// The `Authorization` header.
    pub(super) authorization: Option<String>,
    /// The `X-Amz-Security-Token` header, which session credentials bring along.
    pub(super) session_token: Option<String>,
    /// The body as it came.
    pub(super) body: Vec<u8>,
}

/// The protocol of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// AWS JSON 1.1: ECR and ECR Public.
    Json,
    /// The query protocol, with answers in XML: STS.
    Query,
}

impl Protocol {
    /// Only the JSON protocol has a target header.
    pub(super) fn of(request: &Request) -> Self {
        if request.target.is_some() { Self::Json } else { Self::Query }
    }

    /// The media type of its answers.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Query => "text/xml",
        }
    }
}

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) retry_after: Option<u64>,
    pub(super) request_id: String,
    pub(super) body: String,
}

/// What the client gets to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// An HTTP answer.
    Reply(Reply),
    /// An HTTP answer, after this time.
    Late(Duration, Reply),
    /// Nothing, on a connection that stays open.
    Silence,
    /// The end of the connection.
    Disconnect,
}

impl Answer {
    /// The HTTP status, where there is one.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Reply(reply) | Self::Late(_, reply) => Some(reply.status),
            Self::Silence | Self::Disconnect => None,
        }
    }
}

/// The fields of a form-encoded body.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(HashMap<String, String>);

impl Form {
    /// Reads a body; one that is not a form has no useful fields.
    pub(super) fn parse(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// A field that is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// A random id in the shape of AWS's request ids.
pub(super) fn request_id() -> String {
    let hex = format!("{:032x}", fastrand::u128(..));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded_and_an_empty_field_is_none() {
        let form = Form::parse(b"RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fa+b&ExternalId=");
        assert_eq!(form.get("RoleArn"), Some("arn:aws:iam::1:role/a b"));
        assert_eq!(form.get("ExternalId"), None);
    }

    #[test]
    fn a_request_id_looks_like_a_uuid() {
        let groups: Vec<usize> = request_id().split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
    }
}
