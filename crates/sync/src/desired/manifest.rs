//! The manifest of a pull Secret: one body for all of its copies.

use std::{collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use ecr_refresher_core::{
    dockerconfig::DockerConfig,
    planted::{Bug, is_planted},
};
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    CONTENT_HASH, DESCRIPTION, EXPIRES_AT, MANAGED_BY, MANAGER, REGISTRIES,
    desired::{settings::PullSecret, size::MetadataSize},
    observed::copy::{ContentHash, ObservedCopy, Ownership, Replaced},
    release::{KEPT_BY, RELEASE, Release},
};

/// The type of the copies, the newer one of the two that the kubelet reads.
pub const SECRET_TYPE: &str = "kubernetes.io/dockerconfigjson";

/// The rendered body of a pull Secret, the same for every namespace: only the URL of a request has the
/// namespace. It is wiped from memory with its last user, and hidden in `Debug`.
#[derive(Clone)]
pub struct Manifest {
    /// JSON, for a server-side apply.
    pub body: Bytes,
    /// The position of preconditions in the body.
    pub preconditions_at: usize,
    /// Whether it has the entries of all registries of the pull Secret.
    pub is_complete: bool,
    /// The hash of the content.
    pub content: ContentHash,
    /// The earliest expiry of its entries; `None` if no entry expires.
    pub expires_at: Option<Timestamp>,
    /// How many fields an apply of it owns.
    pub owned_fields: u16,
    /// The size of the document in bytes: the data of the Secret, not in base64.
    pub data_size: usize,
}

impl Manifest {
    /// Renders `config` as the copies of `secret` that a release keeps.
    ///
    /// # Errors
    /// If the body cannot be serialised, which no valid pull Secret causes.
    pub fn render(
        secret: &PullSecret,
        release: &Release,
        config: &DockerConfig,
    ) -> serde_json::Result<Self> {
        let expires_at = config.expires_at();
        let document = config.render();
        let data = Zeroizing::new(STANDARD.encode(document.as_bytes()));
        let mut applied = Applied::new(secret, release, &data);
        if let Some(expires_at) = expires_at {
            applied.annotate(EXPIRES_AT, expires_at.to_string());
        }
        applied.annotate(REGISTRIES, registries_text(config.keys()));
        let digest = digest(&Zeroizing::new(serde_json::to_vec(&applied)?));
        // The annotation is one more of its own.
        let content = ContentHash::new(digest, applied.owned_fields().saturating_add(1));
        applied.annotate(CONTENT_HASH, content.to_hex());
        let body = Zeroizing::new(serde_json::to_vec(&applied)?);
        let opening: &[u8] = br#""metadata":{"#;
        let metadata = body.windows(opening.len()).position(|bytes| bytes == opening);
        Ok(Self {
            // The API version and the kind stand before it, and neither holds it.
            preconditions_at: metadata.unwrap_or_default() + opening.len(),
            is_complete: true,
            owned_fields: applied.owned_fields(),
            data_size: document.len(),
            body: Bytes::from_owner(body),
            content,
            expires_at,
        })
    }

    /// The body of an apply that the API server refuses unless the Secret is still the one that was
    /// observed.
    pub(crate) fn body_for(&self, replaced: Option<&Replaced>) -> Bytes {
        let replaced = replaced.filter(|_| !is_planted(Bug::ForceWithoutUid));
        let Some(Replaced { uid, version }) = replaced else { return self.body.clone() };
        let (before, after) = self.body.split_at(self.preconditions_at);
        let version = version.map(|version| format!(r#""resourceVersion":"{version}","#));
        let preconditions = format!(r#""uid":"{uid}",{}"#, version.unwrap_or_default());
        Bytes::from_owner(Zeroizing::new([before, preconditions.as_bytes(), after].concat()))
    }

    /// Whether a Secret has exactly this content, unchanged by others.
    #[must_use]
    pub fn is_in(&self, observed: &ObservedCopy) -> bool {
        let Ownership::Ours { content, owned_fields, .. } = observed.ownership else {
            return false;
        };
        content == Some(self.content)
            && (owned_fields == Some(self.owned_fields) || is_planted(Bug::OwnedFieldsIgnored))
    }
}

/// How many fields an apply of a pull Secret owns. `expires` says whether its content does.
pub(crate) fn owned_fields(secret: &PullSecret, expires: bool) -> u16 {
    // Every release has as many.
    Applied::without_content(secret, &Release::new("", ""), expires, "").owned_fields()
}

/// The sizes of the metadata of a pull Secret's copies. `expires` says whether its content does, and `registries`
/// is the text of the annotation [`REGISTRIES`].
#[must_use]
pub fn metadata_size(
    secret: &PullSecret,
    release: &Release,
    expires: bool,
    registries: &str,
) -> MetadataSize {
    let AppliedMetadata { labels, annotations, .. } =
        Applied::without_content(secret, release, expires, registries).metadata;
    let size = |(key, value): (&&str, &String)| key.len() + value.len();
    let annotated = annotations.iter().map(size).sum();
    let all = || labels.iter().chain(&annotations);
    MetadataSize {
        annotations: annotated,
        stored: all().map(|field| size(field) + field.0.len() + STORED_FIELD).sum::<usize>()
            + STORED_OBJECT,
    }
}

impl fmt::Debug for Manifest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Manifest")
            .field("content", &self.content)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The bytes in etcd beside the key and the value of a label or an annotation: `"f:":{},` in the managed
/// fields, and tags and lengths.
const STORED_FIELD: usize = 24;
/// The bytes in etcd that each copy has.
const STORED_OBJECT: usize = 1024;

/// The longest list of registries in an annotation, in bytes.
const LONGEST_LIST: usize = 1000;

/// The keys of a docker config as an annotation, for people: cut where they are many.
#[must_use]
pub fn registries_text<'a>(keys: impl Iterator<Item = &'a str>) -> String {
    let (mut listed, mut length, mut left_out) = (Vec::new(), 0, 0);
    for key in keys {
        // A key of a file may be a URL with a password.
        let key = key.rsplit('@').next().unwrap_or(key);
        length += key.len() + 2;
        if length > LONGEST_LIST {
            left_out += 1;
        } else {
            listed.push(key);
        }
    }
    let text = listed.join(", ");
    if left_out > 0 { format!("{text}, and {left_out} more") } else { text }
}

/// The description of a copy, for tenants.
fn description(release: &Release) -> String {
    format!(
        "Kept fresh by ecr-refresher, release {release}. Edits are undone. Ask those who run the namespace {}.",
        release.namespace()
    )
}

/// The first 64 bits of the SHA-256.
fn digest(bytes: &[u8]) -> u64 {
    let digest = Sha256::digest(bytes);
    u64::from_be_bytes(std::array::from_fn(|index| digest[index]))
}

/// The body of an apply.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Applied<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: AppliedMetadata<'a>,
    r#type: &'static str,
    data: BTreeMap<&'static str, &'a str>,
}

#[derive(Serialize)]
struct AppliedMetadata<'a> {
    name: &'a str,
    labels: BTreeMap<&'a str, String>,
    annotations: BTreeMap<&'a str, String>,
}

impl<'a> Applied<'a> {
    fn new(secret: &'a PullSecret, release: &Release, data: &'a str) -> Self {
        let owned = |(key, value): (&'a String, &String)| (key.as_str(), value.clone());
        let ours = [(MANAGED_BY, MANAGER.to_owned()), (RELEASE, release.label())];
        let marks = [(KEPT_BY, release.to_string()), (DESCRIPTION, description(release))];
        Self {
            api_version: "v1",
            kind: "Secret",
            metadata: AppliedMetadata {
                name: &secret.name,
                // Never app.kubernetes.io/instance: GitOps tools track by it and would prune the copy.
                labels: secret.labels.iter().map(owned).chain(ours).collect(),
                annotations: secret.annotations.iter().map(owned).chain(marks).collect(),
            },
            r#type: SECRET_TYPE,
            data: [(".dockerconfigjson", data)].into(),
        }
    }

    /// With a content and an expiry of the usual length.
    fn without_content(
        secret: &'a PullSecret,
        release: &Release,
        expires: bool,
        registries: &str,
    ) -> Self {
        let mut applied = Self::new(secret, release, "");
        applied.annotate(REGISTRIES, registries.to_owned());
        if expires {
            applied.annotate(EXPIRES_AT, "2027-01-15T08:00:00Z".to_owned());
        }
        applied.annotate(CONTENT_HASH, ContentHash::new(u64::MAX, 0).to_hex());
        applied
    }

    fn annotate(&mut self, key: &'static str, value: String) {
        self.metadata.annotations.insert(key, value);
    }

    /// The fields that the API server records as ours: each label, annotation and key of the data, and
    /// the type.
    fn owned_fields(&self) -> u16 {
        let AppliedMetadata { labels, annotations, .. } = &self.metadata;
        u16::try_from(labels.len() + annotations.len() + self.data.len() + 1).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use ecr_refresher_core::{Auth, Credentials, Entry, Lifetime};
    use kube::core::Selector;
    use serde_json::Value;

    use super::*;
    use crate::{
        desired::{allow_list::AllowList, settings::OnConflict},
        observed::copy::Uid,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn secret() -> PullSecret {
        PullSecret {
            name: "ecr-pull".to_owned(),
            registries: vec!["main".into()],
            allow_list: AllowList::new(vec!["*".to_owned()], vec![], Selector::default()).unwrap(),
            service_accounts: Vec::new(),
            on_conflict: OnConflict::Skip,
            take_over: Vec::new(),
            labels: [("tier".to_owned(), "prod".to_owned())].into(),
            annotations: BTreeMap::new(),
        }
    }

    fn release() -> Release {
        Release::new("home", "ours")
    }

    fn config(password: &str) -> DockerConfig {
        let auth = Auth::from_user_and_password("AWS", password).unwrap();
        DockerConfig::merge([&Credentials {
            entries: [("a.example.com".to_owned(), Entry::of_auth(&auth))].into(),
            lifetime: Some(Lifetime::starting(at(0), at(40)).unwrap()),
        }])
        .unwrap()
    }

    fn render(secret: &PullSecret, password: &str) -> Manifest {
        Manifest::render(secret, &release(), &config(password)).unwrap()
    }

    #[test]
    fn the_body_is_a_pull_secret_with_our_marks() {
        let manifest = render(&secret(), "one");
        let body: Value = serde_json::from_slice(&manifest.body).unwrap();
        assert_eq!(body["type"], "kubernetes.io/dockerconfigjson");
        assert_eq!(body["metadata"]["name"], "ecr-pull");
        assert_eq!(body["metadata"]["labels"][MANAGED_BY], MANAGER);
        assert_eq!(body["metadata"]["labels"][RELEASE], "home.ours");
        assert_eq!(body["metadata"]["annotations"][KEPT_BY], "home/ours");
        assert_eq!(body["metadata"]["labels"]["tier"], "prod");
        assert_eq!(body["metadata"]["annotations"][EXPIRES_AT], at(40).to_string());
        assert_eq!(body["metadata"]["annotations"][CONTENT_HASH], manifest.content.to_hex());
        let data = body["data"][".dockerconfigjson"].as_str().unwrap();
        assert_eq!(STANDARD.decode(data).unwrap(), config("one").render().as_bytes());
        assert_eq!(body["metadata"]["annotations"][REGISTRIES], "a.example.com");
        let description = body["metadata"]["annotations"][DESCRIPTION].as_str().unwrap();
        assert!(description.contains("release home/ours. Edits are undone. Ask"), "{description}");
        assert_eq!(manifest.owned_fields, 10);
        assert!(manifest.content.has_fields(10));
        assert_eq!(owned_fields(&secret(), true), 10);
        assert_eq!(manifest.data_size, config("one").render().len());
    }

    #[test]
    fn the_expected_size_of_the_annotations_is_that_of_the_body() {
        let mut secret = secret();
        for count in [0, 1, 100] {
            let extra = (0..count).map(|number| (format!("key-{number}"), "x".repeat(number * 9)));
            secret.annotations = extra.collect();
            let body: Value = serde_json::from_slice(&render(&secret, "one").body).unwrap();
            let annotations = body["metadata"]["annotations"].as_object().unwrap();
            let size = |(key, value): (&String, &Value)| key.len() + value.as_str().unwrap().len();
            let rendered = annotations.iter().map(size).sum::<usize>();
            let MetadataSize { annotations, stored } =
                metadata_size(&secret, &release(), true, "a.example.com");
            assert_eq!(annotations, rendered);
            assert!(stored > annotations);
        }
    }

    #[test]
    fn a_long_list_of_registries_is_cut() {
        let keys: Vec<_> = (0..100).map(|number| format!("{number:03}.example.com")).collect();
        let text = registries_text(keys.iter().map(String::as_str));
        assert!(
            text.starts_with("000.example.com, 001.example.com, ") && text.len() < 1050,
            "{text}"
        );
        let listed = text.matches(".example.com").count();
        assert!(text.ends_with(&format!(", and {} more", 100 - listed)), "{text}");
        assert_eq!(registries_text(["a", "b"].into_iter()), "a, b");
    }

    #[test]
    fn preconditions_are_part_of_the_metadata_and_of_nothing_else() {
        let manifest = render(&secret(), "one");
        let text = "0a1b2c3d-0000-4e5f-8a9b-00000000000f";
        let uid = Uid::parse(text).unwrap();
        for (version, expected) in [(None, None), (Some(42), Some("42".into()))] {
            let replaced = Replaced { uid, version };
            let mut body: Value =
                serde_json::from_slice(&manifest.body_for(Some(&replaced))).unwrap();
            let metadata = body["metadata"].as_object_mut().unwrap();
            assert_eq!(metadata.remove("uid"), Some(text.into()));
            assert_eq!(metadata.remove("resourceVersion"), expected);
            assert_eq!(body, serde_json::from_slice::<Value>(&manifest.body).unwrap());
        }
        assert_eq!(manifest.body_for(None), manifest.body);
    }

    #[test]
    fn equal_content_is_rendered_equal_and_any_difference_has_another_hash() {
        let one = render(&secret(), "one");
        assert_eq!(one.body, render(&secret(), "one").body);
        assert_ne!(one.content, render(&secret(), "two").content);
        let mut relabelled = secret();
        relabelled.labels.clear();
        assert_ne!(one.content, render(&relabelled, "one").content);
        let other = Release::new("home", "other");
        let of_other = Manifest::render(&secret(), &other, &config("one")).unwrap();
        assert_ne!(one.content, of_other.content);
    }

    #[test]
    fn our_label_cannot_be_overridden() {
        let mut secret = secret();
        secret.labels.insert(MANAGED_BY.to_owned(), "somebody".to_owned());
        let body: Value = serde_json::from_slice(&render(&secret, "one").body).unwrap();
        assert_eq!(body["metadata"]["labels"][MANAGED_BY], MANAGER);
    }

    #[test]
    fn debug_shows_nothing_of_the_body() {
        let shown = format!("{:?}", render(&secret(), "hunter2"));
        assert!(!shown.contains("auth") && !shown.contains("dockerconfigjson"), "{shown}");
    }
}
