//! Validation, as far as it matters to what clients of Secrets and Leases send.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    kind::{Key, Kind},
    status::FieldError,
};

/// The largest sum of the sizes of all data of a Secret.
const MOST_BYTES: usize = 1024 * 1024;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
                         characters, '-' or '.', and must start and end with an alphanumeric \
                         character (e.g. 'example.com', regex used for validation is \
                         '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric \
                           characters, '-', '_' or '.', and must start and end with an \
                           alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', \
                           regex used for validation is \
                           '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn immutable(field: &str, value: &Value) -> FieldError {
    FieldError::invalid(field, value, "field is immutable")
}

/// The state before a change, and the parts of the request that are not stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a> {
    /// The object before.
    pub(super) live: &'a Value,
    /// The UID that the request has; may be empty.
    pub(super) uid: &'a str,
    /// Whether the request results in an empty map of data.
    pub(super) has_empty_data: bool,
}

/// The validation errors of an object. Without a change it is a new one.
pub(super) fn errors(key: &Key, object: &Value, change: Option<Change<'_>>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if change.is_none() {
        check_name(key, &mut errors);
    }
    for value in object["metadata"]["labels"].as_object().into_iter().flat_map(|map| map.values()) {
        let text = value.as_str().unwrap_or_default();
        if !is_label_value(text) {
            errors.push(FieldError::invalid("metadata.labels", value, LABEL_VALUE));
        }
    }
    if let Some(Change { live, .. }) = change {
        check_finalizers(object, live, &mut errors);
    }
    if let Some(Change { live, uid, .. }) = change
        && !uid.is_empty()
        && live["metadata"]["uid"] != uid
    {
        errors.push(immutable("metadata.uid", &json!(uid)));
    }
    match key.kind {
        Kind::Secret => check_secret(object, change, &mut errors),
        Kind::Lease => check_lease(&object["spec"], &mut errors),
        Kind::Namespace | Kind::ServiceAccount | Kind::Event => {}
    }
    errors
}

fn check_finalizers(object: &Value, live: &Value, errors: &mut Vec<FieldError>) {
    if live["metadata"].get("deletionTimestamp").is_none() {
        return;
    }
    let list =
        |object: &Value| object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let old = list(live);
    let new: Vec<_> = list(object).into_iter().filter(|it| !old.contains(it)).collect();
    if !new.is_empty() {
        let new: Vec<_> = new.iter().map(Value::to_string).collect();
        let why = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers \
             []string{{{}}}",
            new.join(", ")
        );
        errors.push(FieldError::forbidden("metadata.finalizers", &why));
    }
}

fn check_name(key: &Key, errors: &mut Vec<FieldError>) {
    let is_part = |part: &str| {
        let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = part.as_bytes();
        bytes.iter().all(|&byte| is_alphanumeric(byte) || byte == b'-')
            && [bytes.first(), bytes.last()]
                .iter()
                .all(|it| it.is_some_and(|&it| is_alphanumeric(it)))
    };
    if key.name.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else if !key.name.split('.').all(is_part) {
        errors.push(FieldError::invalid("metadata.name", &json!(key.name), SUBDOMAIN));
    }
}

fn is_label_value(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    text.len() <= 63
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
        && ends.iter().flatten().all(|byte| byte.is_ascii_alphanumeric())
}

fn check_secret(secret: &Value, change: Option<Change<'_>>, errors: &mut Vec<FieldError>) {
    if let Some(Change { live, has_empty_data, .. }) = change {
        if live["type"] != secret["type"] {
            errors.push(immutable("type", &secret["type"]));
        }
        if live["immutable"] == true {
            let why = "field is immutable when `immutable` is set";
            if secret["immutable"] != true {
                errors.push(FieldError::forbidden("immutable", why));
            }
            let is_emptied = has_empty_data && secret.get("data").is_none();
            if live["data"] != secret["data"] || is_emptied {
                errors.push(FieldError::forbidden("data", why));
            }
        }
    }
    let mut size = 0;
    for value in secret["data"].as_object().into_iter().flat_map(|data| data.values()) {
        size += STANDARD.decode(value.as_str().unwrap_or_default()).map_or(0, |it| it.len());
    }
    if size > MOST_BYTES {
        let message = format!("Too long: may not be more than {MOST_BYTES} bytes");
        let reason = "FieldValueTooLong";
        errors.push(FieldError { field: "data".to_owned(), reason, message });
    }
    if secret["type"] == "kubernetes.io/dockerconfigjson" {
        let field = "data[.dockerconfigjson]";
        match secret["data"][".dockerconfigjson"].as_str().map(|text| STANDARD.decode(text)) {
            None => errors.push(FieldError::required(field, "")),
            Some(bytes) => {
                let bytes = bytes.unwrap_or_default();
                if let Err(error) = serde_json::from_slice::<Value>(&bytes) {
                    let why = match bytes.first() {
                        None => "unexpected end of JSON input".to_owned(),
                        Some(byte) if error.column() <= 1 => {
                            let first = char::from(*byte);
                            format!("invalid character '{first}' looking for beginning of value")
                        }
                        _ => error.to_string(),
                    };
                    errors.push(FieldError::invalid(
                        field,
                        &json!("<secret contents redacted>"),
                        &why,
                    ));
                }
            }
        }
    }
}

fn check_lease(spec: &Value, errors: &mut Vec<FieldError>) {
    if spec["leaseDurationSeconds"].as_i64().is_some_and(|seconds| seconds <= 0) {
        let value = &spec["leaseDurationSeconds"];
        errors.push(FieldError::invalid(
            "spec.leaseDurationSeconds",
            value,
            "must be greater than 0",
        ));
    }
    if spec["leaseTransitions"].as_i64().is_some_and(|count| count < 0) {
        let why = "must be greater than or equal to 0";
        errors.push(FieldError::invalid("spec.leaseTransitions", &spec["leaseTransitions"], why));
    }
}
