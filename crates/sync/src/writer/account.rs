//! Changes the `imagePullSecrets` of a ServiceAccount.

use ecr_refresher_core::planted::{Bug, is_planted};
use http::{Request, header};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Client, client::Body};
use serde_json::{Value, json};

use super::{failure, in_time, no_request, send};
use crate::{
    MANAGER,
    index::accounts::Link,
    job::failure::{WriteFailure, WriteReason},
    observed::account::ObservedAccount,
};

/// Adds and takes away names, if the ServiceAccount is still as it was.
///
/// By JSON Patch: the list is atomic (`listType=atomic` in the API), so that an apply or a merge
/// would drop the names of others.
pub(crate) async fn link(client: &Client, link: &Link) -> Result<ObservedAccount, WriteFailure> {
    in_time(async {
        let answer =
            send(client, request(link)?).await.map_err(|refusal| match refusal.reason {
                // What 422 means here: the test in the patch has failed.
                WriteReason::Invalid => WriteFailure { reason: WriteReason::Changed, ..refusal },
                _ => refusal,
            })?;
        let account: ServiceAccount = serde_json::from_slice(&answer).map_err(|_| {
            let message = "the API server's answer is no ServiceAccount".to_owned();
            failure(WriteReason::ServerError, message)
        })?;
        Ok(ObservedAccount::new(&account))
    })
    .await
}

fn request(link: &Link) -> Result<Request<Body>, WriteFailure> {
    let Link { namespace, account, .. } = link;
    Request::patch(format!(
        "/api/v1/namespaces/{namespace}/serviceaccounts/{account}?fieldManager={MANAGER}"
    ))
    .header(header::ACCEPT, "application/json")
    .header(header::CONTENT_TYPE, "application/json-patch+json")
    .body(Body::from(patch(link).to_string().into_bytes()))
    .map_err(no_request)
}

fn patch(link: &Link) -> Value {
    let entry = |name: &String| json!({ "name": name });
    let mut operations = vec![json!({
        "op": "test",
        "path": "/metadata/resourceVersion",
        "value": link.resource_version.to_string(),
    })];
    // The last first, so that the places of the others stay.
    for place in &link.removed {
        let path = format!("/imagePullSecrets/{place}");
        operations.push(json!({ "op": "remove", "path": path }));
    }
    if link.has_list && !is_planted(Bug::AccountNamesDropped) {
        for name in &link.added {
            let path = "/imagePullSecrets/-";
            operations.push(json!({ "op": "add", "path": path, "value": entry(name) }));
        }
    } else if !link.added.is_empty() {
        let names: Vec<_> = link.added.iter().map(entry).collect();
        operations.push(json!({ "op": "add", "path": "/imagePullSecrets", "value": names }));
    }
    Value::Array(operations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::accounts::AccountKey;

    fn link(has_list: bool, removed: &[usize], added: &[&str]) -> Link {
        Link {
            key: AccountKey::default(),
            namespace: "team-a".into(),
            account: "default".to_owned(),
            resource_version: 42,
            has_list,
            removed: removed.to_vec(),
            added: added.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    fn test() -> Value {
        json!({ "op": "test", "path": "/metadata/resourceVersion", "value": "42" })
    }

    #[test]
    fn a_name_is_added_at_the_end_of_the_list() {
        let add = json!({ "op": "add", "path": "/imagePullSecrets/-", "value": { "name": "a" } });
        assert_eq!(patch(&link(true, &[], &["a"])), json!([test(), add]));
    }

    #[test]
    fn a_list_is_made_where_there_is_none() {
        let names = json!([{ "name": "a" }, { "name": "b" }]);
        let add = json!({ "op": "add", "path": "/imagePullSecrets", "value": names });
        assert_eq!(patch(&link(false, &[], &["a", "b"])), json!([test(), add]));
    }

    #[test]
    fn names_are_taken_away_by_their_places_from_the_end_on() {
        let remove = |place| json!({ "op": "remove", "path": place });
        let expected =
            json!([test(), remove("/imagePullSecrets/2"), remove("/imagePullSecrets/0")]);
        assert_eq!(patch(&link(true, &[2, 0], &[])), expected);
    }
}
