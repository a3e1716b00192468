//! Writes a copy, by server-side apply, and deletes one.

use ecr_refresher_core::planted::{Bug, is_planted};
use http::{Request, header};
use k8s_openapi::api::core::v1::Secret;
use kube::{Client, client::Body};
use serde_json::json;

use super::{failure, in_time, no_request, send};
use crate::{
    MANAGER,
    index::{Write, event::Outcome, prune::Deletion},
    job::failure::{WriteFailure, WriteReason},
    observed::{copy::ObservedCopy, metadata::MetadataOnly},
};

/// The reply is the copy's metadata: never the Secret, so that there is nothing to leak.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Writes one copy. `secret` is the pull Secret's name.
///
/// The request is made by hand, because all copies share one rendered body and the client would
/// render it anew for each.
pub(crate) async fn write(client: &Client, secret: &str, write: &Write) -> Outcome {
    match in_time(apply(client, secret, write)).await {
        Ok(observed) => Outcome::Written(observed),
        Err(failure) => Outcome::Failed(failure),
    }
}

/// Deletes one copy, if it is still what and as it was. Returns why it is there still, if it is.
pub(crate) async fn delete(
    client: &Client,
    secret: &str,
    deletion: &Deletion,
) -> Option<WriteFailure> {
    let deleting = async {
        match send(client, deletion_request(secret, deletion)?).await {
            // It is gone already.
            Err(failure) if failure.reason == WriteReason::NamespaceGone => Ok(()),
            answer => answer.map(drop),
        }
    };
    in_time(deleting).await.err()
}

async fn apply(client: &Client, secret: &str, write: &Write) -> Result<ObservedCopy, WriteFailure> {
    let bytes = send(client, request(secret, write)?).await?;
    let copy: MetadataOnly<Secret> = serde_json::from_slice(&bytes).map_err(|_| {
        failure(WriteReason::ServerError, "the API server's answer is no metadata".to_owned())
    })?;
    Ok(ObservedCopy::new(&copy.metadata))
}

fn request(secret: &str, write: &Write) -> Result<Request<Body>, WriteFailure> {
    let namespace = &write.namespace;
    let is_forced = write.replaces.is_some() || is_planted(Bug::AlwaysForced);
    let force = if is_forced { "&force=true" } else { "" };
    Request::patch(format!(
        "/api/v1/namespaces/{namespace}/secrets/{secret}?fieldManager={MANAGER}{force}"
    ))
    .header(header::ACCEPT, METADATA_ONLY)
    .header(header::CONTENT_TYPE, "application/apply-patch+yaml")
    .body(Body::from(write.manifest.body_for(write.replaces)))
    .map_err(no_request)
}

fn deletion_request(secret: &str, deletion: &Deletion) -> Result<Request<Body>, WriteFailure> {
    let Deletion { namespace, uid, resource_version, .. } = deletion;
    let options = json!({
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": { "uid": uid.to_string(), "resourceVersion": resource_version.to_string() },
    });
    Request::delete(format!("/api/v1/namespaces/{namespace}/secrets/{secret}"))
        .header(header::ACCEPT, METADATA_ONLY)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(options.to_string().into_bytes()))
        .map_err(no_request)
}
