//! Where a Pod or a machine gets credentials from: EKS Pod Identity's agent, and EC2's metadata.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::identity::Role;
use super::state::State;
use super::tokens::expiry;

/// Where EKS Pod Identity's agent answers, on this fake.
pub const POD_IDENTITY_PATH: &str = "/v1/credentials";

const METADATA_TOKEN_PATH: &str = "/latest/api/token";
const ROLES_PATH: &str = "/latest/meta-data/iam/security-credentials/";

/// The token of EC2's metadata, version 2.
const METADATA_TOKEN: &str = "metadata-token";
/// The name of the machine's role.
const ROLE_NAME: &str = "node";
const LIFE: Duration = Duration::from_hours(6);

/// A request to one of them.
#[derive(Clone, Copy)]
pub(super) struct MetadataRequest<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) authorization: Option<&'a str>,
    pub(super) metadata_token: Option<&'a str>,
}

/// The roles of their credentials; none until a test sets one.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) pod: Option<PodIdentity>,
    /// The ARN of the machine's role.
    pub(super) machine: Option<String>,
}

/// The role of a Pod, and what proves that one is it.
#[derive(Clone, Debug)]
pub(super) struct PodIdentity {
    pub(super) role: String,
    pub(super) token: String,
}

/// The status and the body; nothing where they are not asked.
pub(super) fn answer(
    request: MetadataRequest<'_>,
    state: &mut State,
    now: Timestamp,
) -> Option<(u16, String)> {
    if request.path == POD_IDENTITY_PATH {
        let PodIdentity { role, token } = state.metadata.pod.clone()?;
        let known = request.authorization == Some(&*token);
        return if known { credentials(state, &role, now) } else { Some(unauthorized()) };
    }
    let role = state.metadata.machine.clone()?;
    if (request.method, request.path) == ("PUT", METADATA_TOKEN_PATH) {
        return Some((200, METADATA_TOKEN.to_owned()));
    }
    let name = request.path.strip_prefix(ROLES_PATH)?;
    match name {
        _ if request.metadata_token != Some(METADATA_TOKEN) => Some(unauthorized()),
        "" => Some((200, ROLE_NAME.to_owned())),
        ROLE_NAME => credentials(state, &role, now),
        _ => None,
    }
}

fn unauthorized() -> (u16, String) {
    (401, String::new())
}

/// Credentials of a new session of the role, in the words of both services.
fn credentials(state: &mut State, role: &str, now: Timestamp) -> Option<(u16, String)> {
    let identity = Role::parse(role)?.session("metadata");
    let session = state.identities.start_session(identity, expiry(now, LIFE));
    let body = json!({
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": session.access_key_id,
        "SecretAccessKey": session.secret_access_key,
        "Token": session.token,
        "LastUpdated": format!("{now:.0}"),
        "Expiration": format!("{:.0}", session.expires_at),
    });
    Some((200, body.to_string()))
}
