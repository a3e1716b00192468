//! The sizes of what the config makes, which Kubernetes limits. A size that depends on tokens or on the
//! release is a range: an error if its least is too large, and a warning if its most is. The entries of
//! docker config files count at run time.

use std::collections::BTreeSet;

use ecr_refresher_core::{
    dockerconfig::DockerConfig,
    ecr::EcrDefaults,
    tokens::{CacheDocument, Registry},
};
use ecr_refresher_sync::{
    desired::{
        manifest::{metadata_size, registries_text},
        settings::PullSecret,
        size::{ANNOTATIONS_LIMIT, DATA_LIMIT, MetadataSize, REQUEST_LIMIT, Size},
    },
    release::Release,
};

use super::{
    super::{RegistrySettings, key_path::KeyPath, registries},
    Validation,
};
use crate::home::{LONGEST_NAME, LONGEST_NAMESPACE};

/// No token of ECR is shorter, in base64: the shortest that was reported has 2,368 characters
/// (aws/aws-sdk-js-v3#6580).
const SHORTEST_TOKEN: usize = 2_000;
/// No token of ECR is known to be longer: that of an EC2 instance's role has more than 4,096 characters
/// (Lotto24/aws-ecr-http-proxy#30).
const LONGEST_TOKEN: usize = 4_200;

impl Validation<'_> {
    /// `names` are those of all pull Secrets in the file, the invalid ones too.
    pub(super) fn sizes(
        &mut self,
        settings: &[RegistrySettings],
        secrets: &[PullSecret],
        names: &[Option<String>],
    ) {
        let region = Some(Registry::ANY_REGION.to_owned());
        let registries = registries(settings, &EcrDefaults { region, ..EcrDefaults::default() });
        for secret in secrets {
            let index = names
                .iter()
                .position(|name| name.as_ref() == Some(&secret.name))
                .unwrap_or_default();
            let path = KeyPath::default().key("secrets").index(index);
            let used = registries.iter().filter(|it| secret.registries.contains(&it.name));
            let hosts: BTreeSet<_> = used.flat_map(Registry::expected_hosts).collect();
            self.document_size(secret, &hosts, &path);
            self.metadata_size(secret, &hosts, &path);
        }
        self.token_cache_size(&registries);
    }

    fn document_size(&mut self, secret: &PullSecret, hosts: &BTreeSet<String>, path: &KeyPath) {
        let [least, most] =
            [SHORTEST_TOKEN, LONGEST_TOKEN].map(|token| DockerConfig::expected_size(hosts, token));
        if most <= DATA_LIMIT {
            return;
        }
        let (name, count) = (&secret.name, hosts.len());
        let product = |size: usize| {
            let (one, all, limit) = (Size(size.div_ceil(count)), Size(size), Size(DATA_LIMIT));
            format!("{count} hosts x {one} = {all}, a Secret holds {limit}")
        };
        let fit = |size: usize| DATA_LIMIT / size.div_ceil(count);
        let help = format!(
            "{} hosts fit with the longest tokens of ECR, {} with the shortest: divide the accounts \
             among several registries, and these among several pull Secrets",
            fit(most),
            fit(least)
        );
        if least > DATA_LIMIT {
            let message = format!("the pull Secret `{name}` is too large: {}", product(least));
            self.report(path, message, help);
        } else {
            let message = format!("the pull Secret `{name}` may be too large: {}", product(most));
            self.warn(path, message, help);
        }
    }

    fn metadata_size(&mut self, secret: &PullSecret, hosts: &BTreeSet<String>, path: &KeyPath) {
        let longest = Release::new(&"n".repeat(LONGEST_NAMESPACE), &"n".repeat(LONGEST_NAME));
        let registries = registries_text(hosts.iter().map(String::as_str));
        let [least, most] = [Release::new("n", "n"), longest]
            .map(|release| metadata_size(secret, &release, !hosts.is_empty(), &registries));
        let name = &secret.name;
        let own: usize =
            secret.annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
        let sum = |MetadataSize { annotations, .. }| {
            let (own, ours) = (Size(own), Size(annotations - own));
            let (all, limit) = (Size(annotations), Size(ANNOTATIONS_LIMIT));
            format!("{own} + {ours} of ecr-refresher = {all}, an object holds {limit}")
        };
        let (annotations, help) = (path.key("annotations"), "use fewer or shorter annotations");
        if least.annotations > ANNOTATIONS_LIMIT {
            let message = format!("the annotations of `{name}` are too large: {}", sum(least));
            self.report(&annotations, message, help);
        } else if most.annotations > ANNOTATIONS_LIMIT {
            let message = format!("the annotations of `{name}` may be too large: {}", sum(most));
            self.warn(&annotations, message, help);
        }
        let data = DockerConfig::expected_size(hosts, LONGEST_TOKEN).min(DATA_LIMIT);
        let stored = data + most.stored;
        if stored > REQUEST_LIMIT {
            let message = format!(
                "the pull Secret `{name}` may be too large for etcd: {} of data + {} of labels and \
                 annotations = {}, etcd stores {} by default",
                Size(data),
                Size(most.stored),
                Size(stored),
                Size(REQUEST_LIMIT)
            );
            self.warn(path, message, "use fewer or shorter labels and annotations");
        }
    }

    fn token_cache_size(&mut self, registries: &[Registry]) {
        let (count, size) = CacheDocument::expected_size(registries, LONGEST_TOKEN);
        if size <= DATA_LIMIT {
            return;
        }
        let (one, all, limit) = (Size(size.div_ceil(count.max(1))), Size(size), Size(DATA_LIMIT));
        let message = format!(
            "the token cache may be too large, so that a restart fetches each token again: {count} \
             tokens x {one} = {all}, a Secret holds {limit}"
        );
        let help = "registries with the same identity, region and endpoint share a token: use fewer \
                    identities, or several releases";
        self.warn(&KeyPath::default().key("registries"), message, help);
    }
}
