//! Random requests, of the kinds that the daemon and the clients around it send.

use fastrand::Rng;
use serde_json::{Map, Value, json};

use crate::operation::{Operation, UID, VERSION};

const MANAGERS: [&str; 3] = ["ecr-refresher-0a1b2c3d", "argocd", "kubectl-edit"];
const WRONG_UID: &str = "00000000-0000-4000-8000-ffffffffffff";
const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";

/// A request in a namespace with a name that begins with `prefix`.
pub(crate) fn operation(rng: &mut Rng, prefix: &str) -> Operation {
    let namespace = format!("{prefix}-{}", pick(rng, &[0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2]));
    let name = pick(rng, &["one", "one", "two"]);
    let mut operation = match rng.u8(0..20) {
        0..=10 => secret(rng, &namespace, name),
        11..=13 => account(rng, &namespace, name),
        14..=16 => lease(rng, &namespace, name),
        17 => event(rng, &namespace, name),
        18 => list(rng, &namespace),
        _ => return namespace_operation(rng, &namespace),
    };
    operation.metadata_only = rng.bool();
    operation
}

/// One of the requests that a seed begins with, of 0 to 5: most later requests need objects.
pub(crate) fn first_operation(rng: &mut Rng, prefix: &str, number: usize) -> Operation {
    let namespace = format!("{prefix}-{}", number % 2);
    loop {
        let operation = match number {
            0 | 1 => secret(rng, &namespace, "one"),
            2 | 3 => account(rng, &namespace, "one"),
            _ => lease(rng, &namespace, "one"),
        };
        if operation.method == "POST" || operation.content == APPLY {
            return operation;
        }
    }
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(0..from.len())]
}

/// A map of some of the keys. With `nulls`, some are null, which removes them.
fn map(rng: &mut Rng, keys: &[&str], values: &[&str], nulls: bool) -> Value {
    let mut map = Map::new();
    for key in keys {
        match rng.u8(0..4) {
            0 | 1 => drop(map.insert((*key).to_owned(), json!(pick(rng, values)))),
            2 if nulls => drop(map.insert((*key).to_owned(), Value::Null)),
            _ => {}
        }
    }
    Value::Object(map)
}

fn metadata(rng: &mut Rng, name: &str, nulls: bool) -> Value {
    let mut metadata = json!({ "name": name });
    if rng.bool() {
        metadata["labels"] = map(rng, &["a", "app.kubernetes.io/b"], &["x", "y"], nulls);
    }
    if rng.bool() {
        metadata["annotations"] = map(rng, &["c", "d"], &["x", "y", ""], nulls);
    }
    if rng.u8(0..40) == 0 {
        metadata["labels"] = json!({ "a": "not valid" });
    }
    match rng.u8(0..40) {
        0 => metadata["finalizers"] = json!(["example.com/keep"]),
        1 => metadata["finalizers"] = json!([]),
        2 => metadata["namespace"] = json!("elsewhere"),
        3 => drop(metadata.as_object_mut().map(|it| it.remove("name"))),
        _ => {}
    }
    match rng.u8(0..12) {
        0 => metadata["uid"] = json!(UID),
        1 => metadata["uid"] = json!(WRONG_UID),
        2 | 3 => metadata["resourceVersion"] = json!(VERSION),
        4 => metadata["resourceVersion"] = json!("1"),
        _ => {}
    }
    metadata
}

/// PUT, POST, PATCH or DELETE of an object with this body.
fn write(rng: &mut Rng, list: &str, name: &str, content: &'static str, body: Value) -> Operation {
    let force = if content == APPLY && rng.bool() { "&force=true" } else { "" };
    Operation {
        method: "PATCH",
        query: format!("fieldManager={}{force}", pick(rng, &MANAGERS)),
        content,
        body,
        ..Operation::get(format!("{list}/{name}"))
    }
}

fn create(rng: &mut Rng, list: &str, name: &str, body: Value) -> Operation {
    let path = list.to_owned();
    Operation { method: "POST", path, ..write(rng, list, name, "application/json", body) }
}

fn put(rng: &mut Rng, list: &str, name: &str, body: Value) -> Operation {
    let onto_live = rng.u8(0..4) > 0;
    Operation { method: "PUT", onto_live, ..write(rng, list, name, "application/json", body) }
}

fn delete(rng: &mut Rng, list: &str, name: &str) -> Operation {
    let preconditions = match rng.u8(0..6) {
        0 => json!({ "uid": UID, "resourceVersion": VERSION }),
        1 => json!({ "uid": UID }),
        2 => json!({ "uid": WRONG_UID, "resourceVersion": VERSION }),
        3 => json!({ "resourceVersion": "1" }),
        _ => Value::Null,
    };
    let mut options = json!({ "apiVersion": "v1", "kind": "DeleteOptions" });
    if !preconditions.is_null() {
        options["preconditions"] = preconditions;
    }
    let query = String::new();
    Operation { method: "DELETE", query, ..write(rng, list, name, "application/json", options) }
}

fn secret(rng: &mut Rng, namespace: &str, name: &str) -> Operation {
    let list = format!("/api/v1/namespaces/{namespace}/secrets");
    let mut body = json!({ "apiVersion": "v1", "kind": "Secret" });
    let keys = ["e", "f", ".dockerconfigjson"];
    let content = pick(rng, &[APPLY, APPLY, MERGE]);
    let choice = rng.u8(0..18);
    let is_patch = choice > 5 && content == MERGE;
    body["metadata"] = metadata(rng, name, is_patch);
    if rng.u8(0..5) > 0 {
        body["data"] = map(rng, &keys, &["eA==", "e30="], is_patch);
    }
    if rng.u8(0..5) > 0 && !is_patch {
        let docker = "kubernetes.io/dockerconfigjson";
        body["type"] = json!(pick(rng, &["Opaque", "Opaque", "example.com/other", docker]));
    }
    if rng.u8(0..25) == 0 {
        body["immutable"] = json!(rng.u8(0..4) > 0);
    }
    match choice {
        0 | 1 => create(rng, &list, name, body),
        2 | 3 => put(rng, &list, name, body),
        4 => delete(rng, &list, name),
        5 => Operation::get(format!("{list}/{name}")),
        _ => write(rng, &list, name, content, body),
    }
}

fn account(rng: &mut Rng, namespace: &str, name: &str) -> Operation {
    let list = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
    let mut body = json!({ "apiVersion": "v1", "kind": "ServiceAccount" });
    let content = pick(rng, &[APPLY, MERGE]);
    let choice = rng.u8(0..12);
    body["metadata"] = metadata(rng, name, (4..6).contains(&choice) && content == MERGE);
    let names: Vec<_> =
        (0..rng.u8(0..3)).map(|_| json!({ "name": pick(rng, &["p", "q"]) })).collect();
    if rng.bool() {
        body["imagePullSecrets"] = json!(names);
    }
    if rng.u8(0..5) == 0 {
        body["automountServiceAccountToken"] = json!(rng.bool());
    }
    match choice {
        0 | 1 => create(rng, &list, name, body),
        2 => put(rng, &list, name, body),
        3 if rng.bool() => delete(rng, &list, name),
        4 | 5 => write(rng, &list, name, content, body),
        _ => {
            let patch = account_patch(rng);
            write(rng, &list, name, JSON_PATCH, patch)
        }
    }
}

fn account_patch(rng: &mut Rng) -> Value {
    let version = pick(rng, &[VERSION, VERSION, VERSION, VERSION, "1"]);
    let mut operations =
        vec![json!({ "op": "test", "path": "/metadata/resourceVersion", "value": version })];
    let entry = json!({ "name": pick(rng, &["p", "q", "r"]) });
    let path = "/imagePullSecrets";
    match rng.u8(0..5) {
        0 | 1 => operations.push(json!({ "op": "add", "path": path, "value": [entry] })),
        2 => operations.push(json!({ "op": "remove", "path": format!("{path}/{}", rng.u8(0..2)) })),
        3 => {
            operations.push(json!({ "op": "remove", "path": format!("{path}/0") }));
            operations.push(json!({ "op": "add", "path": format!("{path}/-"), "value": entry }));
        }
        _ => operations.push(json!({ "op": "add", "path": format!("{path}/-"), "value": entry })),
    }
    Value::Array(operations)
}

fn lease(rng: &mut Rng, namespace: &str, name: &str) -> Operation {
    let list = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
    let mut body = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease" });
    let content = pick(rng, &[APPLY, MERGE, MERGE, STRATEGIC]);
    let choice = rng.u8(0..12);
    body["metadata"] = metadata(rng, name, choice > 4 && content != APPLY);
    if rng.u8(0..5) > 0 {
        body["spec"] = json!({
            "holderIdentity": pick(rng, &["r1", "r2", "r1", "r2", ""]),
            "leaseDurationSeconds": pick(rng, &[15, 15, 15, 30, 0]),
            "renewTime": format!("2027-01-15T08:00:0{}.000000Z", rng.u8(0..4)),
            "leaseTransitions": rng.u8(0..3),
        });
    } else if content != APPLY && choice > 4 {
        body["spec"] =
            json!({ "holderIdentity": null, "renewTime": null, "leaseDurationSeconds": null });
    }
    match choice {
        0 | 1 => create(rng, &list, name, body),
        2 | 3 => put(rng, &list, name, body),
        4 => delete(rng, &list, name),
        _ => write(rng, &list, name, content, body),
    }
}

fn event(rng: &mut Rng, namespace: &str, name: &str) -> Operation {
    let list = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
    let body = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": { "name": name },
        "eventTime": "2027-01-15T08:00:00.000000Z",
        "reportingController": "ecr-refresher", "reportingInstance": "pod-1",
        "action": "Refresh", "reason": pick(rng, &["Denied", "Failed"]), "type": "Warning",
        "note": "It failed.",
        "regarding": { "kind": "Secret", "namespace": namespace, "name": "one", "apiVersion": "v1" },
    });
    let count = rng.u8(2..5);
    let series = json!({ "series": {
        "count": count, "lastObservedTime": format!("2027-01-15T08:00:0{count}.000000Z") } });
    match rng.u8(0..5) {
        0 | 1 => create(rng, &list, name, body),
        2 => delete(rng, &list, name),
        _ => write(rng, &list, name, MERGE, series),
    }
}

fn list(rng: &mut Rng, namespace: &str) -> Operation {
    let path = match rng.u8(0..4) {
        0 => format!("/api/v1/namespaces/{namespace}/serviceaccounts"),
        1 => format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"),
        _ => format!("/api/v1/namespaces/{namespace}/secrets"),
    };
    let mut query = vec![format!("limit={}", pick(rng, &[1, 1, 2, 500]))];
    if rng.u8(0..3) == 0 {
        query.push("labelSelector=a%3Dx".to_owned());
    }
    if rng.u8(0..3) == 0 {
        query.push(
            pick(rng, &["fieldSelector=metadata.name%3Done", "fieldSelector=type!%3DOpaque"])
                .to_owned(),
        );
    }
    Operation { query: query.join("&"), object: String::new(), ..Operation::get(path) }
}

fn namespace_operation(rng: &mut Rng, namespace: &str) -> Operation {
    let list = "/api/v1/namespaces";
    let mut body = json!({ "apiVersion": "v1", "kind": "Namespace" });
    body["metadata"] = metadata(rng, namespace, false);
    match rng.u8(0..12) {
        0 | 1 => Operation::create_namespace(namespace),
        2 if rng.bool() => {
            let body = json!({ "apiVersion": "v1", "kind": "DeleteOptions" });
            let query = String::new();
            let write = write(rng, list, namespace, "application/json", body);
            Operation { method: "DELETE", query, ..write }
        }
        4 | 5 => write(rng, list, namespace, APPLY, body),
        6 => put(rng, list, namespace, body),
        7 => Operation::get(format!("{list}/{namespace}")),
        _ => write(rng, list, namespace, MERGE, body),
    }
}
