//! Patches the `imagePullSecrets` of a ServiceAccount.

use ecr_refresher_core::planted::{Bug, is_planted};
use http::{Request, header};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Client, client::Body};
use serde_json::{Value, json};

use super::{invalid_request, send, unreadable};
use crate::{
    job::{
        AccountPatch, Job,
        failure::{WriteFailure, WriteReason},
    },
    observed::account::ObservedAccount,
    release::Release,
};

/// Adds and removes names, if the ServiceAccount has not changed since it was observed.
///
/// By JSON Patch: the list is atomic (`listType=atomic` in the API), so that an apply or a merge
/// would remove the names of others.
pub(super) async fn patch(
    client: &Client,
    release: &Release,
    job: &Job,
    patch: &AccountPatch,
) -> Result<ObservedAccount, WriteFailure> {
    let answer = send(client, request(release, job, patch)?).await.map_err(|failure| {
        match failure.reason {
            // Here, 422 means that the test in the patch has failed.
            WriteReason::Invalid => WriteFailure { reason: WriteReason::Changed, ..failure },
            _ => failure,
        }
    })?;
    let account: ServiceAccount = serde_json::from_slice(&answer).map_err(unreadable)?;
    Ok(ObservedAccount::new(&account, release))
}

fn request(
    release: &Release,
    job: &Job,
    patch: &AccountPatch,
) -> Result<Request<Body>, WriteFailure> {
    let Job { namespace, name, .. } = job;
    let manager = release.manager();
    Request::patch(format!(
        "/api/v1/namespaces/{namespace}/serviceaccounts/{name}?fieldManager={manager}"
    ))
    .header(header::ACCEPT, "application/json")
    .header(header::CONTENT_TYPE, "application/json-patch+json")
    .body(Body::from(operations(patch).to_string().into_bytes()))
    .map_err(invalid_request)
}

fn operations(patch: &AccountPatch) -> Value {
    let entry = |name: &String| json!({ "name": name });
    let mut operations = vec![json!({
        "op": "test",
        "path": "/metadata/resourceVersion",
        "value": patch.resource_version.to_string(),
    })];
    // In descending order, so that the other positions stay.
    for position in &patch.removed {
        let entry = format!("/imagePullSecrets/{position}");
        operations.push(json!({ "op": "remove", "path": entry }));
    }
    if patch.has_list && !is_planted(Bug::AccountNamesDropped) {
        for name in &patch.added {
            let end = "/imagePullSecrets/-";
            operations.push(json!({ "op": "add", "path": end, "value": entry(name) }));
        }
    } else if !patch.added.is_empty() {
        let names: Vec<_> = patch.added.iter().map(entry).collect();
        operations.push(json!({ "op": "add", "path": "/imagePullSecrets", "value": names }));
    }
    Value::Array(operations)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(has_list: bool, removed: &[usize], added: &[&str]) -> Value {
        operations(&AccountPatch {
            resource_version: 42,
            has_list,
            removed: removed.to_vec(),
            added: added.iter().map(|&name| name.to_owned()).collect(),
            names: 1,
            is_repair: false,
            changed_by: None,
        })
    }

    fn test() -> Value {
        json!({ "op": "test", "path": "/metadata/resourceVersion", "value": "42" })
    }

    #[test]
    fn a_name_is_appended_to_the_list() {
        let add = json!({ "op": "add", "path": "/imagePullSecrets/-", "value": { "name": "a" } });
        assert_eq!(patch(true, &[], &["a"]), json!([test(), add]));
    }

    #[test]
    fn a_missing_list_is_created() {
        let names = json!([{ "name": "a" }, { "name": "b" }]);
        let add = json!({ "op": "add", "path": "/imagePullSecrets", "value": names });
        assert_eq!(patch(false, &[], &["a", "b"]), json!([test(), add]));
    }

    #[test]
    fn names_are_removed_by_position_in_descending_order() {
        let remove = |path| json!({ "op": "remove", "path": path });
        let expected =
            json!([test(), remove("/imagePullSecrets/2"), remove("/imagePullSecrets/0")]);
        assert_eq!(patch(true, &[2, 0], &[]), expected);
    }
}
