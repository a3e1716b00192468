//! A copy, by the metadata of its Secret. The data is never read.

use std::{
    fmt,
    num::{NonZeroI64, NonZeroU64},
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{
    CONTENT_HASH, EXPIRES_AT, MANAGED_BY, MANAGER,
    observed::{metadata::Metadata, tracked::Versioned},
};

/// A Secret with the name of a pull Secret, as it was last observed in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObservedCopy {
    /// Its resourceVersion as a number, which Kubernetes lets clients compare since 1.35; 0 if it is
    /// not a number.
    pub resource_version: u64,
    /// Its UID; `None` if that is not a UUID.
    pub uid: Option<Uid>,
    /// The owner.
    pub ownership: Ownership,
}

/// The owner of a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// Another client: it is not written.
    Foreign,
    /// This program: it has our label, or it has an apply of ours and a tenant removed the label.
    Ours {
        /// Whether it has our label. Without it, it is not deleted.
        labelled: bool,
        /// The hash of its content, by its annotation.
        content: Option<ContentHash>,
        /// The earliest expiry of its entries, by its annotation.
        expires_at: Option<Expiry>,
        /// How many of its fields are as we applied them: the API server moves a field in
        /// `managedFields` to the client that changes it.
        owned_fields: u16,
    },
}

/// A UID of Kubernetes: its first half, which no UUID of a version leaves empty, and its second. So it
/// takes 16 bytes also as an `Option`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uid(NonZeroU64, u64);

impl Uid {
    /// Parses a UUID in its usual form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.replace('-', "");
        let half = |digits: Option<&str>| u64::from_str_radix(digits?, 16).ok();
        let uid = Self(NonZeroU64::new(half(digits.get(..16))?)?, half(digits.get(16..))?);
        // A UID that is formatted differently could not be used in a precondition.
        (uid.to_string() == text).then_some(uid)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:016x}{:016x}", self.0, self.1);
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        formatter.write_str(&parts.join("-"))
    }
}

/// The content of a copy: the first 64 bits of a SHA-256 over all that is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentHash(NonZeroU64);

impl ContentHash {
    /// The first 64 bits of a digest.
    #[must_use]
    pub fn new(first: u64) -> Self {
        // One in 2⁶⁴ is 0.
        Self(NonZeroU64::new(first).unwrap_or(NonZeroU64::MIN))
    }

    /// The annotation's value.
    pub(crate) fn to_hex(self) -> String {
        format!("{:016x}", self.0)
    }

    /// Enough of it to distinguish the contents of one copy; never 0.
    pub(crate) fn short(self) -> u32 {
        let bits = self.0.get();
        u32::try_from(bits >> 32 | 1).unwrap_or(u32::MAX)
    }

    fn from_hex(text: &str) -> Option<Self> {
        u64::from_str_radix(text, 16).ok().and_then(NonZeroU64::new).map(Self)
    }
}

/// When a copy expires, in microseconds since the Unix epoch: 8 bytes also as an `Option`, where that
/// of a `Timestamp` takes 24.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry(NonZeroI64);

impl From<Timestamp> for Expiry {
    fn from(at: Timestamp) -> Self {
        Self(NonZeroI64::new(at.as_microsecond()).unwrap_or(NonZeroI64::MIN))
    }
}

impl From<Expiry> for Timestamp {
    fn from(Expiry(micros): Expiry) -> Self {
        Self::from_microsecond(micros.get()).unwrap_or(Self::UNIX_EPOCH)
    }
}

impl Versioned for ObservedCopy {
    fn version(&self) -> u64 {
        self.resource_version
    }
}

impl ObservedCopy {
    /// Reads the metadata of a Secret.
    #[must_use]
    pub fn new(metadata: &Metadata) -> Self {
        Self {
            resource_version: resource_version(&metadata.object),
            uid: metadata.object.uid.as_deref().and_then(Uid::parse),
            ownership: ownership(metadata),
        }
    }

    /// Whether this program owns it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self.ownership, Ownership::Ours { .. })
    }

    /// Whether it may be deleted once it is no longer wanted.
    #[must_use]
    pub fn is_deletable(&self) -> bool {
        matches!(self.ownership, Ownership::Ours { labelled: true, .. })
    }

    /// The earliest expiry of its entries, by its annotation.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self.ownership {
            Ownership::Ours { expires_at, .. } => expires_at.map(Timestamp::from),
            Ownership::Foreign => None,
        }
    }
}

/// The resourceVersion as a number; 0 if it is not a number.
#[must_use]
pub fn resource_version(metadata: &ObjectMeta) -> u64 {
    metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn ownership(Metadata { object, applied, .. }: &Metadata) -> Ownership {
    let label = object.labels.as_ref().and_then(|labels| labels.get(MANAGED_BY));
    let labelled = label.is_some_and(|value| value == MANAGER);
    if !labelled && applied.is_none() {
        return Ownership::Foreign;
    }
    let annotation = |key| object.annotations.as_ref().and_then(|all| all.get(key));
    Ownership::Ours {
        labelled,
        content: annotation(CONTENT_HASH).and_then(|text| ContentHash::from_hex(text)),
        expires_at: annotation(EXPIRES_AT)
            .and_then(|text| text.parse().ok())
            .map(|at: Timestamp| at.into()),
        owned_fields: applied.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn observed(metadata: Value) -> ObservedCopy {
        ObservedCopy::new(&serde_json::from_value(metadata).unwrap())
    }

    fn managed(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1",
               "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    fn applied_fields() -> Value {
        json!({
            "f:data": {"f:.dockerconfigjson": {}},
            "f:metadata": {
                "f:annotations": {"f:ecr-refresher.io/content-hash": {}, "f:ecr-refresher.io/expires-at": {}},
                "f:labels": {"f:app.kubernetes.io/managed-by": {}}
            },
            "f:type": {}
        })
    }

    #[test]
    fn a_copy_of_ours_shows_its_content_its_expiry_and_its_unchanged_fields() {
        let observed = observed(json!({
            "resourceVersion": "42",
            "labels": {MANAGED_BY: MANAGER},
            "annotations": {
                EXPIRES_AT: "2026-11-23T12:00:00Z",
                CONTENT_HASH: "00000000000000ff",
            },
            "managedFields": [managed(MANAGER, "Apply", &applied_fields())],
        }));
        assert_eq!(observed.resource_version, 42);
        let expected = Ownership::Ours {
            labelled: true,
            content: Some(ContentHash::new(255)),
            expires_at: Some("2026-11-23T12:00:00Z".parse::<Timestamp>().unwrap().into()),
            owned_fields: 5,
        };
        assert_eq!(observed.ownership, expected);
    }

    #[test]
    fn a_copy_whose_label_was_stripped_is_still_ours() {
        let mut fields = applied_fields();
        fields["f:metadata"].as_object_mut().unwrap().remove("f:labels");
        let observed = observed(json!({"managedFields": [managed(MANAGER, "Apply", &fields)]}));
        assert!(matches!(
            observed.ownership,
            Ownership::Ours { labelled: false, owned_fields: 4, .. }
        ));
    }

    #[test]
    fn a_secret_of_another_client_is_foreign() {
        for metadata in [
            json!({}),
            json!({"labels": {MANAGED_BY: "helm"}}),
            json!({"managedFields": [managed("helm", "Apply", &applied_fields())]}),
            json!({"managedFields": [managed(MANAGER, "Update", &applied_fields())]}),
        ] {
            assert_eq!(observed(metadata.clone()).ownership, Ownership::Foreign, "{metadata}");
        }
    }

    #[test]
    fn a_uid_is_written_as_it_was_read() {
        let text = "0a1b2c3d-0000-4e5f-8a9b-00000000000f";
        assert_eq!(Uid::parse(text).unwrap().to_string(), text);
        for text in
            ["", "x", "0a1b2c3d00004e5f8a9b00000000000f", "0A1B2C3D-0000-4E5F-8A9B-00000000000F"]
        {
            assert_eq!(Uid::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_parts_of_a_copy_are_no_larger_as_options() {
        assert_eq!(size_of::<Option<Uid>>(), 16);
        assert_eq!(size_of::<Option<ContentHash>>(), 8);
        assert_eq!(size_of::<Option<Expiry>>(), 8);
    }

    #[test]
    fn nonsense_in_annotations_is_as_good_as_nothing() {
        let observed = observed(json!({
            "labels": {MANAGED_BY: MANAGER},
            "annotations": {EXPIRES_AT: "soon", CONTENT_HASH: "xyz"},
        }));
        let nothing =
            Ownership::Ours { labelled: true, content: None, expires_at: None, owned_fields: 0 };
        assert_eq!(observed.ownership, nothing);
    }
}
