//! A copy, by the metadata of its Secret. The data is never read.

use std::{
    fmt,
    num::{NonZeroI64, NonZeroU64},
    sync::Arc,
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{
    CONTENT_HASH, EXPIRES_AT,
    observed::{metadata::Metadata, tracked::Versioned},
    release::{KEPT_BY, Release},
};

/// A Secret with the name of a pull Secret, as it was last observed in a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedCopy {
    /// Its resourceVersion as a number, which Kubernetes lets clients compare since 1.35; 0 if it is
    /// not a number.
    pub resource_version: u64,
    /// Its UID; `None` if that is not a UUID.
    pub uid: Option<Uid>,
    /// The owner.
    pub ownership: Ownership,
    /// The field manager of the client that has changed it last, other than a release. A pointer of 8
    /// bytes: nearly no copy has one.
    pub changed_by: Option<Arc<String>>,
}

/// The owner of a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// Another client: it is not written.
    Foreign,
    /// Another release: it is neither written nor deleted.
    AnotherRelease {
        /// The ID of that release. A pointer of 8 bytes.
        release: Arc<String>,
        /// The earliest expiry of its entries, by its annotation.
        expires_at: Option<Expiry>,
    },
    /// This release: it has our annotation, or an apply of ours and a tenant removed the annotation.
    Ours {
        /// The hash of its content, by its annotation.
        content: Option<ContentHash>,
        /// The earliest expiry of its entries, by its annotation.
        expires_at: Option<Expiry>,
        /// How many of its fields are as we applied them: the API server moves a field in
        /// `managedFields` to the client that changes it. `None` if it has no apply of ours, as after a
        /// restore from a backup or in a tenant's copy of a copy: it is written, but never deleted.
        owned_fields: Option<u16>,
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

/// The Secret that an apply changes, as it was observed: the API server refuses to write to another one
/// that has replaced it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// Its UID.
    pub uid: Uid,
    /// Its resourceVersion, to take fields over from other managers: the apply is forced, and the API
    /// server refuses it if anybody, such as another release, has changed the Secret since. Without it
    /// the apply is not forced, and the API server refuses it where another client owns a field.
    pub version: Option<u64>,
}

/// More fields are counted as so many.
const MOST_FIELDS: u64 = 0xff;

/// The content of a copy: the first 56 bits of a SHA-256 over all that is applied, and how many fields that
/// are. So a copy itself tells whether another client has changed it, whatever the config says by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentHash(NonZeroU64);

impl ContentHash {
    /// The first 64 bits of a digest, of which the last 8 make room for the number of `fields`.
    #[must_use]
    pub fn new(first: u64, fields: u16) -> Self {
        let bits = (first & !MOST_FIELDS) | MOST_FIELDS.min(fields.into());
        // One in 2⁵⁶ of no fields is 0.
        Self(NonZeroU64::new(bits).unwrap_or(NonZeroU64::MIN))
    }

    /// Whether so many are all the fields.
    pub(crate) fn has_fields(self, fields: u16) -> bool {
        self.0.get() & MOST_FIELDS == MOST_FIELDS.min(fields.into())
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
    /// Reads the metadata of a Secret, as this release sees it.
    #[must_use]
    pub fn new(metadata: &Metadata, release: &Release) -> Self {
        Self {
            resource_version: resource_version(&metadata.object),
            uid: metadata.object.uid.as_deref().and_then(Uid::parse),
            ownership: ownership(metadata, release),
            changed_by: metadata.other_managers.last().cloned().map(Arc::new),
        }
    }

    /// Whether this release owns it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self.ownership, Ownership::Ours { .. })
    }

    /// Whether this release owns it, and all its fields are as they were applied last.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        match self.ownership {
            Ownership::Ours { content: Some(content), owned_fields: Some(owned), .. } => {
                content.has_fields(owned)
            }
            _ => false,
        }
    }

    /// Whether it may be deleted once it is no longer wanted.
    #[must_use]
    pub fn is_deletable(&self) -> bool {
        matches!(self.ownership, Ownership::Ours { owned_fields: Some(_), .. })
    }

    /// The ID of the other release that keeps it.
    #[must_use]
    pub fn other_release(&self) -> Option<&Arc<String>> {
        match &self.ownership {
            Ownership::AnotherRelease { release, .. } => Some(release),
            Ownership::Foreign | Ownership::Ours { .. } => None,
        }
    }

    /// The earliest expiry of the entries of a copy of ours, by its annotation.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self.ownership {
            Ownership::Ours { expires_at, .. } => expires_at.map(Timestamp::from),
            Ownership::AnotherRelease { .. } | Ownership::Foreign => None,
        }
    }
}

/// The resourceVersion as a number; 0 if it is not a number.
#[must_use]
pub fn resource_version(metadata: &ObjectMeta) -> u64 {
    metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn ownership(metadata: &Metadata, release: &Release) -> Ownership {
    let annotation = |key| metadata.object.annotations.as_ref().and_then(|all| all.get(key));
    let expires_at = annotation(EXPIRES_AT).and_then(|text| text.parse::<Timestamp>().ok());
    let expires_at = expires_at.map(Expiry::from);
    let owned_fields = metadata.applied_by(release);
    let kept_by = annotation(KEPT_BY).and_then(|text| Release::parse(text));
    match kept_by {
        // Where both have applied it, the annotation tells who did last; but a tenant may have edited it.
        Some(other)
            if other != *release
                && (owned_fields.is_none() || metadata.applied_by(&other).is_some()) =>
        {
            Ownership::AnotherRelease { release: Arc::new(other.to_string()), expires_at }
        }
        None if owned_fields.is_none() => Ownership::Foreign,
        _ => Ownership::Ours {
            content: annotation(CONTENT_HASH).and_then(|text| ContentHash::from_hex(text)),
            expires_at,
            owned_fields,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn observed(metadata: Value) -> ObservedCopy {
        ObservedCopy::new(&serde_json::from_value(metadata).unwrap(), &ours())
    }

    fn ours() -> Release {
        Release::new("home", "ours")
    }

    fn other() -> Release {
        Release::new("home", "other")
    }

    fn applied(release: &Release) -> Value {
        managed(release.manager(), "Apply", &applied_fields())
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
            "annotations": {
                KEPT_BY: ours().id(),
                EXPIRES_AT: "2026-11-23T12:00:00Z",
                CONTENT_HASH: "000000000000ff05",
            },
            "managedFields": [applied(&ours())],
        }));
        assert_eq!(observed.resource_version, 42);
        let expected = Ownership::Ours {
            content: Some(ContentHash::new(0xff42, 5)),
            expires_at: Some("2026-11-23T12:00:00Z".parse::<Timestamp>().unwrap().into()),
            owned_fields: Some(5),
        };
        assert_eq!(observed.ownership, expected);
        assert!(observed.is_deletable() && observed.is_intact());
    }

    #[test]
    fn more_than_254_fields_are_not_told_apart() {
        let content = ContentHash::new(u64::MAX, 300);
        assert!(content.has_fields(300) && content.has_fields(255) && !content.has_fields(254));
    }

    #[test]
    fn a_copy_is_ours_by_its_annotation_or_by_our_apply_and_deleted_only_by_the_latter() {
        for (annotation, applies, is_ours, is_deletable) in [
            (Some("home/ours"), vec![applied(&ours())], true, true),
            // A tenant removed the annotation, or changed it.
            (None, vec![applied(&ours())], true, true),
            (Some("home/other"), vec![applied(&ours())], true, true),
            (Some("nonsense"), vec![applied(&ours())], true, true),
            // A restore from a backup, or a tenant's copy of a copy.
            (Some("home/ours"), vec![], true, false),
            (Some("home/ours"), vec![managed("velero", "Update", &applied_fields())], true, false),
            // Another release took it over, or was the first.
            (Some("home/other"), vec![applied(&ours()), applied(&other())], false, false),
            (Some("home/other"), vec![applied(&other())], false, false),
            (Some("home/other"), vec![], false, false),
            (None, vec![applied(&other())], false, false),
            (Some("nonsense"), vec![], false, false),
        ] {
            let metadata = json!({
                "annotations": annotation.map(|id| json!({ KEPT_BY: id })),
                "managedFields": applies,
            });
            let observed = observed(metadata.clone());
            assert_eq!(
                (observed.is_ours(), observed.is_deletable()),
                (is_ours, is_deletable),
                "{metadata}"
            );
            let is_others = !is_ours && annotation == Some("home/other");
            assert_eq!(observed.other_release().is_some(), is_others, "{metadata}");
        }
    }

    #[test]
    fn a_secret_of_another_client_is_foreign() {
        for metadata in [
            json!({}),
            json!({"labels": {"app.kubernetes.io/managed-by": "ecr-refresher"}}),
            json!({"managedFields": [managed("helm", "Apply", &applied_fields())]}),
            json!({"managedFields": [managed(ours().manager(), "Update", &applied_fields())]}),
        ] {
            assert_eq!(observed(metadata.clone()).ownership, Ownership::Foreign, "{metadata}");
        }
    }

    #[test]
    fn the_client_that_has_changed_it_last_is_named() {
        let by = |managed: Value| observed(json!({ "managedFields": managed })).changed_by;
        let edit = managed("kubectl-edit", "Update", &json!({}));
        assert_eq!(
            by(json!([edit, applied(&ours())])).as_deref().map(String::as_str),
            Some("kubectl-edit")
        );
        assert_eq!(by(json!([applied(&ours()), applied(&other())])), None);
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
            "annotations": {KEPT_BY: ours().id(), EXPIRES_AT: "soon", CONTENT_HASH: "xyz"},
        }));
        let nothing = Ownership::Ours { content: None, expires_at: None, owned_fields: None };
        assert_eq!(observed.ownership, nothing);
    }
}
