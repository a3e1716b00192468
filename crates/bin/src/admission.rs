//! Verifies the admission policy of the chart: the API server must refuse a Secret that this program
//! never writes. RBAC alone allows it, and would make a stolen token cluster-admin.

use std::time::Duration;

use ecr_refresher_core::ErrorChain;
use ecr_refresher_sync::{job::failure::is_denial, release::Release};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::home::Home;

/// A namespace of every cluster. A token of a ServiceAccount in it is worth stealing.
const SYSTEM: &str = "kube-system";
/// How long the API server may take for one request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The remedy where a forbidden write is accepted.
pub(crate) const REMEDY: &str =
    "apply the admission policies of the chart (`admissionPolicy.enabled: true`)";

/// The result of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state", content = "detail")]
pub(crate) enum Verification {
    /// The policy refuses the forbidden writes.
    Enforced,
    /// The API server accepts a forbidden write in this namespace.
    Missing(String),
    /// The API server gave another answer.
    Unknown(String),
}

/// Tries to write what the policy forbids under the name of a pull Secret, at home and in `kube-system`, as
/// a dry run: nothing is written.
pub(crate) async fn verify(client: &Client, home: &Home, secret: &str) -> Verification {
    let mut result = Verification::Enforced;
    for namespace in [&home.namespace, SYSTEM] {
        match try_forbidden_write(client, &home.release(), namespace, secret).await {
            Verification::Enforced => {}
            Verification::Missing(namespace) => return Verification::Missing(namespace),
            unknown @ Verification::Unknown(_) => result = unknown,
        }
    }
    result
}

async fn try_forbidden_write(
    client: &Client,
    release: &Release,
    namespace: &str,
    secret: &str,
) -> Verification {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let apply = PatchParams::apply(release.manager()).force().dry_run();
    for body in forbidden(secret) {
        let patch = Patch::Apply(&body);
        match timeout(TIMEOUT, api.patch_metadata(secret, &apply, &patch)).await {
            Ok(Ok(_)) => return Verification::Missing(namespace.to_owned()),
            Ok(Err(kube::Error::Api(status))) if is_denial(&status.message) => {
                return Verification::Enforced;
            }
            // The type of a Secret that exists cannot be changed, which says nothing of the policy.
            Ok(Err(kube::Error::Api(status))) if status.code == 422 => {}
            Ok(Err(error)) => return Verification::Unknown(ErrorChain(&error).to_string()),
            Err(_) => {
                return Verification::Unknown("the API server does not answer".to_owned());
            }
        }
    }
    Verification::Unknown(format!("the Secret {secret} in {namespace} has another type"))
}

/// Secrets that this program never writes: of another type, and with a label that the config cannot have.
fn forbidden(name: &str) -> [Value; 2] {
    let secret = |kind: &str, metadata: Value, data: Value| json!({ "apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata, "data": data });
    [
        secret("Opaque", json!({ "name": name }), json!({})),
        secret(
            "kubernetes.io/dockerconfigjson",
            json!({ "name": name, "labels": { "ecr-refresher.io/forbidden": "" } }),
            json!({ ".dockerconfigjson": "e30=" }),
        ),
    ]
}
