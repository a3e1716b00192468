//! Applies a copy, and deletes one.

use ecr_refresher_core::planted::{Bug, is_planted};
use http::{Request, header};
use k8s_openapi::api::core::v1::Secret;
use kube::{Client, client::Body};
use serde_json::json;

use super::{failure, invalid_request, send, unreadable};
use crate::{
    desired::size::{self, Size},
    job::{
        Apply, Deletion, Job,
        failure::{WriteFailure, WriteReason},
    },
    observed::{copy::ObservedCopy, metadata::MetadataOnly},
    release::Release,
};

/// The answer is the copy's metadata and never the Secret, so that no secret can leak.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Applies a copy.
///
/// The request is built by hand: all copies share one rendered body, which the client would render
/// again for each.
pub(super) async fn apply(
    client: &Client,
    release: &Release,
    job: &Job,
    apply: &Apply,
) -> Result<ObservedCopy, WriteFailure> {
    // The API server would refuse it, in each namespace.
    if let Some(excess) = size::excess(&apply.manifest) {
        return Err(failure(WriteReason::TooLarge, excess));
    }
    let answer = send(client, apply_request(release, job, apply)?).await;
    let answer = answer.map_err(|failure| match failure.reason {
        WriteReason::TooLarge => explain_size(failure, apply),
        _ => failure,
    })?;
    let copy: MetadataOnly<Secret> = serde_json::from_slice(&answer).map_err(unreadable)?;
    Ok(ObservedCopy::new(&copy.metadata, release))
}

/// Deletes a copy, if it has not changed since it was observed.
pub(super) async fn delete(
    client: &Client,
    job: &Job,
    deletion: Deletion,
) -> Result<(), WriteFailure> {
    match send(client, delete_request(job, deletion)?).await {
        // It is gone already.
        Err(failure) if failure.reason == WriteReason::NamespaceGone => Ok(()),
        answer => answer.map(drop),
    }
}

/// The document fits into a Secret, but not together with what other clients have put there.
fn explain_size(mut failure: WriteFailure, apply: &Apply) -> WriteFailure {
    failure.message = format!(
        "{failure}; the document has {}: remove data and annotations of other clients from this \
         Secret, or split the pull Secret into several with fewer hosts each",
        Size(apply.manifest.data_size)
    );
    failure
}

fn apply_request(
    release: &Release,
    job: &Job,
    apply: &Apply,
) -> Result<Request<Body>, WriteFailure> {
    let Job { namespace, name, .. } = job;
    let takes_over = apply.replaces.is_some_and(|replaced| replaced.version.is_some());
    let force = if takes_over || is_planted(Bug::AlwaysForced) { "&force=true" } else { "" };
    let manager = release.manager();
    Request::patch(format!(
        "/api/v1/namespaces/{namespace}/secrets/{name}?fieldManager={manager}{force}"
    ))
    .header(header::ACCEPT, METADATA_ONLY)
    .header(header::CONTENT_TYPE, "application/apply-patch+yaml")
    .body(Body::from(apply.manifest.body_for(apply.replaces.as_ref())))
    .map_err(invalid_request)
}

fn delete_request(job: &Job, deletion: Deletion) -> Result<Request<Body>, WriteFailure> {
    let Job { namespace, name, .. } = job;
    let Deletion { uid, resource_version } = deletion;
    let options = json!({
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": { "uid": uid.to_string(), "resourceVersion": resource_version.to_string() },
    });
    Request::delete(format!("/api/v1/namespaces/{namespace}/secrets/{name}"))
        .header(header::ACCEPT, METADATA_ONLY)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(options.to_string().into_bytes()))
        .map_err(invalid_request)
}
