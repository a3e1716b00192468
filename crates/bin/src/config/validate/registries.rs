//! The registries.

use std::collections::{BTreeSet, HashSet};

use ecr_refresher_core::ecr::{EcrPublicSettings, EcrSettings, Variant, has_fips, has_variant};

use super::{
    super::{
        RegistrySettings, SourceSettings,
        key_path::KeyPath,
        raw::{RawEcr, RawEcrPublic, RawRegistry},
        rules::Account,
    },
    Validation,
};

impl Validation<'_> {
    pub(super) fn registries(&mut self, raw: Vec<RawRegistry>) -> Vec<RegistrySettings> {
        if raw.is_empty() {
            self.report_file(
                "there is no registry to get credentials from",
                "add one: `registries: [{name: main, ecr: {region: eu-west-1}}]`",
            );
        }
        let mut names = HashSet::new();
        let mut registries = Vec::new();
        for (index, raw) in raw.into_iter().enumerate() {
            let path = KeyPath::default().key("registries").index(index);
            if raw.name.is_empty() {
                self.report(&path, "the registry's `name` is empty", "give it a name of its own");
            }
            if !names.insert(raw.name.clone()) {
                let message = format!("there are two registries named `{}`", raw.name);
                self.report(&path.key("name"), message, "names must differ");
            }
            let name = raw.name.clone().into();
            if let Some(source) = self.source(raw, &path) {
                registries.push(RegistrySettings { name, source });
            }
        }
        registries
    }

    fn source(&mut self, raw: RawRegistry, path: &KeyPath) -> Option<SourceSettings> {
        let number = match (raw.ecr, raw.ecr_public, raw.file) {
            (Some(ecr), None, None) => {
                return Some(SourceSettings::Ecr(self.ecr(ecr, &path.key("ecr"))));
            }
            (None, Some(public), None) => {
                let settings = self.ecr_public(public, &path.key("ecrPublic"));
                return Some(SourceSettings::EcrPublic(settings));
            }
            (None, None, Some(file)) => return Some(SourceSettings::File(file.path)),
            (None, None, None) => "no kind",
            _ => "more than one kind",
        };
        let message = format!("the registry `{}` has {number}", raw.name);
        self.report(path, message, "give it exactly one of `ecr`, `ecrPublic` and `file`");
        None
    }

    fn ecr(&mut self, raw: RawEcr, path: &KeyPath) -> EcrSettings {
        let region = self.value(raw.region, &path.key("region"));
        let accounts = path.key("accounts");
        let account =
            |(index, raw): (usize, _)| self.value::<Account>(Some(raw), &accounts.index(index));
        let accounts = raw.accounts.into_iter().enumerate().filter_map(account).collect();
        let variants: BTreeSet<Variant> = raw.variants.into_iter().map(|choice| choice.0).collect();
        let lacks = |region: &&str| variants.iter().any(|&variant| !has_variant(region, variant));
        if let Some(region) = region.as_deref().filter(lacks) {
            let message = format!("the region `{region}` has no dual-stack hosts");
            self.report(&path.key("variants"), message, "leave `dualStack` out");
        }
        let has_no_fips = |region: &&str| variants.contains(&Variant::Fips) && !has_fips(region);
        if let Some(region) = region.as_deref().filter(has_no_fips) {
            let message = format!(
                "ECR has no FIPS endpoint in the region `{region}`, so its FIPS hosts do not resolve"
            );
            self.warn(&path.key("variants"), message, "leave `fips` out");
        }
        EcrSettings {
            accounts,
            variants: variants.into_iter().collect(),
            identity: self.identity(
                raw.assume_role,
                raw.credentials_directory,
                region.as_deref(),
                path,
            ),
            endpoint_url: self.value(raw.endpoint_url, &path.key("endpointUrl")),
            region,
        }
    }

    fn ecr_public(&mut self, raw: RawEcrPublic, path: &KeyPath) -> EcrPublicSettings {
        // ECR Public has its API in this region alone.
        let region = Some("us-east-1");
        EcrPublicSettings {
            identity: self.identity(raw.assume_role, raw.credentials_directory, region, path),
            endpoint_url: self.value(raw.endpoint_url, &path.key("endpointUrl")),
        }
    }
}
