//! The AWS identity used for calls.

use ecr_refresher_core::{
    aws::{IdentitySettings, RoleSettings},
    ecr::partition_of,
};

use super::{
    super::{
        key_path::KeyPath,
        raw::{RawRole, RawRoles},
        rule::Unchecked,
        rules::{CredentialsDirectory, RoleArn},
    },
    Validation,
};

/// The partition of a registry or of a role, which must be that of the next role too.
struct Partition {
    name: String,
    /// Its content, for messages.
    of: String,
}

impl Validation<'_> {
    /// `path` is that of the registry's kind, `region` that of the registry if it is known.
    pub(super) fn identity(
        &mut self,
        roles: Option<RawRoles>,
        directory: Option<Unchecked<CredentialsDirectory>>,
        region: Option<&str>,
        path: &KeyPath,
    ) -> IdentitySettings {
        IdentitySettings {
            credentials_directory: self.value(directory, &path.key("credentialsDirectory")),
            roles: roles
                .map_or_else(Vec::new, |roles| self.roles(roles, region, &path.key("assumeRole"))),
        }
    }

    fn roles(&mut self, raw: RawRoles, region: Option<&str>, path: &KeyPath) -> Vec<RoleSettings> {
        let RawRoles { roles: raw, is_list } = raw;
        if raw.is_empty() {
            self.report(path, "the list of roles is empty", "name a role, or remove `assumeRole`");
        }
        let mut partition = region.map(|region| Partition {
            name: partition_of(region).to_owned(),
            of: format!("the region `{region}`"),
        });
        let mut roles = Vec::new();
        for (index, raw) in raw.into_iter().enumerate() {
            let path = if is_list { path.index(index) } else { path.clone() };
            let Some(role) = self.role(raw, partition.as_ref(), &path) else { continue };
            // No role of one partition can be assumed by an identity of another.
            partition.get_or_insert_with(|| Partition {
                name: role.arn.partition().to_owned(),
                of: "the role before it".to_owned(),
            });
            roles.push(role);
        }
        roles
    }

    fn role(
        &mut self,
        raw: RawRole,
        expected: Option<&Partition>,
        path: &KeyPath,
    ) -> Option<RoleSettings> {
        let session_name = self.value(raw.session_name, &path.key("sessionName"));
        let external_id = self.value(raw.external_id, &path.key("externalId"));
        let region = self.value(raw.region, &path.key("region"));
        if let Some(region) = &region {
            self.region_exists(region, &path.key("region"));
        }
        let arn = self.required::<RoleArn>(raw.role_arn, path, "roleArn")?;
        let partition = arn.partition();
        if let Some(expected) = expected.filter(|expected| expected.name != partition) {
            let Partition { name, of } = expected;
            let message =
                format!("the role is in the partition `{partition}`, but {of} is in `{name}`");
            self.report(
                &path.key("roleArn"),
                message,
                "use roles of one partition, that of the registry",
            );
        }
        if let Some(region) = region.as_deref().filter(|it| partition_of(it) != partition) {
            let message = format!(
                "the region `{region}` is in the partition `{}`, but the role is in `{partition}`",
                partition_of(region)
            );
            self.report(&path.key("region"), message, "use a region of the role's partition");
        }
        Some(RoleSettings { arn, external_id, session_name: session_name?, region })
    }
}
