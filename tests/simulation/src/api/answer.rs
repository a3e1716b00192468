//! Answers: objects, lists, failures and streams, as HTTP responses.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use serde_json::{Value, json};
use tower::BoxError;

use super::{request::Request, status::Status, watch::WatchStream};

/// The response that a kube client receives.
pub(super) type HttpResponse = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// An answer of the server.
pub(super) enum Answer {
    /// A JSON document with an HTTP status.
    Json(u16, Value),
    /// The events of a watch.
    Watch(Box<WatchStream>),
}

impl Answer {
    /// An object, or its metadata, as the request asks for.
    pub(super) fn object(code: u16, request: &Request, object: &Value) -> Self {
        Self::Json(code, view(object, request.metadata_only))
    }

    pub(super) fn into_response(self) -> HttpResponse {
        match self {
            Self::Json(code, value) => response(code, Full::from(value.to_string())),
            Self::Watch(stream) => response(200, StreamBody::new(stream.into_frames())),
        }
    }
}

impl Status {
    pub(super) fn into_response(self) -> HttpResponse {
        let mut response = response(self.code, Full::from(self.json().to_string()));
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// An object, or only its metadata.
pub(super) fn view(object: &Value, metadata_only: bool) -> Value {
    if metadata_only {
        json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": object["metadata"] })
    } else {
        object.clone()
    }
}

fn response<B>(code: u16, body: B) -> HttpResponse
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let mut response = Response::new(body.map_err(Into::into).boxed_unsync());
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
