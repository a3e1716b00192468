//! The registries.

use std::collections::{BTreeSet, HashSet};

use ecr_refresher_core::ecr::{
    EcrPublicSettings, EcrSettings, Variant, has_fips, has_variant, is_region_name,
};

use super::{
    super::{
        RegistrySettings, SourceSettings,
        key_path::KeyPath,
        raw::{RawEcr, RawEcrPublic, RawRegistry},
        rules::{Account, unknown_region},
    },
    Validation,
};

impl Validation<'_> {
    pub(super) fn registries(&mut self, raw: Vec<RawRegistry>) -> Vec<RegistrySettings> {
        if raw.is_empty() {
            self.report_empty(
                "registries",
                "there is no registry to get credentials from",
                "add one: `registries: [{name: main, ecr: {region: eu-west-1}}]`",
            );
        }
        let mut names = HashSet::new();
        let mut registries = Vec::new();
        for (index, raw) in raw.into_iter().enumerate() {
            let path = KeyPath::default().key("registries").index(index);
            let name = raw.name.clone().unwrap_or_default();
            if name.is_empty() {
                let message = "the registry has no `name`".to_owned();
                self.report_missing(&path, "name", message, "give it a name of its own");
            } else if !names.insert(name.clone()) {
                let message = format!("there are two registries named `{name}`");
                self.report(&path.key("name"), message, "names must differ");
            }
            if let Some(source) = self.source(raw, &path) {
                registries.push(RegistrySettings { name: name.into(), source });
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
            (None, None, Some(file)) => {
                let path = self.required(file.path, &path.key("file"), "path")?;
                return Some(SourceSettings::File(path));
            }
            (None, None, None) => "no kind",
            _ => "more than one kind",
        };
        let is_empty = |kind: &&str| self.origins.contains(&path.key(kind));
        let help = match ["ecr", "ecrPublic"].into_iter().find(is_empty) {
            Some(kind) if number == "no kind" => format!("`{kind}` is empty: write `{kind}: {{}}`"),
            _ => "give it exactly one of `ecr`, `ecrPublic` and `file`".to_owned(),
        };
        self.report(path, format!("this registry has {number}"), help);
        None
    }

    fn ecr(&mut self, raw: RawEcr, path: &KeyPath) -> EcrSettings {
        let region = self.value(raw.region, &path.key("region"));
        // Behind an endpoint of one's own, a region may have any name.
        if let Some(region) = region.as_deref().filter(|_| raw.endpoint_url.is_none()) {
            self.region_exists(region, &path.key("region"));
        }
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

    /// Reports what cannot be a region of AWS, and warns about what is none that is known.
    pub(super) fn region_exists(&mut self, region: &str, path: &KeyPath) {
        match unknown_region(region) {
            Some((message, help)) if is_region_name(region) => self.warn(path, message, help),
            Some((message, help)) => self.report(path, message, help),
            None => {}
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
