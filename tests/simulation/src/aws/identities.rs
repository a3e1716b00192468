//! The identities behind access keys, and the sessions of roles.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{refusal::Refusal, request::Request};

/// The account of every access key that has no identity of its own.
pub const ACCOUNT: &str = "123456789012";

/// The ARN of every access key that has no identity of its own.
pub const USER_ARN: &str = "arn:aws:iam::123456789012:user/ecr-refresher";

/// A principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its account: twelve digits.
    pub account: String,
    /// Its ARN.
    pub arn: String,
}

/// All access keys. One that is not listed here is valid, and of [`USER_ARN`].
#[derive(Debug, Default)]
pub struct Identities {
    /// The identities of long-lived access keys, by the id of the key.
    pub keys: BTreeMap<String, Identity>,
    /// The ids of access keys that AWS does not recognise (any longer).
    pub deleted_keys: BTreeSet<String>,
    sessions: BTreeMap<String, Session>,
}

/// A session of a role.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) key_id: String,
    pub(super) secret: String,
    pub(super) token: String,
    pub(super) identity: Identity,
    /// The true time of its end.
    pub(super) expires_at: Timestamp,
}

/// The sender of a request.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) identity: Identity,
    /// When its session ends.
    pub(super) expires_at: Option<Timestamp>,
    /// Why its credentials are not valid.
    pub(super) refusal: Option<Refusal>,
}

impl Identities {
    /// The sender of a request. The identity is known also when the credentials are not valid.
    pub(super) fn of(&self, request: &Request) -> Caller {
        let Some(key) = request.key_id.as_deref() else {
            let refusal = Some(Refusal::MissingCredentials);
            return Caller { identity: default_identity(), expires_at: None, refusal };
        };
        if let Some(session) = self.sessions.get(key) {
            let matches = request.session_token.as_deref() == Some(session.token.as_str());
            return Caller {
                identity: session.identity.clone(),
                expires_at: Some(session.expires_at),
                refusal: (!matches).then_some(Refusal::UnrecognizedCredentials),
            };
        }
        let identity = self.keys.get(key).cloned().unwrap_or_else(default_identity);
        // Only STS gives out ids that begin with ASIA.
        let unknown = self.deleted_keys.contains(key) || key.starts_with("ASIA");
        let refusal = unknown.then_some(Refusal::UnrecognizedCredentials);
        Caller { identity, expires_at: None, refusal }
    }

    /// Begins a session of a role.
    pub(super) fn begin_session(
        &mut self,
        role: &str,
        name: &str,
        expires_at: Timestamp,
    ) -> Result<Session, Refusal> {
        let identity = assumed(role, name).ok_or_else(|| Refusal::InvalidRole(role.to_owned()))?;
        let number = self.sessions.len() + 1;
        let session = Session {
            key_id: format!("ASIA{number:016}"),
            secret: format!("secret-of-session-{number}"),
            token: format!("session-{number}"),
            identity,
            expires_at,
        };
        self.sessions.insert(session.key_id.clone(), session.clone());
        Ok(session)
    }
}

/// The identity of a session of `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`. Its ARN has no path.
fn assumed(role: &str, session: &str) -> Option<Identity> {
    let parts: Vec<&str> = role.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts[..] else {
        return None;
    };
    let name = resource.strip_prefix("role/")?.rsplit('/').next()?;
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let arn = format!("arn:{partition}:sts::{account}:assumed-role/{name}/{session}");
    (is_account && !name.is_empty() && !session.is_empty())
        .then(|| Identity { account: account.to_owned(), arn })
}

fn default_identity() -> Identity {
    Identity { account: ACCOUNT.to_owned(), arn: USER_ARN.to_owned() }
}
