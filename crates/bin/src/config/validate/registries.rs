//! The registries.

use std::collections::{BTreeSet, HashSet};

use ecr_refresher_core::{
    ecr::{EcrPublicSettings, EcrSettings, Variant, has_variant},
    is_account,
};

use super::{
    super::{
        RegistrySettings, SourceSettings,
        raw::{RawEcr, RawEcrPublic, RawRegistry},
    },
    Lowering,
};

impl Lowering<'_> {
    pub(super) fn registries(&mut self, raw: Vec<RawRegistry>) -> Vec<RegistrySettings> {
        if raw.is_empty() {
            self.report_file(
                "there is no registry to get credentials from",
                "the least is `registries: [{name: main, ecr: {region: eu-west-1}}]`",
            );
        }
        let mut names = HashSet::new();
        let mut registries = Vec::new();
        for (index, raw) in raw.into_iter().enumerate() {
            let index = index.to_string();
            let path = ["registries", &index];
            if raw.name.is_empty() {
                self.report(&path, "the registry's `name` is empty", "give it one of its own");
            }
            if !names.insert(raw.name.clone()) {
                let message = format!("there are two registries named `{}`", raw.name);
                self.report(&[path[0], path[1], "name"], message, "names must differ");
            }
            let kinds = [raw.ecr.is_some(), raw.ecr_public.is_some(), raw.file.is_some()];
            let source = match (raw.ecr, raw.ecr_public, raw.file) {
                (Some(ecr), None, None) => SourceSettings::Ecr(self.ecr(ecr, &index)),
                (None, Some(public), None) => {
                    SourceSettings::EcrPublic(self.ecr_public(public, &index))
                }
                (None, None, Some(file)) => SourceSettings::File(file.path),
                _ => {
                    let some = kinds.contains(&true);
                    let number = if some { "more than one kind" } else { "no kind" };
                    let message = format!("the registry `{}` has {number}", raw.name);
                    let help = "give it exactly one of `ecr`, `ecrPublic` and `file`";
                    self.report(&path, message, help);
                    continue;
                }
            };
            registries.push(RegistrySettings { name: raw.name.into(), source });
        }
        registries
    }

    fn ecr(&mut self, raw: RawEcr, registry: &str) -> EcrSettings {
        let path = ["registries", registry, "ecr"];
        let region = raw.region.as_deref();
        if let Some(region) = region
            && !is_region(region)
        {
            let message = format!("`{region}` is no AWS region");
            self.report(&[&path[..], &["region"]].concat(), message, "write it as `eu-west-1`");
        }
        for (index, account) in raw.accounts.iter().enumerate() {
            if !is_account(account) {
                let message = format!("`{account}` is no AWS account");
                let index = index.to_string();
                self.report(
                    &[&path[..], &["accounts", &index]].concat(),
                    message,
                    "write its 12 digits, in quotes",
                );
            }
        }
        let variants = raw.variants.into_iter().map(Variant::from).collect();
        self.variants(&variants, region, &path);
        self.endpoint_url(raw.endpoint_url.as_deref(), &path);
        let identity = self.identity(raw.assume_role, raw.credentials_directory, region, &path);
        EcrSettings {
            region: raw.region,
            accounts: raw.accounts,
            variants: variants.into_iter().collect(),
            identity,
            endpoint_url: raw.endpoint_url,
        }
    }

    fn ecr_public(&mut self, raw: RawEcrPublic, registry: &str) -> EcrPublicSettings {
        let path = ["registries", registry, "ecrPublic"];
        self.endpoint_url(raw.endpoint_url.as_deref(), &path);
        // ECR Public's API is there alone.
        let region = Some("us-east-1");
        let identity = self.identity(raw.assume_role, raw.credentials_directory, region, &path);
        EcrPublicSettings { identity, endpoint_url: raw.endpoint_url }
    }

    fn variants(&mut self, variants: &BTreeSet<Variant>, region: Option<&str>, path: &[&str]) {
        let lacks = |region: &&str| variants.iter().any(|&variant| !has_variant(region, variant));
        if let Some(region) = region.filter(lacks) {
            let message = format!("the region `{region}` has no dual-stack hosts");
            self.report(&[path, &["variants"]].concat(), message, "leave `dualStack` out");
        }
    }

    fn endpoint_url(&mut self, url: Option<&str>, path: &[&str]) {
        if let Some(url) = url
            && !is_http_url(url)
        {
            let message = format!("`{url}` is no URL of an endpoint");
            self.report(
                &[path, &["endpointUrl"]].concat(),
                message,
                "write it as `https://HOST` or `http://HOST:PORT`",
            );
        }
    }
}

fn is_region(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner)
}

fn is_http_url(text: &str) -> bool {
    text.parse::<hyper::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some()
    })
}
