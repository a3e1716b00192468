//! The registries.

use std::collections::HashSet;

use ecr_refresher_core::{ecr::EcrSettings, is_account};

use super::{
    super::{
        RegistrySettings, SourceSettings,
        raw::{RawEcr, RawRegistry},
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
            let source = match (raw.ecr, raw.file) {
                (Some(ecr), None) => SourceSettings::Ecr(self.ecr(ecr, &index)),
                (None, Some(file)) => SourceSettings::File(file.path),
                (both, _) => {
                    let number = if both.is_some() { "two kinds" } else { "no kind" };
                    let message = format!("the registry `{}` has {number}", raw.name);
                    self.report(&path, message, "give it exactly one of `ecr` and `file`");
                    continue;
                }
            };
            registries.push(RegistrySettings { name: raw.name.into(), source });
        }
        registries
    }

    fn ecr(&mut self, raw: RawEcr, registry: &str) -> EcrSettings {
        let path = ["registries", registry, "ecr"];
        if let Some(region) = &raw.region
            && (region.is_empty()
                || !region
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'))
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
        if let Some(url) = &raw.endpoint_url
            && !is_http_url(url)
        {
            let message = format!("`{url}` is no URL of an endpoint");
            self.report(
                &[&path[..], &["endpointUrl"]].concat(),
                message,
                "write it as `https://HOST` or `http://HOST:PORT`",
            );
        }
        EcrSettings { region: raw.region, accounts: raw.accounts, endpoint_url: raw.endpoint_url }
    }
}

fn is_http_url(text: &str) -> bool {
    text.parse::<hyper::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some()
    })
}
