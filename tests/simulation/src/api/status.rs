//! Failures, in the words of kube-apiserver.

use serde_json::{Value, json};

use super::kind::{Key, Kind};

/// A failure, as the server answers it: a `Status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The HTTP status.
    pub code: u16,
    /// The reason in one word, which may be empty.
    pub reason: &'static str,
    /// The message.
    pub message: String,
    /// The details, or null.
    pub details: Value,
    /// Whether there is a header `Retry-After`, and its seconds.
    pub retry_after: Option<u64>,
}

/// One field that failed validation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldError {
    /// The path of the field.
    pub(super) field: String,
    /// Such as `FieldValueInvalid`.
    pub(super) reason: &'static str,
    /// The problem with it.
    pub(super) message: String,
}

/// The message of an optimistic lock.
const MODIFIED: &str = "the object has been modified; please apply your changes to the latest \
                        version and try again";

impl FieldError {
    /// A value that is not valid.
    pub(super) fn invalid(field: &str, value: &Value, why: &str) -> Self {
        let message = format!("Invalid value: {value}: {why}");
        Self { field: field.to_owned(), reason: "FieldValueInvalid", message }
    }

    /// A change that is forbidden.
    pub(super) fn forbidden(field: &str, why: &str) -> Self {
        let message = format!("Forbidden: {why}");
        Self { field: field.to_owned(), reason: "FieldValueForbidden", message }
    }

    /// A value that is missing.
    pub(super) fn required(field: &str, why: &str) -> Self {
        let separator = if why.is_empty() { "" } else { ": " };
        let message = format!("Required value{separator}{why}");
        Self { field: field.to_owned(), reason: "FieldValueRequired", message }
    }
}

impl Status {
    /// A failure without details.
    #[must_use]
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null, retry_after: None }
    }

    /// The request makes no sense.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// There is no such object.
    pub(super) fn not_found(key: &Key) -> Self {
        let message = format!("{} {:?} not found", key.kind.resource(), key.name);
        Self { details: details(key), ..Self::new(404, "NotFound", message) }
    }

    /// There is no such path.
    pub(super) fn unknown_path() -> Self {
        let message = "the server could not find the requested resource";
        Self { details: json!({}), ..Self::new(404, "NotFound", message) }
    }

    /// There is such an object already.
    pub(super) fn already_exists(key: &Key, is_being_deleted: bool) -> Self {
        let prefix = if is_being_deleted { "object is being deleted: " } else { "" };
        let message = format!("{prefix}{} {:?} already exists", key.kind.resource(), key.name);
        Self { details: details(key), ..Self::new(409, "AlreadyExists", message) }
    }

    /// Another request was faster, or a precondition does not hold.
    pub(super) fn conflict(key: &Key, why: &str) -> Self {
        let (resource, name) = (key.kind.resource(), &key.name);
        let message = format!("Operation cannot be fulfilled on {resource} {name:?}: {why}");
        Self { details: details(key), ..Self::new(409, "Conflict", message) }
    }

    /// A precondition of a deletion does not hold. The message has the kind for the resource.
    pub(super) fn failed_precondition(key: &Key, why: &str) -> Self {
        // An Event is stored as one of the core group.
        let is_event = key.kind == Kind::Event;
        let kind = if is_event { key.kind.name().to_owned() } else { key.kind.qualified_name() };
        let message = format!("Operation cannot be fulfilled on {kind} {:?}: {why}", key.name);
        let mut details = details(key);
        details["kind"] = json!(key.kind.name());
        if let Some(details) = details.as_object_mut().filter(|_| is_event) {
            details.remove("group");
        }
        Self { details, ..Self::new(409, "Conflict", message) }
    }

    /// An update names another UID.
    pub(super) fn failed_uid(key: &Key, wanted: &str, found: &str) -> Self {
        let path = format!("/registry/{}/{}", key.kind.plural(), key.sort_key());
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {path}, ResourceVersion: 0, \
             AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, UID in object \
             meta: {found}"
        );
        Self::conflict(key, &why)
    }

    /// An update without a resourceVersion, of a kind that needs one.
    pub(super) fn version_required(key: &Key) -> Self {
        let why = "must be specified for an update";
        let error = FieldError::invalid("metadata.resourceVersion", &json!(0), why);
        let mut status = Self::invalid(key, &[error]);
        // Here alone, the resource is used as the kind.
        let (kind, resource) = (key.kind.qualified_name(), key.kind.resource());
        status.message = status.message.replacen(&kind, &resource, 1);
        status.details["kind"] = json!(key.kind.plural());
        status
    }

    /// The object has another resourceVersion.
    pub(super) fn modified(key: &Key) -> Self {
        Self::conflict(key, MODIFIED)
    }

    /// The quota was changed meanwhile.
    pub(super) fn quota_modified(quota: &str) -> Self {
        let message =
            format!("Operation cannot be fulfilled on resourcequotas {quota:?}: {MODIFIED}");
        let details = json!({ "name": quota, "kind": "resourcequotas" });
        Self { details, ..Self::new(409, "Conflict", message) }
    }

    /// Fields of an apply belong to other managers. `conflicts` has the managers, as messages show
    /// them, and the paths.
    pub(super) fn apply_conflict(conflicts: &[(String, String)]) -> Self {
        let message = if let [(manager, path)] = conflicts {
            format!("Apply failed with 1 conflict: conflict with {manager}: {path}")
        } else {
            let mut lines = Vec::new();
            for (index, (manager, path)) in conflicts.iter().enumerate() {
                if index == 0 || conflicts[index - 1].0 != *manager {
                    lines.push(format!("conflicts with {manager}:"));
                }
                lines.push(format!("- {path}"));
            }
            format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
        };
        let cause = |(manager, path): &(String, String)| {
            json!({ "reason": "FieldManagerConflict", "message": format!("conflict with {manager}"),
                "field": path })
        };
        let causes: Vec<_> = conflicts.iter().map(cause).collect();
        Self { details: json!({ "causes": causes }), ..Self::new(409, "Conflict", message) }
    }

    /// The object is not valid.
    pub(super) fn invalid(key: &Key, errors: &[FieldError]) -> Self {
        let lines: Vec<_> =
            errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
        let problem =
            if let [line] = &lines[..] { line.clone() } else { format!("[{}]", lines.join(", ")) };
        let message = format!("{} {:?} is invalid: {problem}", key.kind.qualified_name(), key.name);
        let cause = |error: &FieldError| json!({ "reason": error.reason, "message": error.message, "field": error.field });
        let mut details = details(key);
        details["kind"] = json!(key.kind.name());
        details["causes"] = errors.iter().map(cause).collect();
        Self { details, ..Self::new(422, "Invalid", message) }
    }

    /// It is forbidden.
    pub(super) fn forbidden(key: &Key, why: &str) -> Self {
        let unnamed = Key { name: "Unknown".to_owned(), ..key.clone() };
        let key = if key.name.is_empty() { &unnamed } else { key };
        let message = format!("{} {:?} is forbidden: {why}", key.kind.resource(), key.name);
        Self { details: details(key), ..Self::new(403, "Forbidden", message) }
    }

    /// The namespace is being deleted.
    pub(super) fn terminating(key: &Key) -> Self {
        let namespace = &key.namespace;
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let mut status = Self::forbidden(key, &why);
        status.details["causes"] = json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]);
        status
    }

    /// The identity has no right to do this.
    pub(super) fn without_right(kind: Kind, namespace: &str, name: &str, verb: &str) -> Self {
        let (plural, group) = (kind.plural(), kind.group());
        let scope = if namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {namespace:?}")
        };
        let why = format!(
            "User \"system:serviceaccount:ecr-refresher:ecr-refresher\" cannot {verb} resource \
             {plural:?} in API group {group:?} {scope}"
        );
        let key = Key::new(kind, namespace, name);
        if name.is_empty() {
            let message = format!("{} is forbidden: {why}", kind.resource());
            Self { details: details(&key), ..Self::new(403, "Forbidden", message) }
        } else {
            Self::forbidden(&key, &why)
        }
    }

    /// The resourceVersion is not in the server's memory any more.
    pub(super) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// The same failure, with a wait that the server asks for, in the header and in the details.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        if !self.details.is_object() {
            self.details = json!({});
        }
        self.details["retryAfterSeconds"] = json!(seconds);
        self
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Failure", "message": self.message });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status["code"] = json!(self.code);
        status
    }
}

/// The details that name an object.
fn details(key: &Key) -> Value {
    let mut details = json!({ "kind": key.kind.plural() });
    if !key.name.is_empty() {
        details["name"] = json!(key.name);
    }
    if !key.kind.group().is_empty() {
        details["group"] = json!(key.kind.group());
    }
    details
}
