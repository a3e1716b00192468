//! The AWS identity used for calls.

use std::path::{Path, PathBuf};

use ecr_refresher_core::{
    aws::{IdentitySettings, RoleArn, RoleSettings, is_external_id, is_session_name},
    ecr::partition_of,
};

use super::{super::raw::RawAssumeRole, Lowering};

/// The name of a role's session, unless the config says otherwise.
const SESSION_NAME: &str = "ecr-refresher";

impl Lowering<'_> {
    /// `path` is that of the registry's kind; `region` the one that is asked, if it is known.
    pub(super) fn identity(
        &mut self,
        role: Option<RawAssumeRole>,
        directory: Option<PathBuf>,
        region: Option<&str>,
        path: &[&str],
    ) -> IdentitySettings {
        if let Some(directory) = directory.as_deref().filter(|directory| !directory.is_absolute()) {
            self.no_directory(directory, path);
        }
        IdentitySettings {
            assume_role: role.and_then(|role| self.role(role, region, path)),
            credentials_directory: directory,
        }
    }

    fn no_directory(&mut self, directory: &Path, path: &[&str]) {
        let message = format!("`{}` is no absolute path", directory.display());
        let help = "write it as `/var/run/secrets/aws`";
        self.report(&[path, &["credentialsDirectory"]].concat(), message, help);
    }

    fn role(
        &mut self,
        raw: RawAssumeRole,
        region: Option<&str>,
        path: &[&str],
    ) -> Option<RoleSettings> {
        let at = |key: &'static str| [path, &["assumeRole", key]].concat();
        let session_name = raw.session_name.unwrap_or_else(|| SESSION_NAME.to_owned());
        if !is_session_name(&session_name) {
            let message = format!("`{session_name}` cannot name a session of a role");
            self.report(&at("sessionName"), message, "use 2 to 64 letters, digits and `_+=,.@-`");
        }
        if let Some(id) = &raw.external_id
            && !is_external_id(id)
        {
            // Not the id itself: some keep theirs to themselves.
            let message = "this is no external id";
            self.report(
                &at("externalId"),
                message,
                "use 2 to 1224 letters, digits and `_+=,.@:/-`",
            );
        }
        let Some(arn) = RoleArn::parse(&raw.role_arn) else {
            let message = format!("`{}` is no ARN of a role", raw.role_arn);
            let help = "write it as `arn:aws:iam::123456789012:role/NAME`";
            self.report(&at("roleArn"), message, help);
            return None;
        };
        if let Some(region) = region
            && arn.partition() != partition_of(region)
        {
            let (role, registry) = (arn.partition(), partition_of(region));
            let message = format!(
                "the role is of the partition `{role}`, but the region `{region}` is of `{registry}`"
            );
            self.report(&at("roleArn"), message, "roles work in their own partition only");
        }
        Some(RoleSettings { arn, external_id: raw.external_id, session_name })
    }
}
