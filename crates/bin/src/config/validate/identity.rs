//! The AWS identity used for calls.

use ecr_refresher_core::{
    aws::{IdentitySettings, RoleSettings},
    ecr::partition_of,
};

use super::{
    super::{
        key_path::KeyPath,
        raw::RawAssumeRole,
        rule::Unchecked,
        rules::{CredentialsDirectory, RoleArn},
    },
    Validation,
};

impl Validation<'_> {
    /// `path` is that of the registry's kind, `region` that of the registry if it is known.
    pub(super) fn identity(
        &mut self,
        role: Option<RawAssumeRole>,
        directory: Option<Unchecked<CredentialsDirectory>>,
        region: Option<&str>,
        path: &KeyPath,
    ) -> IdentitySettings {
        IdentitySettings {
            credentials_directory: self.value(directory, &path.key("credentialsDirectory")),
            assume_role: role.and_then(|role| self.role(role, region, &path.key("assumeRole"))),
        }
    }

    fn role(
        &mut self,
        raw: RawAssumeRole,
        region: Option<&str>,
        path: &KeyPath,
    ) -> Option<RoleSettings> {
        let session_name = self.value(raw.session_name, &path.key("sessionName"));
        let external_id = self.value(raw.external_id, &path.key("externalId"));
        let arn = self.check::<RoleArn>(&raw.role_arn.0, &path.key("roleArn"))?;
        if let Some(region) = region
            && arn.partition() != partition_of(region)
        {
            let (role, registry) = (arn.partition(), partition_of(region));
            let message = format!(
                "the role is in the partition `{role}`, but the region `{region}` is in `{registry}`"
            );
            self.report(&path.key("roleArn"), message, "use a role of the registry's partition");
        }
        Some(RoleSettings { arn, external_id, session_name: session_name? })
    }
}
