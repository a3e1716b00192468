//! Merge patches and JSON Patches.

use serde_json::{Map, Value};

/// A JSON merge patch (RFC 7386). A strategic merge patch comes to the same where there are only maps,
/// as in a Lease.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Why a JSON Patch was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonPatchError {
    /// It is not a JSON Patch.
    Malformed,
    /// An operation cannot be done, or a test failed.
    Failed,
}

/// A JSON Patch (RFC 6902) of the operations `test`, `add`, `replace` and `remove`.
pub(super) fn json_patch(target: &mut Value, operations: &Value) -> Result<(), JsonPatchError> {
    let operations = operations.as_array().ok_or(JsonPatchError::Malformed)?;
    operations.iter().try_for_each(|operation| {
        let text = |key| operation.get(key).and_then(Value::as_str);
        let path = text("path").ok_or(JsonPatchError::Malformed)?;
        let (above, key) = split(path).ok_or(JsonPatchError::Failed)?;
        let value = operation.get("value");
        let done = match text("op") {
            Some("test") => {
                let found = target.pointer(path).unwrap_or(&Value::Null);
                (found == value.unwrap_or(&Value::Null)).then_some(())
            }
            Some("add") => add(target.pointer_mut(above), &key, value),
            Some("replace") => {
                target.pointer_mut(path).zip(value).map(|(target, value)| *target = value.clone())
            }
            Some("remove") => remove(target.pointer_mut(above), &key),
            _ => return Err(JsonPatchError::Malformed),
        };
        done.ok_or(JsonPatchError::Failed)
    })
}

/// The pointer of the parent, and the last key.
fn split(path: &str) -> Option<(&str, String)> {
    let (parent, key) = path.rsplit_once('/')?;
    Some((parent, key.replace("~1", "/").replace("~0", "~")))
}

fn add(parent: Option<&mut Value>, key: &str, value: Option<&Value>) -> Option<()> {
    let value = value?.clone();
    match parent? {
        Value::Object(map) => drop(map.insert(key.to_owned(), value)),
        Value::Array(list) if key == "-" => list.push(value),
        Value::Array(list) => {
            let index = key.parse().ok().filter(|&index| index <= list.len())?;
            list.insert(index, value);
        }
        _ => return None,
    }
    Some(())
}

fn remove(parent: Option<&mut Value>, key: &str) -> Option<()> {
    match parent? {
        Value::Object(map) => map.remove(key).map(drop),
        Value::Array(list) => {
            let index = key.parse().ok().filter(|&index| index < list.len())?;
            list.remove(index);
            Some(())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_patch_changes_adds_and_removes() {
        for (target, patch, expected) in [
            (json!({"a": 1}), json!({"a": 2}), json!({"a": 2})),
            (json!({"a": 1}), json!({"b": {"c": 2}}), json!({"a": 1, "b": {"c": 2}})),
            (json!({"a": 1, "b": 2}), json!({"a": null, "c": null}), json!({"b": 2})),
            (json!({"a": [1, 2]}), json!({"a": [3]}), json!({"a": [3]})),
            (json!({"a": 1}), json!({"a": {"b": 1, "c": null}}), json!({"a": {"b": 1}})),
        ] {
            let mut merged = target.clone();
            merge(&mut merged, &patch);
            assert_eq!(merged, expected, "{target} and {patch}");
        }
    }

    #[test]
    fn a_json_patch_is_done_in_order_or_refused() {
        let one = |op: &str, path: &str, value: Value| json!([{ "op": op, "path": path, "value": value }]);
        let failed = || Err(JsonPatchError::Failed);
        for (patch, expected) in [
            (one("test", "/v", json!("1")), Ok(json!({"v": "1", "l": [1, 2]}))),
            (one("test", "/v", json!("2")), failed()),
            (one("test", "/missing", json!("2")), failed()),
            (one("add", "/l/-", json!(3)), Ok(json!({"v": "1", "l": [1, 2, 3]}))),
            (one("add", "/l/0", json!(3)), Ok(json!({"v": "1", "l": [3, 1, 2]}))),
            (one("add", "/l/4", json!(3)), failed()),
            (one("add", "/new", json!([3])), Ok(json!({"v": "1", "l": [1, 2], "new": [3]}))),
            (one("add", "/a/b", json!(3)), failed()),
            (one("replace", "/v", json!("2")), Ok(json!({"v": "2", "l": [1, 2]}))),
            (one("replace", "/w", json!("2")), failed()),
            (one("remove", "/l/1", Value::Null), Ok(json!({"v": "1", "l": [1]}))),
            (one("remove", "/l/2", Value::Null), failed()),
            (one("remove", "/w", Value::Null), failed()),
            (one("other", "/v", Value::Null), Err(JsonPatchError::Malformed)),
            (json!({}), Err(JsonPatchError::Malformed)),
        ] {
            let mut target = json!({"v": "1", "l": [1, 2]});
            let result = json_patch(&mut target, &patch).map(|()| target);
            assert_eq!(result, expected, "{patch}");
        }
    }
}
