//! Sets of fields: which an object has, and how two objects differ. Structures and maps are followed;
//! a list is one field, as are references to objects.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The keys that lead to a field.
pub(super) type Path = Vec<String>;

/// A set of fields.
pub(super) type Fields = BTreeSet<Path>;

/// How an object differs from another.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    /// Fields that were not there, with the maps around them.
    pub(super) added: Fields,
    /// Fields of another value.
    pub(super) modified: Fields,
    /// Fields that are not there any more.
    pub(super) removed: Fields,
}

/// Metadata without owners: the identity of an object, and fields that the server writes.
const SYSTEM_METADATA: [&str; 8] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "managedFields",
    "selfLink",
];

/// Structures at the root that count as one field (`structType=atomic`).
const ATOMIC: [&str; 2] = ["regarding", "related"];

/// The prefix of the keys of items of a set.
const ITEM: &str = "v:";

/// Turns the finalizers into a map, so that each is a field of its own (`listType=set`).
pub(super) fn split_sets(object: &mut Value) {
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    let Some(Value::Array(finalizers)) = metadata.remove("finalizers") else { return };
    let items: Map<_, _> =
        finalizers.into_iter().map(|item| (format!("{ITEM}{item}"), item)).collect();
    if !items.is_empty() {
        metadata.insert("finalizers".to_owned(), Value::Object(items));
    }
}

/// Undoes [`split_sets`].
pub(super) fn join_sets(object: &mut Value) {
    let finalizers = object["metadata"].get_mut("finalizers");
    if let Some(finalizers) = finalizers
        && let Value::Object(items) = finalizers
    {
        let items = std::mem::take(items);
        *finalizers = items.into_iter().map(|(_, item)| item).collect();
    }
}

/// Whether a field can have an owner.
fn can_be_owned(path: &[String]) -> bool {
    match path {
        [] => false,
        [root] => !matches!(root.as_str(), "apiVersion" | "kind" | "metadata" | "status"),
        [root, key, ..] => {
            root != "status" && (root != "metadata" || !SYSTEM_METADATA.contains(&key.as_str()))
        }
    }
}

fn is_atomic(path: &[String]) -> bool {
    matches!(path, [root] if ATOMIC.contains(&root.as_str()))
}

/// The fields of an object that was applied: all that are not maps, and empty maps.
pub(super) fn fields_of(object: &Value) -> Fields {
    fn collect(value: &Value, path: &mut Path, fields: &mut Fields) {
        match value {
            Value::Object(map) if !map.is_empty() && !is_atomic(path) => {
                for (key, value) in map {
                    path.push(key.clone());
                    collect(value, path, fields);
                    path.pop();
                }
            }
            _ if can_be_owned(path) => drop(fields.insert(path.clone())),
            _ => {}
        }
    }
    let mut fields = Fields::new();
    collect(object, &mut Path::new(), &mut fields);
    fields
}

/// How `new` differs from `old`. Null means an empty map, which differs from a missing one.
pub(super) fn compare(old: &Value, new: &Value) -> Comparison {
    let mut comparison = Comparison::default();
    comparison.walk(Some(old), Some(new), &mut Path::new());
    comparison
}

impl Comparison {
    fn walk(&mut self, old: Option<&Value>, new: Option<&Value>, path: &mut Path) {
        if old == new || path.len() == 1 && path[0] == "status" {
            return;
        }
        let (old_map, new_map) = (filled_map(old), filled_map(new));
        if is_atomic(path) || old_map.is_none() && new_map.is_none() {
            self.insert(old, new, path);
            return;
        }
        let maps = [old_map, new_map];
        let keys: BTreeSet<_> = maps.iter().flatten().flat_map(|map| map.keys()).collect();
        for key in keys {
            let [old, new] = maps.map(|map| map.and_then(|map| map.get(key)));
            path.push(key.clone());
            self.walk(old, new, path);
            path.pop();
        }
        if old.is_none() || new.is_none() {
            self.insert(old, new, path);
        }
    }

    fn insert(&mut self, old: Option<&Value>, new: Option<&Value>, path: &Path) {
        if !can_be_owned(path) {
            return;
        }
        let fields = match (old, new) {
            (None, _) => &mut self.added,
            (_, None) => &mut self.removed,
            _ => &mut self.modified,
        };
        fields.insert(path.clone());
    }
}

fn filled_map(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object).filter(|map| !map.is_empty())
}

/// The fields, and all structures around them.
pub(super) fn with_parents(fields: &Fields) -> Fields {
    let mut all = fields.clone();
    for path in fields {
        for length in 1..path.len() {
            all.insert(path[..length].to_vec());
        }
    }
    all
}

/// Removes a field with all that is in it. A map that becomes empty becomes null.
pub(super) fn remove(object: &mut Value, path: &[String]) {
    let Some((key, rest)) = path.split_first() else { return };
    let Value::Object(map) = object else { return };
    if !rest.is_empty() {
        if let Some(inner) = map.get_mut(key) {
            remove(inner, rest);
        }
        return;
    }
    map.remove(key);
    if map.is_empty() {
        *object = Value::Null;
    }
}

/// Lays an applied object over one: maps are merged, all else is replaced.
pub(super) fn merge_applied(target: &mut Value, applied: &Value, path: &mut Path) {
    match (target, applied) {
        (Value::Object(target), Value::Object(applied)) if !is_atomic(path) => {
            for (key, value) in applied {
                path.push(key.clone());
                merge_applied(target.entry(key.clone()).or_insert(Value::Null), value, path);
                path.pop();
            }
        }
        (target @ Value::Null, Value::Object(applied))
            if !is_atomic(path) && !applied.is_empty() =>
        {
            *target = Value::Object(Map::new());
            merge_applied(target, &Value::Object(applied.clone()), path);
        }
        (target, applied) => *target = applied.clone(),
    }
}

/// The path as messages show it.
pub(super) fn display(path: &[String]) -> String {
    format!(".{}", path.join("."))
}

/// The set as `fieldsV1` has it.
pub(super) fn to_json(fields: &Fields) -> Value {
    let mut tree = Map::new();
    let mut paths = fields.iter().peekable();
    while let Some(path) = paths.next() {
        // The fields in a map sort after the map itself, which is a dot then.
        let is_map = paths.peek().is_some_and(|next| next.starts_with(path));
        let keys = path
            .iter()
            .map(|key| if key.starts_with(ITEM) { key.clone() } else { format!("f:{key}") });
        let keys = keys.chain(is_map.then(|| ".".to_owned()));
        let mut node = &mut tree;
        for key in keys {
            let inner = node.entry(key).or_insert_with(|| Value::Object(Map::new()));
            // All nodes are maps.
            let Value::Object(inner) = inner else { break };
            node = inner;
        }
    }
    Value::Object(tree)
}

/// Reads a `fieldsV1`.
pub(super) fn from_json(tree: &Value) -> Fields {
    fn collect(tree: &Value, path: &mut Path, fields: &mut Fields) {
        let map = tree.as_object();
        if !path.is_empty() && map.is_none_or(|map| map.is_empty() || map.contains_key(".")) {
            fields.insert(path.clone());
        }
        for (key, value) in map.into_iter().flatten() {
            let key = if key.starts_with(ITEM) { Some(&**key) } else { key.strip_prefix("f:") };
            if let Some(key) = key {
                path.push(key.to_owned());
                collect(value, path, fields);
                path.pop();
            }
        }
    }
    let mut fields = Fields::new();
    collect(tree, &mut Path::new(), &mut fields);
    fields
}
