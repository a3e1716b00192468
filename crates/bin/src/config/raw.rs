//! The types that mirror the config file, before anything is checked but their shape.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use ecr_refresher_core::ecr::Variant;
use ecr_refresher_sync::PerNamespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;
use serde::{
    Deserialize, Deserializer,
    de::{
        MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawConfig {
    #[serde(default)]
    pub(super) registries: Vec<RawRegistry>,
    #[serde(default)]
    pub(super) secrets: Vec<RawSecret>,
    #[serde(default)]
    pub(super) refresh: RawRefresh,
    #[serde(default)]
    pub(super) prune: RawPrune,
    #[serde(default)]
    pub(super) writer: RawWriter,
    #[serde(default)]
    pub(super) leader_election: RawLeaderElection,
    #[serde(default)]
    pub(super) metrics: RawMetrics,
    pub(super) listen: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawRegistry {
    pub(super) name: String,
    pub(super) ecr: Option<RawEcr>,
    pub(super) ecr_public: Option<RawEcrPublic>,
    pub(super) file: Option<RawFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawEcr {
    pub(super) region: Option<String>,
    #[serde(default)]
    pub(super) accounts: Vec<String>,
    #[serde(default)]
    pub(super) variants: Vec<RawVariant>,
    pub(super) assume_role: Option<RawAssumeRole>,
    pub(super) credentials_directory: Option<PathBuf>,
    pub(super) endpoint_url: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum RawVariant {
    Standard,
    Fips,
    DualStack,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawEcrPublic {
    pub(super) assume_role: Option<RawAssumeRole>,
    pub(super) credentials_directory: Option<PathBuf>,
    pub(super) endpoint_url: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawAssumeRole {
    pub(super) role_arn: String,
    pub(super) external_id: Option<String>,
    pub(super) session_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawFile {
    pub(super) path: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawSecret {
    pub(super) name: String,
    pub(super) registries: Option<Vec<String>>,
    #[serde(default)]
    pub(super) namespaces: RawNamespaces,
    #[serde(default)]
    pub(super) service_accounts: Vec<String>,
    #[serde(default)]
    pub(super) on_conflict: RawOnConflict,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum RawOnConflict {
    #[default]
    Skip,
    Adopt,
}

/// Which namespaces; a plain list is short for `allow`.
#[derive(Debug, Default)]
pub(super) struct RawNamespaces {
    pub(super) allow: Vec<String>,
    pub(super) deny: Vec<String>,
    pub(super) selector: RawSelector,
    /// Whether it was a plain list, so that a pattern has its place right under `namespaces`.
    pub(super) is_list: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawSelector {
    #[serde(default)]
    pub(super) match_labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) match_expressions: Vec<RawExpression>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawExpression {
    pub(super) key: String,
    pub(super) operator: RawOperator,
    pub(super) values: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum RawOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawRefresh {
    pub(super) at_fraction: Option<f64>,
    pub(super) spread: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawPrune {
    pub(super) enabled: Option<bool>,
    pub(super) after: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawWriter {
    pub(super) concurrency: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawLeaderElection {
    pub(super) enabled: Option<bool>,
    pub(super) lease_duration: Option<String>,
    pub(super) renew_deadline: Option<String>,
    pub(super) retry_period: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawMetrics {
    #[serde(default)]
    pub(super) per_namespace: RawPerNamespace,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum RawPerNamespace {
    Off,
    #[default]
    Failing,
    All,
}

impl From<RawVariant> for Variant {
    fn from(raw: RawVariant) -> Self {
        match raw {
            RawVariant::Standard => Self::Standard,
            RawVariant::Fips => Self::Fips,
            RawVariant::DualStack => Self::DualStack,
        }
    }
}

impl From<RawPerNamespace> for PerNamespace {
    fn from(raw: RawPerNamespace) -> Self {
        match raw {
            RawPerNamespace::Off => Self::Off,
            RawPerNamespace::Failing => Self::Failing,
            RawPerNamespace::All => Self::All,
        }
    }
}

impl From<RawExpression> for LabelSelectorRequirement {
    fn from(raw: RawExpression) -> Self {
        let operator = match raw.operator {
            RawOperator::In => "In",
            RawOperator::NotIn => "NotIn",
            RawOperator::Exists => "Exists",
            RawOperator::DoesNotExist => "DoesNotExist",
        };
        Self { key: raw.key, operator: operator.to_owned(), values: raw.values }
    }
}

/// By hand and not as an untagged enum, which would lose the place of what is wrong inside.
impl<'de> Deserialize<'de> for RawNamespaces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NamespacesVisitor)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NamespacesMap {
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    deny: Vec<String>,
    #[serde(default)]
    selector: RawSelector,
}

struct NamespacesVisitor;

impl<'de> Visitor<'de> for NamespacesVisitor {
    type Value = RawNamespaces;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of patterns, or a mapping with `allow`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<RawNamespaces, A::Error> {
        let allow = Deserialize::deserialize(SeqAccessDeserializer::new(items))?;
        Ok(RawNamespaces { allow, is_list: true, ..RawNamespaces::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<RawNamespaces, A::Error> {
        let map = NamespacesMap::deserialize(MapAccessDeserializer::new(entries))?;
        let NamespacesMap { allow, deny, selector } = map;
        Ok(RawNamespaces { allow, deny, selector, is_list: false })
    }
}
