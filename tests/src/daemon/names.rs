//! The names of an installation: of its objects, its user, and its release.

use super::Installation;
use crate::{control_plane::user_name, release::field_manager};

impl Installation {
    /// What the names of its own objects begin with; that of its Lease is just this.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ID of the release: `NAMESPACE/NAME`.
    #[must_use]
    pub fn release(&self) -> String {
        format!("{}/{}", self.home, self.name)
    }

    /// The field manager of the release.
    #[must_use]
    pub fn field_manager(&self) -> String {
        field_manager(&self.release())
    }

    /// The name of the Secret that is the token cache.
    #[must_use]
    pub fn token_cache(&self) -> String {
        format!("{}-tokens", self.name)
    }

    /// The daemon's user name in the audit log.
    #[must_use]
    pub fn user(&self) -> String {
        user_name(&self.home, &self.service_account)
    }
}
