//! Objects with the managers of their fields: server-side apply, and all other changes.

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::{
    fields::{self, Fields},
    kind::Kind,
};

/// The kind of operation that a manager's entry is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

/// An entry of `managedFields`.
#[derive(Debug, Clone)]
pub(super) struct Manager {
    pub(super) name: String,
    pub(super) operation: Operation,
    pub(super) fields: Fields,
    /// When its set of fields changed last, in whole seconds.
    pub(super) time: String,
}

/// An object and the managers of its fields. `json` has no `managedFields`.
#[derive(Debug, Clone)]
pub(super) struct Managed {
    pub(super) json: Value,
    pub(super) managers: Vec<Manager>,
}

/// A manager, as messages show it, and a field of it that an apply would change.
pub(super) type Conflict = (String, String);

/// The manager of what was there before the first apply.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

impl PartialEq for Manager {
    /// Without the time: a write that changes nothing else is not stored.
    fn eq(&self, other: &Self) -> bool {
        (self.operation, &self.name, &self.fields) == (other.operation, &other.name, &other.fields)
    }
}

impl Managed {
    /// An object before its creation: with only the fields that the server sets.
    pub(super) fn absent(json: Value) -> Self {
        Self { json, managers: Vec::new() }
    }

    /// Reads an object as the API shows it.
    pub(super) fn from_shown(mut json: Value) -> Self {
        let entries = json["metadata"].as_object_mut().and_then(|map| map.remove("managedFields"));
        let managers = entries.as_ref().map(read_managers).unwrap_or_default();
        Self { json, managers }
    }

    /// The object as the API shows it.
    pub(super) fn shown(&self, kind: Kind) -> Value {
        let mut shown = self.json.clone();
        if !self.managers.is_empty() {
            let entry = |manager: &Manager| {
                json!({ "manager": manager.name, "operation": manager.operation.as_str(),
                    "apiVersion": kind.api_version(), "time": manager.time,
                    "fieldsType": "FieldsV1", "fieldsV1": fields::to_json(&manager.fields) })
            };
            shown["metadata"]["managedFields"] = self.managers.iter().map(entry).collect();
        }
        shown
    }

    /// Server-side apply.
    ///
    /// `Err` has the fields that other managers own with another value, unless `force`.
    pub(super) fn apply(
        &self,
        kind: Kind,
        applied: &Value,
        manager: &str,
        force: bool,
        now: &str,
    ) -> Result<Self, Vec<Conflict>> {
        let mut managers = self.managers.clone();
        if managers.is_empty() && self.exists() {
            let empty = Self::absent(kind.empty());
            managers = empty.track(kind, &self.json, &[], BEFORE_FIRST_APPLY, now);
        }
        let (mut before, mut applied) = (self.json.clone(), applied.clone());
        fields::split_sets(&mut before);
        fields::split_sets(&mut applied);
        let wanted = fields::fields_of(&applied);
        let mut next = before.clone();
        fields::merge_applied(&mut next, &applied, &mut Vec::new());
        let mine = managers.iter().position(|it| it.is(manager, Operation::Apply));
        let mine = mine.map(|index| managers.remove(index));
        if let Some(mine) = mine.as_ref().filter(|it| !it.fields.is_empty()) {
            prune(&mut next, &mine.fields, &wanted, &managers);
        }
        let change = fields::compare(&before, &next);
        let mut conflicts = Vec::new();
        for other in &mut managers {
            let lost: Vec<_> = other
                .fields
                .iter()
                .filter(|path| change.modified.contains(*path) || change.added.contains(*path))
                .cloned()
                .collect();
            let shown = other.display(kind);
            conflicts.extend(lost.iter().map(|path| (shown.clone(), fields::display(path))));
            other.fields.retain(|path| !lost.contains(path) && !change.removed.contains(path));
        }
        if !force && !conflicts.is_empty() {
            conflicts.sort();
            return Err(conflicts);
        }
        fields::join_sets(&mut next);
        tidy(kind, &mut next);
        let time = match mine {
            Some(mine) if next == self.json => mine.time,
            _ => now.to_owned(),
        };
        managers.push(Manager {
            name: manager.to_owned(),
            operation: Operation::Apply,
            fields: wanted,
            time,
        });
        Ok(Self { json: next, managers: sorted(managers) })
    }

    /// Any other change: the manager takes over all fields that it changes. `next` is the whole object
    /// after the change and may have `managedFields`, which then count instead of those of before.
    pub(super) fn update(&self, kind: Kind, next: Value, manager: &str, now: &str) -> Self {
        let Self { json: mut next, managers: given } = Self::from_shown(next);
        tidy(kind, &mut next);
        let managers = if given.is_empty() { &self.managers } else { &given };
        // The fields of an object are tracked from its creation on, or else from its first apply on.
        let managers = if self.exists() && managers.is_empty() {
            Vec::new()
        } else {
            self.track(kind, &next, managers, manager, now)
        };
        Self { json: next, managers }
    }

    /// Whether it was stored already.
    fn exists(&self) -> bool {
        self.json["metadata"].get("resourceVersion").is_some()
    }

    /// The managers after a change of this object to `next`.
    fn track(
        &self,
        kind: Kind,
        next: &Value,
        managers: &[Manager],
        manager: &str,
        now: &str,
    ) -> Vec<Manager> {
        let mut before = self.json.clone();
        // Fields that every object has count as present before.
        add_missing(&mut before, &kind.empty());
        let mut next = next.clone();
        fields::split_sets(&mut before);
        fields::split_sets(&mut next);
        let change = fields::compare(&before, &next);
        let mut managers = managers.to_vec();
        let mut taken = change.modified;
        taken.extend(change.added);
        for other in &mut managers {
            other.fields.retain(|path| !taken.contains(path) && !change.removed.contains(path));
        }
        if !taken.is_empty() {
            let mine = managers.iter_mut().find(|it| it.is(manager, Operation::Update));
            if let Some(mine) = mine {
                mine.fields.extend(taken);
                now.clone_into(&mut mine.time);
            } else {
                managers.push(Manager {
                    name: manager.to_owned(),
                    operation: Operation::Update,
                    fields: taken,
                    time: now.to_owned(),
                });
            }
        }
        sorted(managers)
    }
}

impl Manager {
    fn is(&self, name: &str, operation: Operation) -> bool {
        self.name == name && self.operation == operation
    }

    /// As messages show it.
    fn display(&self, kind: Kind) -> String {
        match self.operation {
            Operation::Apply => format!("{:?}", self.name),
            Operation::Update => format!("{:?} using {}", self.name, kind.api_version()),
        }
    }
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Removes the fields that the manager applied before and that have no owner now. A structure in which no manager owns
/// anything any more goes as a whole.
fn prune(object: &mut Value, before: &Fields, wanted: &Fields, others: &[Manager]) {
    let mut owned = fields::with_parents(wanted);
    for other in others {
        owned.extend(fields::with_parents(&other.fields));
    }
    // A structure sorts before what is in it.
    for path in fields::with_parents(before).difference(&owned) {
        // The metadata has fields without an owner, which stay.
        if path.len() > 1 || path[0] != "metadata" {
            fields::remove(object, path);
        }
    }
}

/// Brings an object into the form in which the server keeps it: no nulls, no empty maps and lists, but
/// all that is always there.
pub(super) fn tidy(kind: Kind, object: &mut Value) {
    drop_empty(object);
    add_missing(object, &kind.empty());
    if kind == Kind::Secret && object.get("type").is_none() {
        object["type"] = json!("Opaque");
    }
    if kind == Kind::Namespace
        && let Some(name) = object["metadata"]["name"].as_str().map(str::to_owned)
    {
        object["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(name);
    }
}

fn drop_empty(value: &mut Value) {
    let Value::Object(map) = value else { return };
    map.values_mut().for_each(drop_empty);
    map.retain(|_, value| match value {
        Value::Null => false,
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => true,
    });
}

fn add_missing(object: &mut Value, defaults: &Value) {
    let (Value::Object(object), Value::Object(defaults)) = (object, defaults) else { return };
    for (key, value) in defaults {
        object.entry(key.clone()).or_insert_with(|| value.clone());
    }
}

/// In the order of the API, without those that own nothing.
fn sorted(mut managers: Vec<Manager>) -> Vec<Manager> {
    managers.retain(|it| !it.fields.is_empty());
    managers.sort_by(|one, other| {
        (one.operation, &one.time, &one.name).cmp(&(other.operation, &other.time, &other.name))
    });
    managers
}

fn read_managers(entries: &Value) -> Vec<Manager> {
    let entry = |entry: &Value| {
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let is_apply = entry["operation"] == "Apply";
        Manager {
            name: text("manager"),
            operation: if is_apply { Operation::Apply } else { Operation::Update },
            fields: fields::from_json(&entry["fieldsV1"]),
            time: text("time"),
        }
    };
    entries.as_array().into_iter().flatten().map(entry).collect()
}
