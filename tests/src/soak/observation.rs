//! What the copies hold at one moment, read as an administrator.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Client, ResourceExt};

use super::{
    config::{LABEL, SECRETS, host},
    expectation::CopyId,
};
use crate::{
    cluster,
    fake_aws::{FakeAws, IssuedToken},
};

/// The Secrets with the names of pull Secrets, all of them as they were at one moment.
#[derive(Clone, Debug)]
pub(super) struct Observation {
    /// A moment before they were read.
    pub(super) at: Timestamp,
    pub(super) secrets: BTreeMap<CopyId, Seen>,
}

/// One Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) resource_version: String,
    /// Whether it has the label that an edit of the config gives.
    pub(super) is_labelled: bool,
    /// The entries of its document, by host.
    pub(super) hosts: BTreeMap<String, Entry>,
}

/// What a document holds for a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A token of the fake AWS for that host.
    Issued(Token),
    /// Something else.
    Unknown,
}

impl Entry {
    pub(super) fn token(self) -> Option<Token> {
        match self {
            Self::Issued(token) => Some(token),
            Self::Unknown => None,
        }
    }
}

/// A token, by the fake AWS' own table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

impl Observation {
    /// Reads all copies.
    pub(super) async fn take(client: &Client, aws: &FakeAws) -> Result<Self> {
        let at = Timestamp::now();
        let mut found = Vec::new();
        for name in SECRETS {
            let secrets = cluster::secrets(client, name).await?;
            found.extend(secrets.into_iter().map(|secret| (name, secret)));
        }
        // What the copies hold was issued by now.
        let issued = aws.issued();
        let issued: HashMap<_, _> =
            issued.iter().map(|token| (token.password.as_str(), token)).collect();
        let seen = |(name, secret): (&'static str, Secret)| {
            ((secret.namespace().unwrap_or_default(), name), Seen::of(&secret, &issued))
        };
        Ok(Self { at, secrets: found.into_iter().map(seen).collect() })
    }
}

impl Seen {
    fn of(secret: &Secret, issued: &HashMap<&str, &IssuedToken>) -> Self {
        let document = cluster::document(secret).unwrap_or_default();
        let entries = document["auths"].as_object().into_iter().flatten();
        let hosts = entries.map(|(host, entry)| {
            let token = entry["auth"].as_str().and_then(|auth| token_of(auth, host, issued));
            (host.clone(), token.map_or(Entry::Unknown, Entry::Issued))
        });
        Self {
            resource_version: secret.resource_version().unwrap_or_default(),
            is_labelled: secret.labels().contains_key(LABEL.0),
            hosts: hosts.collect(),
        }
    }
}

fn token_of(auth: &str, of_host: &str, issued: &HashMap<&str, &IssuedToken>) -> Option<Token> {
    let decoded = String::from_utf8(STANDARD.decode(auth).ok()?).ok()?;
    let issued = issued.get(decoded.strip_prefix("AWS:")?)?;
    let IssuedToken { issued_at, expires_at, .. } = **issued;
    (host(&issued.region) == of_host).then_some(Token { issued_at, expires_at })
}
