//! Requests as the server reads them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, header, request::Parts};

use super::{
    kind::{Key, Kind},
    status::Status,
};

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Reads one object.
    Get,
    /// Reads many.
    List,
    /// Follows changes.
    Watch,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH by server-side apply.
    Apply,
    /// PATCH by a JSON merge patch.
    MergePatch,
    /// PATCH by a strategic merge patch.
    StrategicMergePatch,
    /// PATCH by a JSON Patch.
    JsonPatch,
    /// DELETE.
    Delete,
}

/// A request, as an [`Observer`](super::Observer) sees it.
#[derive(Debug, Clone)]
pub struct RequestInfo {
    /// Counts up from 1.
    pub id: u64,
    /// The caller that the client was made for.
    pub caller: Arc<str>,
    /// `None` for a path or a method that the server does not know.
    pub verb: Option<Verb>,
    /// `None` likewise.
    pub kind: Option<Kind>,
    /// The namespace in the path; empty for all namespaces, and for namespaces themselves.
    pub namespace: String,
    /// The name in the path; for a creation, the name in the body. Empty for lists and watches
    /// without a field selector by name.
    pub name: String,
    /// When it was sent, in virtual time from the start of the run.
    pub at: Duration,
    /// Whether it changes nothing.
    pub dry_run: bool,
}

/// A request that names a resource of this server.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) id: u64,
    pub(super) caller: Arc<str>,
    pub(super) verb: Verb,
    pub(super) kind: Kind,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) query: Query,
    /// Whether only metadata should be answered.
    pub(super) metadata_only: bool,
    pub(super) body: Bytes,
}

/// The parameters of a request.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a parameter of the API")]
pub(super) struct Query {
    pub(super) field_manager: Option<String>,
    pub(super) force: bool,
    pub(super) dry_run: bool,
    pub(super) resource_version: String,
    pub(super) limit: usize,
    pub(super) continue_token: String,
    pub(super) field_selector: String,
    pub(super) label_selector: String,
    pub(super) timeout_seconds: Option<u64>,
    pub(super) bookmarks: bool,
    pub(super) send_initial_events: bool,
}

impl Verb {
    /// Whether it changes objects.
    #[must_use]
    pub fn writes(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }

    /// Whether it creates or changes objects: what quotas and webhooks are about.
    pub(super) fn is_admitted(self) -> bool {
        self.writes() && self != Self::Delete
    }

    /// The verb of RBAC.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Apply | Self::MergePatch | Self::StrategicMergePatch | Self::JsonPatch => "patch",
            Self::Delete => "delete",
        }
    }
}

impl Request {
    pub(super) fn parse(
        id: u64,
        caller: Arc<str>,
        parts: &Parts,
        body: Bytes,
    ) -> Result<Self, Status> {
        let (kind, namespace, name) =
            resource(parts.uri.path()).ok_or_else(Status::unknown_path)?;
        let (query, is_watch) = Query::parse(parts.uri.query().unwrap_or_default());
        let header = |name| {
            parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        let content = header(header::CONTENT_TYPE).split(';').next().unwrap_or_default();
        let verb = match (&parts.method, name.is_empty()) {
            (&Method::GET, _) if is_watch => Verb::Watch,
            (&Method::GET, true) => Verb::List,
            (&Method::GET, false) => Verb::Get,
            (&Method::POST, true) => Verb::Create,
            (&Method::PUT, false) => Verb::Update,
            (&Method::DELETE, false) => Verb::Delete,
            (&Method::PATCH, false) => match content {
                "application/apply-patch+yaml" => Verb::Apply,
                "application/merge-patch+json" => Verb::MergePatch,
                "application/strategic-merge-patch+json" => Verb::StrategicMergePatch,
                "application/json-patch+json" => Verb::JsonPatch,
                _ => {
                    let message = "the body of the request was in an unknown format - accepted \
                                   media types include: application/json-patch+json, \
                                   application/merge-patch+json, application/apply-patch+yaml";
                    return Err(Status::new(415, "UnsupportedMediaType", message));
                }
            },
            _ => {
                let message = "the server does not allow this method on the requested resource";
                return Err(Status::new(405, "MethodNotAllowed", message));
            }
        };
        let metadata_only = header(header::ACCEPT).contains("as=PartialObjectMetadata");
        Ok(Self { id, caller, verb, kind, namespace, name, query, metadata_only, body })
    }

    /// The object that it names. A creation names it in its body.
    pub(super) fn key(&self) -> Key {
        Key::new(self.kind, &self.namespace, &self.name)
    }

    /// The name of the manager of its changes.
    pub(super) fn manager(&self) -> &str {
        self.query.field_manager.as_deref().unwrap_or("unknown")
    }
}

impl RequestInfo {
    pub(super) fn new(
        id: u64,
        caller: Arc<str>,
        at: Duration,
        request: Result<&Request, &Status>,
    ) -> Self {
        let (verb, kind, namespace, name) = match request {
            Err(_) => (None, None, String::new(), String::new()),
            Ok(request) => {
                let name = match request.verb {
                    Verb::Create => name_in(&request.body),
                    Verb::List | Verb::Watch => {
                        let name = request.query.field_selector.strip_prefix("metadata.name=");
                        name.unwrap_or_default().to_owned()
                    }
                    _ => request.name.clone(),
                };
                (Some(request.verb), Some(request.kind), request.namespace.clone(), name)
            }
        };
        let dry_run = request.is_ok_and(|request| request.query.dry_run);
        Self { id, caller, verb, kind, namespace, name, at, dry_run }
    }

    /// The object, if the request is about a single one.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        let one = !matches!(self.verb?, Verb::List | Verb::Watch);
        one.then(|| self.kind.map(|kind| Key::new(kind, &self.namespace, &self.name))).flatten()
    }
}

impl Query {
    /// The parameters, and whether it is a watch.
    fn parse(text: &str) -> (Self, bool) {
        let (mut query, mut is_watch) = (Self::default(), false);
        for (key, value) in form_urlencoded::parse(text.as_bytes()) {
            let is_true = value == "true" || value == "1";
            match &*key {
                "fieldManager" => query.field_manager = Some(value.into_owned()),
                "force" => query.force = is_true,
                "dryRun" => query.dry_run = true,
                "resourceVersion" => query.resource_version = value.into_owned(),
                "limit" => query.limit = value.parse().unwrap_or_default(),
                "continue" => query.continue_token = value.into_owned(),
                "fieldSelector" => query.field_selector = value.into_owned(),
                "labelSelector" => query.label_selector = value.into_owned(),
                "timeoutSeconds" => query.timeout_seconds = value.parse().ok(),
                "allowWatchBookmarks" => query.bookmarks = is_true,
                "watch" => is_watch = is_true,
                "sendInitialEvents" => query.send_initial_events = is_true,
                _ => {}
            }
        }
        (query, is_watch)
    }
}

fn name_in(body: &[u8]) -> String {
    let object: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// The kind, the namespace and the name that a path means.
fn resource(path: &str) -> Option<(Kind, String, String)> {
    let parts: Vec<_> = path.trim_matches('/').split('/').collect();
    let (group, rest) = match &parts[..] {
        ["api", "v1", rest @ ..] => ("", rest),
        ["apis", group, "v1", rest @ ..] => (*group, rest),
        _ => return None,
    };
    let kind = |plural: &str| {
        Kind::ALL.into_iter().find(|kind| kind.group() == group && kind.plural() == plural)
    };
    let (kind, namespace, name) = match *rest {
        [plural] => (kind(plural)?, "", ""),
        ["namespaces", name] => (kind("namespaces")?, "", name),
        ["namespaces", namespace, plural] => (kind(plural)?, namespace, ""),
        ["namespaces", namespace, plural, name] => (kind(plural)?, namespace, name),
        _ => return None,
    };
    Some((kind, namespace.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_resources() {
        for (path, expected) in [
            ("/api/v1/namespaces", Some((Kind::Namespace, "", ""))),
            ("/api/v1/namespaces/a", Some((Kind::Namespace, "", "a"))),
            ("/api/v1/secrets", Some((Kind::Secret, "", ""))),
            ("/api/v1/namespaces/a/secrets", Some((Kind::Secret, "a", ""))),
            ("/api/v1/namespaces/a/secrets/b", Some((Kind::Secret, "a", "b"))),
            ("/apis/coordination.k8s.io/v1/namespaces/a/leases/b", Some((Kind::Lease, "a", "b"))),
            ("/apis/events.k8s.io/v1/namespaces/a/events", Some((Kind::Event, "a", ""))),
            ("/api/v1/namespaces/a/leases/b", None),
            ("/api/v1/pods", None),
            ("/version", None),
        ] {
            let found = resource(path);
            let found = found.as_ref().map(|(kind, one, two)| (*kind, one.as_str(), two.as_str()));
            assert_eq!(found, expected, "{path}");
        }
    }
}
