//! The content of a copy.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use ecr_refresher_tests::release::field_manager;
use serde_json::Value;

use crate::replica::{HOME, NAME};

/// The entries of a Secret's docker config: the decoded `auth` of each host.
#[must_use]
pub fn entries(secret: &Value) -> BTreeMap<String, String> {
    let data = secret["data"][".dockerconfigjson"].as_str().unwrap_or_default();
    let config: Value =
        serde_json::from_slice(&STANDARD.decode(data).unwrap_or_default()).unwrap_or_default();
    let auths = config["auths"].as_object().into_iter().flatten();
    auths.map(|(host, entry)| (host.clone(), decode(&entry["auth"]))).collect()
}

fn decode(auth: &Value) -> String {
    let bytes = STANDARD.decode(auth.as_str().unwrap_or_default()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The password of an entry of ECR.
#[must_use]
pub fn password(entry: &str) -> Option<&str> {
    entry.strip_prefix("AWS:")
}

/// The number of the token of an entry of ECR: a later token has a higher one.
#[must_use]
pub fn number(entry: &str) -> Option<u64> {
    password(entry)?.split('-').nth(1)?.parse().ok()
}

/// The `auth` values in the token cache, decoded.
#[must_use]
pub fn cached(secret: &Value) -> Vec<String> {
    let text = STANDARD.decode(secret["data"]["tokens.json"].as_str().unwrap_or_default());
    let cache: Value = serde_json::from_slice(&text.unwrap_or_default()).unwrap_or_default();
    let mut found = Vec::new();
    for token in cache["tokens"].as_array().into_iter().flatten() {
        found.push(decode(&token["auth"]));
        found.extend(token["entries"].as_object().into_iter().flatten().map(|it| decode(it.1)));
    }
    found
}

/// The ID of the product's release.
#[must_use]
pub fn release() -> String {
    format!("{HOME}/{NAME}")
}

/// Whether the product keeps a Secret.
#[must_use]
pub fn is_ours(secret: &Value) -> bool {
    is_kept_by(secret, &release())
}

/// Whether the release with this ID keeps a Secret, as the docs say.
#[must_use]
pub fn is_kept_by(secret: &Value, id: &str) -> bool {
    match secret["metadata"]["annotations"]["ecr-refresher.io/kept-by"].as_str() {
        Some(kept_by) if kept_by == id => true,
        // It was taken over, or its annotation was edited.
        Some(other) if other.contains('/') => {
            is_applied_by(secret, id) && !is_applied_by(secret, other)
        }
        _ => is_applied_by(secret, id),
    }
}

/// Whether the API server has recorded an apply of a Secret by the release with this ID.
#[must_use]
pub fn is_applied_by(secret: &Value, id: &str) -> bool {
    let manager = field_manager(id);
    let mut managers = secret["metadata"]["managedFields"].as_array().into_iter().flatten();
    managers.any(|it| it["manager"] == manager.as_str() && it["operation"] == "Apply")
}
