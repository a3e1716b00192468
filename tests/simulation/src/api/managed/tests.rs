use super::*;

/// A stored Secret, with managers made by `steps`: an operation, a manager and a body each.
fn secret(steps: &[(Operation, &str, Value)]) -> Managed {
    let identity = json!({ "metadata": { "name": "x", "resourceVersion": "1" } });
    let mut managed = Managed::absent(json!({ "metadata": { "name": "x" } }));
    for (operation, manager, body) in steps {
        managed = match operation {
            Operation::Apply => managed.apply(Kind::Secret, body, manager, true, "").unwrap(),
            Operation::Update => {
                let mut next = managed.json.clone();
                crate::api::patch::merge(&mut next, body);
                managed.update(Kind::Secret, next, manager, "")
            }
        };
        crate::api::patch::merge(&mut managed.json, &identity);
    }
    managed
}

/// The managers with their fields, as lines.
fn owners(managed: &Managed) -> Vec<String> {
    let line = |manager: &Manager| {
        let fields: Vec<_> = manager.fields.iter().map(|path| path.join("/")).collect();
        format!("{} {:?}: {}", manager.name, manager.operation, fields.join(" "))
    };
    managed.managers.iter().map(line).collect()
}

fn data(keys: &[&str]) -> Value {
    let data: serde_json::Map<_, _> =
        keys.iter().map(|&key| (key.to_owned(), json!("eA=="))).collect();
    json!({ "data": data })
}

#[test]
fn owners_are_those_of_the_last_changes() {
    use Operation::{Apply, Update};
    let changed = json!({ "data": { "a": "eQ==" } });
    let dropped = json!({ "data": { "a": null } });
    for (steps, expected) in [
        // An apply owns its fields. An update that creates a map owns the map too.
        (vec![(Apply, "one", data(&["a"]))], vec!["one Apply: data/a"]),
        (vec![(Update, "one", data(&["a"]))], vec!["one Update: data data/a type"]),
        // Equal values are shared, and a change takes over.
        (
            vec![(Apply, "one", data(&["a"])), (Apply, "two", data(&["a"]))],
            vec!["one Apply: data/a", "two Apply: data/a"],
        ),
        (
            vec![(Apply, "one", data(&["a", "b"])), (Apply, "two", changed.clone())],
            vec!["one Apply: data/b", "two Apply: data/a"],
        ),
        (
            vec![(Apply, "one", data(&["a", "b"])), (Update, "two", changed.clone())],
            vec!["one Apply: data/b", "two Update: data/a"],
        ),
        (
            vec![(Apply, "one", data(&["a", "b"])), (Update, "two", dropped.clone())],
            vec!["one Apply: data/b"],
        ),
        // The manager of an object that was there without any.
        (
            vec![(Update, "one", dropped), (Apply, "one", data(&["a"]))],
            vec!["one Apply: data/a", "one Update: type"],
        ),
    ] {
        let managed = secret(&steps);
        assert_eq!(owners(&managed), expected, "{steps:?}");
    }
}

#[test]
fn a_field_that_is_no_longer_applied_is_removed_unless_another_owns_it() {
    use Operation::{Apply, Update};
    for (steps, expected) in [
        (vec![(Apply, "one", data(&["a", "b"])), (Apply, "one", data(&["b"]))], data(&["b"])),
        (
            vec![
                (Apply, "one", data(&["a", "b"])),
                (Apply, "two", data(&["a"])),
                (Apply, "one", data(&["b"])),
            ],
            data(&["a", "b"]),
        ),
        // The whole map, when no manager owns anything in it.
        (vec![(Apply, "one", data(&["a"])), (Apply, "one", json!({}))], json!({})),
        (
            vec![
                (Apply, "one", data(&["a"])),
                (Update, "two", data(&["b"])),
                (Apply, "one", json!({})),
            ],
            data(&["b"]),
        ),
    ] {
        let managed = secret(&steps);
        assert_eq!(managed.json.get("data"), expected.get("data"), "{steps:?}");
    }
}

#[test]
fn an_apply_conflicts_with_other_owners_of_other_values() {
    use Operation::{Apply, Update};
    let managed = secret(&[(Apply, "one", data(&["a"])), (Update, "two", data(&["b"]))]);
    let apply = |body: Value| managed.apply(Kind::Secret, &body, "three", false, "");
    assert!(apply(data(&["a", "b"])).is_ok());
    let conflicts = apply(json!({ "data": { "a": "eQ==", "b": "eQ==" } })).unwrap_err();
    let expected = [("\"one\"", ".data.a"), ("\"two\" using v1", ".data.b")]
        .map(|(manager, path)| (manager.to_owned(), path.to_owned()));
    assert_eq!(conflicts, expected);
}

#[test]
fn managers_are_the_same_after_they_were_shown_and_read() {
    let managed = secret(&[
        (Operation::Apply, "one", data(&["a"])),
        (Operation::Update, "two", json!({ "metadata": { "finalizers": ["f"] } })),
        (Operation::Update, "three", data(&["b"])),
    ]);
    let read = Managed::from_shown(managed.shown(Kind::Secret));
    assert_eq!(read.managers, managed.managers);
    assert_eq!(read.json, managed.json);
}
