//! The types that mirror the config file, before anything is checked but their shape.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use ecr_refresher_core::ecr::Variant;
use ecr_refresher_sync::desired::settings::{OnConflict, PerNamespace};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{
        MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

use super::{
    rule::{Choice, Unchecked},
    rules::{
        Account, AtFraction, Concurrency, CredentialsDirectory, EndpointUrl, ExternalId, FilePath,
        LabelKey, LeaseDuration, Listen, ObjectName, PruneAfter, PruneLimit, Region, ReleaseId,
        RenewDeadline, RetryPeriod, RoleArn, SessionName, Spread,
    },
    schema,
};

/// The config file of ecr-refresher.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "ecr-refresher")]
pub(super) struct RawConfig {
    /// Where credentials come from.
    #[serde(default)]
    #[schemars(!default, length(min = 1))]
    pub(super) registries: Vec<RawRegistry>,
    /// The pull Secrets and their namespaces.
    #[serde(default)]
    #[schemars(!default, length(min = 1))]
    pub(super) secrets: Vec<RawSecret>,
    /// When tokens are fetched, and how fast their copies are written.
    #[serde(default)]
    pub(super) refresh: RawRefresh,
    /// Deletion of copies that are no longer wanted.
    #[serde(default)]
    pub(super) prune: RawPrune,
    /// How copies are written.
    #[serde(default)]
    pub(super) writer: RawWriter,
    /// Of several replicas, one calls AWS and writes.
    #[serde(default)]
    pub(super) leader_election: RawLeaderElection,
    /// The metrics.
    #[serde(default)]
    pub(super) metrics: RawMetrics,
    /// The address of metrics and probes. `[::]` is every address, also of IPv4.
    pub(super) listen: Option<Unchecked<Listen>>,
}

/// A source of credentials: exactly one of `ecr`, `ecrPublic` and `file`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("oneOf" = schema::one_source()))]
pub(super) struct RawRegistry {
    /// Its name in pull Secrets, the log and the metrics.
    #[schemars(required, length(min = 1))]
    pub(super) name: Option<String>,
    /// A private Amazon ECR registry.
    pub(super) ecr: Option<RawEcr>,
    /// public.ecr.aws.
    pub(super) ecr_public: Option<RawEcrPublic>,
    /// A docker config.json or .dockercfg. Its keys must be others than the hosts of the ECR registries.
    pub(super) file: Option<RawFile>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawEcr {
    /// The region; by default `AWS_REGION`, or whatever else the AWS SDK finds.
    pub(super) region: Option<Unchecked<Region>>,
    /// The accounts to write hosts for; by default the host that ECR returns.
    #[serde(default)]
    #[schemars(extend("default" = []))]
    pub(super) accounts: Vec<Unchecked<Account>>,
    /// Forms of hosts to write. All three are four hosts.
    #[serde(default)]
    #[schemars(extend("default" = ["standard"]))]
    pub(super) variants: Vec<Choice<Variant>>,
    /// The role to assume, or a list of roles, each assumed with the session of the one before; by default
    /// none.
    pub(super) assume_role: Option<RawRoles>,
    /// A folder with the files `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` (and
    /// `AWS_SESSION_TOKEN`), read for each token; by default the AWS SDK's credentials chain.
    pub(super) credentials_directory: Option<Unchecked<CredentialsDirectory>>,
    /// By default the region's own.
    pub(super) endpoint_url: Option<Unchecked<EndpointUrl>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawEcrPublic {
    /// The role to assume, or a list of roles, each assumed with the session of the one before; by default
    /// none.
    pub(super) assume_role: Option<RawRoles>,
    /// A folder of key files, as for `ecr`; by default whatever the AWS SDK finds.
    pub(super) credentials_directory: Option<Unchecked<CredentialsDirectory>>,
    /// By default that of us-east-1.
    pub(super) endpoint_url: Option<Unchecked<EndpointUrl>>,
}

/// Roles to assume; a mapping is short for a list of one.
#[derive(Debug)]
pub(super) struct RawRoles {
    pub(super) roles: Vec<RawRole>,
    /// Whether it was a list, so that each role has its location at its index.
    pub(super) is_list: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawRole {
    /// Such as `arn:aws:iam::123456789012:role/puller`.
    #[schemars(required)]
    pub(super) role_arn: Option<Unchecked<RoleArn>>,
    /// The `sts:ExternalId` that the role's trust policy requires; by default none.
    pub(super) external_id: Option<Unchecked<ExternalId>>,
    /// The session name in AWS's logs.
    pub(super) session_name: Option<Unchecked<SessionName>>,
    /// The region in which STS is asked for the role; by default `AWS_REGION`, or else the registry's.
    pub(super) region: Option<Unchecked<Region>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawFile {
    /// Where it is. It is read again when it changes.
    #[schemars(required)]
    pub(super) path: Option<Unchecked<FilePath>>,
}

/// A pull Secret.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawSecret {
    /// The name of the Secret, in every namespace.
    #[schemars(required)]
    pub(super) name: Option<Unchecked<ObjectName>>,
    /// The names of the registries that it is for; by default all.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub(super) registries: Option<Vec<String>>,
    /// Which namespaces get it. A plain list is short for `allow`.
    #[serde(default)]
    #[schemars(!default)]
    pub(super) namespaces: RawNamespaces,
    /// ServiceAccounts that get the Secret in their `imagePullSecrets`; by default none.
    #[serde(default)]
    #[schemars(extend("default" = [], "uniqueItems" = true))]
    pub(super) service_accounts: Vec<Unchecked<ObjectName>>,
    /// A foreign Secret of that name: `skip` leaves it alone, `adopt` takes it over.
    #[serde(default)]
    #[schemars(extend("default" = "skip"))]
    pub(super) on_conflict: Choice<OnConflict>,
    /// Releases (`NAMESPACE/NAME`) whose copies are taken over in place, for a move; by default none.
    #[serde(default)]
    #[schemars(extend("default" = [], "uniqueItems" = true))]
    pub(super) take_over: Vec<Unchecked<ReleaseId>>,
    /// Additional labels of the copies; by default none.
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    /// Additional annotations of the copies; by default none.
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

/// Which namespaces; a plain list is short for `allow`.
#[derive(Debug, Default)]
pub(super) struct RawNamespaces {
    pub(super) allow: Vec<String>,
    pub(super) deny: Vec<String>,
    pub(super) selector: RawSelector,
    /// Whether it was a plain list, so that a pattern has its location right under `namespaces`.
    pub(super) is_list: bool,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawSelector {
    /// Labels with their values.
    #[serde(default)]
    pub(super) match_labels: BTreeMap<String, String>,
    /// Conditions on labels.
    #[serde(default)]
    pub(super) match_expressions: Vec<RawExpression>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawExpression {
    /// The label.
    #[schemars(required)]
    pub(super) key: Option<Unchecked<LabelKey>>,
    /// How the label's value and `values` relate.
    #[schemars(required)]
    pub(super) operator: Option<Choice<Operator>>,
    /// For `In` and `NotIn` only.
    pub(super) values: Option<Vec<String>>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString, strum::VariantNames,
)]
pub(super) enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawRefresh {
    /// Fetch the next token at this fraction of the life of the current one.
    pub(super) at_fraction: Option<Unchecked<AtFraction>>,
    /// Write the copies of a new token over this time, up to `1h`.
    pub(super) spread: Option<Unchecked<Spread>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawPrune {
    /// Delete copies that are no longer wanted.
    #[schemars(extend("default" = true))]
    pub(super) enabled: Option<bool>,
    /// But not before this has passed: an edit undone in time costs nothing.
    pub(super) after: Option<Unchecked<PruneAfter>>,
    /// The largest share of all copies that may be deleted at once. Where more than 20 copies would be and they
    /// are more than this, none is.
    pub(super) limit: Option<Unchecked<PruneLimit>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawWriter {
    /// The maximum number of concurrent writes.
    pub(super) concurrency: Option<Unchecked<Concurrency>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawLeaderElection {
    /// Without it, there must be one replica only.
    #[schemars(extend("default" = true))]
    pub(super) enabled: Option<bool>,
    /// When the leader is gone, another one leads after this.
    pub(super) lease_duration: Option<Unchecked<LeaseDuration>>,
    /// A leader that cannot renew its lease stops after this.
    pub(super) renew_deadline: Option<Unchecked<RenewDeadline>>,
    /// How often the lease is renewed.
    pub(super) retry_period: Option<Unchecked<RetryPeriod>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawMetrics {
    /// For which copies there is a series each.
    #[serde(default)]
    #[schemars(extend("default" = "failing"))]
    pub(super) per_namespace: Choice<PerNamespace>,
}

/// By hand and not as an untagged enum, which would lose the location of a problem inside.
impl<'de> Deserialize<'de> for RawNamespaces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NamespacesVisitor)
    }
}

impl JsonSchema for RawNamespaces {
    fn schema_name() -> Cow<'static, str> {
        "Namespaces".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mapping = generator.subschema_for::<NamespacesMap>();
        let list = &mapping.as_value()["properties"]["allow"];
        json_schema!({ "anyOf": [list, mapping] })
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NamespacesMap {
    /// Globs over the whole name: `*`, `?`, `[a-z]` and `{a,b}`.
    #[serde(default)]
    #[schemars(!default, length(min = 1))]
    allow: Vec<String>,
    /// Globs of the names that get none; by default none.
    #[serde(default)]
    deny: Vec<String>,
    /// And-ed with the globs, as in Kubernetes; by default everything.
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

/// By hand for the same reason.
impl<'de> Deserialize<'de> for RawRoles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RolesVisitor)
    }
}

impl JsonSchema for RawRoles {
    fn schema_name() -> Cow<'static, str> {
        "Roles".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let role = generator.subschema_for::<RawRole>();
        json_schema!({ "anyOf": [role, { "type": "array", "items": role, "minItems": 1 }] })
    }
}

struct RolesVisitor;

impl<'de> Visitor<'de> for RolesVisitor {
    type Value = RawRoles;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a mapping with `roleArn`, or a list of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<RawRoles, A::Error> {
        let roles = Deserialize::deserialize(SeqAccessDeserializer::new(items))?;
        Ok(RawRoles { roles, is_list: true })
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<RawRoles, A::Error> {
        let role = RawRole::deserialize(MapAccessDeserializer::new(entries))?;
        Ok(RawRoles { roles: vec![role], is_list: false })
    }
}
