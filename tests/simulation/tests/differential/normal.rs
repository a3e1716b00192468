//! Answers without what differs between servers: UIDs, versions and times.

use serde_json::{Map, Value, json};

/// An answer in the form in which it is compared.
pub(crate) fn normal(value: &Value, uid: &str, version: &str) -> Value {
    match value {
        Value::Object(map) => {
            let mut map: Map<_, _> = map
                .iter()
                .filter(|(key, _)| !matches!(key.as_str(), "resourceVersion" | "time"))
                .map(|(key, value)| (key.clone(), field(key, value, uid, version)))
                .collect();
            // An empty list of managers counts as a missing one.
            map.retain(|key, value| key != "managedFields" || *value != json!([]));
            Value::Object(map)
        }
        Value::Array(list) => list.iter().map(|value| normal(value, uid, version)).collect(),
        other => other.clone(),
    }
}

fn field(key: &str, value: &Value, uid: &str, version: &str) -> Value {
    match (key, value) {
        ("creationTimestamp" | "deletionTimestamp" | "uid" | "continue", Value::String(_)) => {
            json!("(masked)")
        }
        // Both are in random order.
        ("managedFields" | "causes", Value::Array(list)) => {
            let mut list: Vec<_> = list.iter().map(|value| normal(value, uid, version)).collect();
            list.sort_by_key(Value::to_string);
            Value::Array(list)
        }
        ("message", Value::String(text)) => {
            let mut text = text.clone();
            if !uid.is_empty() {
                text = text.replace(uid, "(uid)").replace(&format!("({version})"), "(version)");
            }
            let mut lines: Vec<_> = text.lines().collect();
            if text.starts_with("Apply failed with") {
                let conflicts = lines[0].split_once(": ").unwrap_or_default();
                lines[0] = conflicts.1;
                lines.push(conflicts.0);
                lines.sort_unstable();
            }
            json!(lines.join("\n"))
        }
        _ => normal(value, uid, version),
    }
}

/// A line for each field that differs.
pub(crate) fn differences(expected: &Value, found: &Value, path: &str, lines: &mut Vec<String>) {
    match (expected, found) {
        _ if expected == found => {}
        (Value::Object(one), Value::Object(two)) => {
            let keys: std::collections::BTreeSet<_> = one.keys().chain(two.keys()).collect();
            for key in keys {
                let get = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                differences(&get(one), &get(two), &format!("{path}.{key}"), lines);
            }
        }
        _ => {
            lines.push(format!("{path}: kube-apiserver: {expected}"));
            lines.push(format!("{path}: in memory:      {found}"));
        }
    }
}
