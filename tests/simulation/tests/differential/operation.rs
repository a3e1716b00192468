//! A request that can be sent to any server, with placeholders for what is each server's own.

use std::fmt;

use serde_json::{Value, json};

/// The placeholder for the UID of the object in bodies.
pub(crate) const UID: &str = "$uid";
/// The placeholder for the resourceVersion of the object in bodies.
pub(crate) const VERSION: &str = "$version";

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) content: &'static str,
    pub(crate) metadata_only: bool,
    pub(crate) body: Value,
    /// Whether the body is merged into the current object, for a PUT.
    pub(crate) onto_live: bool,
    /// The path of the object that it is about; empty for lists.
    pub(crate) object: String,
}

impl Operation {
    pub(crate) fn get(path: String) -> Self {
        Self {
            method: "GET",
            object: path.clone(),
            path,
            query: String::new(),
            content: "application/json",
            metadata_only: false,
            body: Value::Null,
            onto_live: false,
        }
    }

    pub(crate) fn create_namespace(name: &str) -> Self {
        Self {
            method: "POST",
            path: "/api/v1/namespaces".to_owned(),
            query: "fieldManager=kubectl-create".to_owned(),
            body: json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }),
            ..Self::get(format!("/api/v1/namespaces/{name}"))
        }
    }

    /// The body for a server where the object is `live`.
    pub(crate) fn body(&self, live: &Value) -> Value {
        let mut body = self.body.clone();
        if self.onto_live && live["kind"] != "Status" {
            let mut merged = live.clone();
            merge(&mut merged, &body);
            body = merged;
        }
        let metadata = if live["kind"] == "Status" { &Value::Null } else { &live["metadata"] };
        let uid = metadata["uid"].as_str().unwrap_or("00000000-0000-4000-8000-000000000000");
        replace(&mut body, UID, uid);
        replace(&mut body, VERSION, metadata["resourceVersion"].as_str().unwrap_or("1"));
        body
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, query, body, content, .. } = self;
        let content = content.trim_start_matches("application/");
        write!(formatter, "{method} {path}?{query} {content} {body}")?;
        formatter.write_str(if self.onto_live { " (onto the live object)" } else { "" })
    }
}

fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    target.remove(key);
                } else {
                    merge(target.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

fn replace(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) if text == from => to.clone_into(text),
        Value::Array(list) => list.iter_mut().for_each(|value| replace(value, from, to)),
        Value::Object(map) => map.values_mut().for_each(|value| replace(value, from, to)),
        _ => {}
    }
}
