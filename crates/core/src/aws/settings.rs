//! The AWS identity used for calls.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{ecr::partition_of, is_account};

/// The AWS identity used for calls: the base credentials, and the roles assumed with them, if any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentitySettings {
    /// A folder of key files; `None` for the AWS SDK's chain.
    pub credentials_directory: Option<PathBuf>,
    /// The roles to assume, each with the credentials of the one before. The last one calls ECR; without
    /// any, the base credentials do.
    pub roles: Vec<RoleSettings>,
}

/// A role to assume.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleSettings {
    /// The role.
    pub arn: RoleArn,
    /// The `sts:ExternalId` that the role's trust policy may require.
    pub external_id: Option<String>,
    /// The name of the session, which AWS's logs show.
    pub session_name: String,
    /// The region in which STS is asked for the role; `None` for the usual one: `AWS_REGION`, or else that
    /// of the registry.
    pub region: Option<String>,
}

/// The region in which STS is asked: that of the environment, or else the registry's. The STS of one
/// partition does not know the identities of another, so a registry of another partition has its own.
pub(super) fn sts_region<'a>(
    environment: Option<&'a str>,
    registry: Option<&'a str>,
) -> Option<&'a str> {
    match (environment, registry) {
        (Some(environment), Some(registry))
            if partition_of(environment) != partition_of(registry) =>
        {
            Some(registry)
        }
        _ => environment.or(registry),
    }
}

/// The ARN of a role: `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RoleArn(String);

impl RoleArn {
    /// Parses an ARN; `None` if the text is not the ARN of a role.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<_> = text.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, resource] = parts[..] else { return None };
        let name = resource.strip_prefix("role/")?.rsplit('/').next()?;
        let allowed = |c: char| c.is_ascii_graphic();
        let good = partition.starts_with("aws")
            && is_account(account)
            && (1..=64).contains(&name.len())
            && text.chars().all(allowed);
        good.then(|| Self(text.to_owned()))
    }

    /// The ARN as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The role's account: twelve digits.
    #[must_use]
    pub fn account(&self) -> &str {
        self.0.split(':').nth(4).unwrap_or_default()
    }

    /// The role's partition, such as `aws` or `aws-cn`.
    #[must_use]
    pub fn partition(&self) -> &str {
        self.0.split(':').nth(1).unwrap_or_default()
    }
}

/// Whether STS takes a text as the name of a session: 2 to 64 letters, digits and `_+=,.@-` (STS API
/// reference, `AssumeRole`).
#[must_use]
pub fn is_session_name(text: &str) -> bool {
    (2..=64).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c))
}

/// Whether STS takes a text as an external id: 2 to 1224 letters, digits and `_+=,.@:/-` (STS API
/// reference, `AssumeRole`).
#[must_use]
pub fn is_external_id(text: &str) -> bool {
    (2..=1224).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sts_is_asked_in_the_region_of_the_environment_or_else_in_that_of_the_registry() {
        for (environment, registry, expected) in [
            (Some("eu-west-1"), Some("ap-east-1"), Some("eu-west-1")),
            (None, Some("ap-east-1"), Some("ap-east-1")),
            (Some("eu-west-1"), None, Some("eu-west-1")),
            (None, None, None),
            // Identities of China are unknown elsewhere.
            (Some("eu-west-1"), Some("cn-north-1"), Some("cn-north-1")),
            (Some("cn-northwest-1"), Some("cn-north-1"), Some("cn-northwest-1")),
        ] {
            assert_eq!(sts_region(environment, registry), expected, "{environment:?} {registry:?}");
        }
    }

    #[test]
    fn only_the_arn_of_a_role_is_accepted() {
        let arn = RoleArn::parse("arn:aws-cn:iam::123456789012:role/a/path/puller").unwrap();
        assert_eq!((arn.partition(), arn.account()), ("aws-cn", "123456789012"));
        for text in [
            "",
            "puller",
            "arn:aws:iam::123456789012:user/puller",
            "arn:aws:iam::12:role/puller",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:sts::123456789012:assumed-role/puller/session",
            "arn:gcp:iam::123456789012:role/puller",
            "arn:aws:iam::123456789012:role/pul ler",
        ] {
            assert_eq!(RoleArn::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn names_of_sessions_and_external_ids_follow_the_rules_of_sts() {
        assert!(is_session_name("ecr-refresher") && is_session_name("a@b.c"));
        for text in ["", "a", "a b", "a/b", &"a".repeat(65)] {
            assert!(!is_session_name(text), "{text:?}");
        }
        assert!(is_external_id("team:a/b") && !is_external_id("a") && !is_external_id("a b"));
    }
}
