//! The relevant metadata of an object. `managedFields` are most of it, and are counted while they are
//! parsed: thousands of objects are listed at the start.

use std::{borrow::Cow, collections::BTreeMap, fmt, marker::PhantomData};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::release::Release;

/// An object of the kind `K`, of which only the metadata is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(bound = "")]
pub(crate) struct MetadataOnly<K> {
    pub(crate) metadata: Metadata,
    #[serde(skip)]
    kind: PhantomData<fn() -> K>,
}

/// The metadata of an object.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Wire")]
pub struct Metadata {
    /// Without `managedFields` and irrelevant fields.
    pub(crate) object: ObjectMeta,
    /// The applies of releases.
    applies: Vec<Applied>,
    /// The other field managers, with repetitions; the last is the one that has changed it last.
    pub(crate) other_managers: Vec<String>,
}

/// The fields that a release has applied.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Applied {
    manager: String,
    fields: u16,
}

impl Metadata {
    /// How many of its fields are as this release applied them: the API server moves a field to the client
    /// that changes it. `None` if there is no apply of this release.
    pub(crate) fn applied_by(&self, release: &Release) -> Option<u16> {
        let applied = self.applies.iter().find(|applied| applied.manager == release.manager())?;
        Some(applied.fields)
    }
}

/// The metadata on the wire.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    managed_fields: Option<ManagedFields>,
}

impl From<Wire> for Metadata {
    fn from(wire: Wire) -> Self {
        let object = ObjectMeta {
            name: wire.name,
            namespace: wire.namespace,
            uid: wire.uid,
            resource_version: wire.resource_version,
            deletion_timestamp: wire.deletion_timestamp,
            labels: wire.labels,
            annotations: wire.annotations,
            ..ObjectMeta::default()
        };
        let ManagedFields { applies, mut others } = wire.managed_fields.unwrap_or_default();
        // RFC 3339 in UTC and whole seconds, as the API server writes it, has the order of the times.
        others.sort_by(|(one, _), (other, _)| one.cmp(other));
        let other_managers = others.into_iter().map(|(_, manager)| manager).collect();
        Self { object, applies, other_managers }
    }
}

impl<K: Resource> Resource for MetadataOnly<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn metadata_api() -> bool {
        true
    }

    fn kind(of: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &Self::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &Self::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata.object
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata.object
    }
}

/// The `managedFields` of an object.
#[derive(Default)]
struct ManagedFields {
    applies: Vec<Applied>,
    /// When each has changed the object, and its name.
    others: Vec<(String, String)>,
}

/// One of them.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    manager: Option<Cow<'a, str>>,
    #[serde(borrow)]
    operation: Option<Cow<'a, str>>,
    #[serde(borrow)]
    subresource: Option<Cow<'a, str>>,
    #[serde(borrow)]
    time: Option<Cow<'a, str>>,
    #[serde(rename = "fieldsV1", default)]
    fields: Fields,
}

impl Entry<'_> {
    /// Whether it is what the applies of a release own.
    fn is_of_release(&self) -> bool {
        self.manager.as_deref().is_some_and(Release::is_manager)
            && self.operation.as_deref() == Some("Apply")
            && self.subresource.as_deref().unwrap_or_default().is_empty()
    }
}

impl<'de> Deserialize<'de> for ManagedFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = ManagedFields;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("managedFields")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
                let mut found = ManagedFields::default();
                while let Some(entry) = all.next_element::<Entry<'_>>()? {
                    let is_of_release = entry.is_of_release();
                    let Some(manager) = entry.manager.map(Cow::into_owned) else { continue };
                    if is_of_release {
                        found.applies.push(Applied { manager, fields: entry.fields.leaves });
                    } else {
                        let time = entry.time.map(Cow::into_owned).unwrap_or_default();
                        found.others.push((time, manager));
                    }
                }
                Ok(found)
            }
        }

        deserializer.deserialize_seq(Entries)
    }
}

/// A `fieldsV1` or a part of it: a tree of objects, in which a key `f:…` that holds an empty one is a
/// field. It has no other shape: the API server reads it as a set of fields before it stores it.
#[derive(Default)]
struct Fields {
    /// How many fields there are.
    leaves: u16,
    /// Whether it is an empty object.
    is_empty: bool,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tree;

        impl<'de> Visitor<'de> for Tree {
            type Value = Fields;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a fieldsV1")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields { leaves: 0, is_empty: true };
                while let Some(IsField(is_field)) = map.next_key()? {
                    fields.is_empty = false;
                    if is_field {
                        let inner: Fields = map.next_value()?;
                        let leaves = if inner.is_empty { 1 } else { inner.leaves };
                        fields.leaves = fields.leaves.saturating_add(leaves);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(Tree)
    }
}

/// A key of a `fieldsV1`: whether it is that of a field, and not of an element of a list.
struct IsField(bool);

impl<'de> Deserialize<'de> for IsField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Key;

        impl Visitor<'_> for Key {
            type Value = IsField;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }

            fn visit_str<E>(self, key: &str) -> Result<IsField, E> {
                Ok(IsField(key.starts_with("f:")))
            }
        }

        deserializer.deserialize_str(Key)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The result of reading `managedFields`, both of text and of a tree.
    fn read(managed_fields: &Value) -> (Option<u16>, Vec<String>) {
        let metadata = json!({ "managedFields": managed_fields });
        let of_text: Metadata = serde_json::from_str(&metadata.to_string()).unwrap();
        let of_tree: Metadata = serde_json::from_value(metadata).unwrap();
        assert_eq!(of_text.applies, of_tree.applies);
        assert_eq!(of_text.other_managers, of_tree.other_managers);
        (of_text.applied_by(&release()), of_text.other_managers)
    }

    fn release() -> Release {
        Release::new("home", "one")
    }

    fn fields_of_ours(fields: &Value) -> Option<u16> {
        let entry =
            json!({ "manager": release().manager(), "operation": "Apply", "fieldsV1": fields });
        read(&json!([entry])).0
    }

    #[test]
    fn fields_are_the_keys_that_hold_nothing_further() {
        for (fields, count) in [
            (json!({}), 0),
            (json!({ "f:type": {} }), 1),
            (json!({ "f:data": { "f:a": {}, "f:b\n\"": {} }, "f:type": {} }), 3),
            // The whole map is owned, and one of its keys.
            (json!({ "f:labels": { ".": {}, "f:a": {} } }), 1),
            (json!({ "f:list": { "k:{\"name\":\"a\"}": { "f:x": {} }, "v:1": {} } }), 0),
        ] {
            assert_eq!(fields_of_ours(&fields), Some(count), "{fields}");
        }
    }

    #[test]
    fn fields_that_we_did_not_apply_to_the_object_itself_belong_to_others() {
        let entry = |manager: &str, operation: &str, subresource: &str| {
            json!({ "fieldsType": "FieldsV1", "fieldsV1": { "f:a": {} }, "manager": manager,
                    "operation": operation, "subresource": subresource,
                    "time": "2026-11-23T12:00:00Z" })
        };
        let (release, another) = (release(), Release::new("home", "another"));
        let ours = release.manager();
        let managed = json!([
            entry("kubectl\t", "Update", ""),
            entry(ours, "Apply", "status"),
            entry(ours, "Update", ""),
            entry(another.manager(), "Apply", ""),
            entry(ours, "Apply", ""),
            entry("kubectl\t", "Update", "scale"),
        ]);
        let others = ["kubectl\t", ours, ours, "kubectl\t"].map(str::to_owned);
        assert_eq!(read(&managed), (Some(1), others.to_vec()));
        assert_eq!(read(&Value::Null), (None, vec![]));
        assert_eq!(read(&json!([{}])), (None, vec![]));
        let ours = json!([{ "manager": ours, "operation": "Apply" }]);
        assert_eq!(read(&ours), (Some(0), vec![]), "it owns nothing any more");
    }

    #[test]
    fn the_manager_that_has_changed_the_object_last_comes_last() {
        let entry = |manager: &str, time: Option<&str>| json!({ "manager": manager, "time": time });
        let managed = json!([
            entry("second", Some("2026-11-23T12:00:01Z")),
            entry("third", Some("2026-11-24T11:00:00Z")),
            entry("first", None),
        ]);
        assert_eq!(read(&managed).1, ["first", "second", "third"]);
    }

    #[test]
    fn what_counts_is_kept_and_no_more() {
        let object: MetadataOnly<()> = serde_json::from_value(json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": {
                "name": "a", "namespace": "b", "uid": "c", "resourceVersion": "7",
                "creationTimestamp": "2026-11-23T12:00:00Z",
                "deletionTimestamp": "2026-11-23T12:00:01Z",
                "labels": { "x": "y" }, "annotations": { "z": "" }, "finalizers": ["f"],
            },
        }))
        .unwrap();
        let object = object.metadata.object;
        let deleted_at = object.deletion_timestamp.map(|Time(at)| at.to_string());
        assert_eq!(deleted_at.as_deref(), Some("2026-11-23T12:00:01Z"));
        assert_eq!(object.name.as_deref(), Some("a"));
        assert_eq!(object.namespace.as_deref(), Some("b"));
        assert_eq!(object.uid.as_deref(), Some("c"));
        assert_eq!(object.resource_version.as_deref(), Some("7"));
        assert_eq!(object.labels, Some([("x".to_owned(), "y".to_owned())].into()));
        assert_eq!(object.annotations, Some([("z".to_owned(), String::new())].into()));
        assert_eq!((object.creation_timestamp, object.finalizers), (None, None));
    }

    #[test]
    fn invalid_metadata_is_refused() {
        for object in [
            json!({}),
            json!({ "metadata": [] }),
            json!({ "metadata": { "managedFields": [[]] } }),
            json!({ "metadata": { "managedFields": [{ "fieldsV1": [] }] } }),
            json!({ "metadata": { "managedFields": [{ "fieldsV1": { "f:a": 1 } }] } }),
        ] {
            let read = serde_json::from_value::<MetadataOnly<()>>(object.clone());
            assert!(read.is_err(), "{object}");
        }
    }
}
