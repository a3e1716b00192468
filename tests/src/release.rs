//! The identity of a release, computed as the docs say, and not by the code under test.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The field manager of the release with this ID (`NAMESPACE/NAME`).
#[must_use]
pub fn field_manager(id: &str) -> String {
    let digest = Sha256::digest(id);
    let [a, b, c, d] = std::array::from_fn(|index| digest[index]);
    format!("ecr-refresher-{a:02x}{b:02x}{c:02x}{d:02x}")
}

/// A copy as the release with this ID applies it.
#[must_use]
pub fn copy(id: &str, name: &str, document: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "labels": {
                "app.kubernetes.io/managed-by": "ecr-refresher",
                "ecr-refresher.io/release": id.replace('/', "."),
            },
            "annotations": { "ecr-refresher.io/kept-by": id },
        },
        "type": "kubernetes.io/dockerconfigjson",
        "data": { ".dockerconfigjson": document },
    })
}
