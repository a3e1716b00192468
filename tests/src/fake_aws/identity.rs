//! Callers: the identities of access keys, and the sessions of STS.

use std::collections::HashMap;

use jiff::Timestamp;

use super::operation::{Operation, Service};
use super::problem::Problem;
use super::signature::Scope;
use super::wire::{Form, Request};

/// The account of every access key that no test has named.
pub const DEFAULT_ACCOUNT: &str = "123456789012";

/// The ARN of every access key that no test has named.
pub const DEFAULT_ARN: &str = "arn:aws:iam::123456789012:user/ecr-refresher";

/// The owner of an access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account number.
    pub account: String,
    /// The ARN of the user, or of the assumed role.
    pub arn: String,
}

impl Identity {
    /// An identity of those parts.
    pub fn new(account: impl Into<String>, arn: impl Into<String>) -> Self {
        Self { account: account.into(), arn: arn.into() }
    }

    /// The `UserId` of `GetCallerIdentity`: a role's ends in the name of its session.
    pub(super) fn user_id(&self) -> String {
        let mut resource = self.arn.rsplit(':').next().unwrap_or_default().split('/');
        match (resource.next(), resource.next_back()) {
            (Some("assumed-role"), Some(session)) => format!("{ROLE_ID}:{session}"),
            _ => "AIDAFAKEFAKEFAKEFAKE1".to_owned(),
        }
    }
}

/// The id of every role.
pub(super) const ROLE_ID: &str = "AROAFAKEFAKEFAKEFAKE1";

/// The sender of a request, by its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) identity: Identity,
    pub(super) region: String,
    pub(super) access_key_id: String,
}

/// The parts of a role's ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Role {
    partition: String,
    account: String,
    name: String,
}

impl Role {
    /// Reads `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`.
    pub(super) fn parse(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, resource] = parts[..] else {
            return None;
        };
        let name = resource.strip_prefix("role/")?.rsplit('/').next()?;
        let account_fits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        (account_fits && !partition.is_empty() && !name.is_empty()).then(|| Self {
            partition: partition.to_owned(),
            account: account.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The identity of a session of the role. Its ARN leaves out the role's path.
    pub(super) fn session(&self, session: &str) -> Identity {
        let Self { partition, account, name } = self;
        let arn = format!("arn:{partition}:sts::{account}:assumed-role/{name}/{session}");
        Identity::new(account, arn)
    }
}

/// Session credentials, as STS gives them.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) identity: Identity,
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
    pub(super) token: String,
    pub(super) expires_at: Timestamp,
}

/// All identities that the fake knows.
#[derive(Default)]
pub(super) struct Identities {
    named: HashMap<String, Identity>,
    sessions: HashMap<String, Session>,
}

impl Identities {
    /// Sets the owner of an access key.
    pub(super) fn add(&mut self, access_key_id: String, identity: Identity) {
        self.named.insert(access_key_id, identity);
    }

    /// Starts a session with new credentials.
    pub(super) fn start_session(&mut self, identity: Identity, expires_at: Timestamp) -> Session {
        let session = Session {
            identity,
            access_key_id: format!("ASIA{}", random(16).to_ascii_uppercase()),
            secret_access_key: random(40),
            token: format!("FakeSessionToken{}", random(300)),
            expires_at,
        };
        self.sessions.insert(session.access_key_id.clone(), session.clone());
        session
    }

    /// The sender of the request, and why the service refuses it, if it does. The caller is returned in
    /// any case, as far as it is known, so that it can select calls and faults.
    pub(super) fn caller(
        &self,
        operation: Operation,
        request: &Request,
        form: &Form,
        now: Timestamp,
    ) -> (Caller, Result<(), Problem>) {
        if operation == Operation::AssumeRoleWithWebIdentity {
            return (unsigned_caller(form), Ok(()));
        }
        let scope = match Scope::parse(request.authorization.as_deref()) {
            Ok(scope) => scope,
            Err(problem) => return (unknown(), Err(problem)),
        };
        let session = self.sessions.get(&scope.access_key_id);
        let identity = session
            .map(|session| &session.identity)
            .or_else(|| self.named.get(&scope.access_key_id))
            .cloned()
            .or_else(|| session_of_others(&scope.access_key_id))
            .unwrap_or_else(|| Identity::new(DEFAULT_ACCOUNT, DEFAULT_ARN));
        let checked = check_service(operation, &scope).and_then(|()| {
            session.map_or(Ok(()), |session| {
                check_session(session, request.session_token.as_deref(), now)
            })
        });
        let Scope { access_key_id, region, .. } = scope;
        (Caller { identity, region, access_key_id }, checked)
    }
}

/// The identity of a session that another fake gave out: its account is in the key's id, as in those
/// of the real AWS.
fn session_of_others(access_key_id: &str) -> Option<Identity> {
    let account = account_in(access_key_id.strip_prefix("ASIA")?)?;
    let arn = format!("arn:aws:sts::{account}:assumed-role/unknown/unknown");
    Some(Identity::new(account, arn))
}

/// Half the account, with the highest bit set, is the first 40 bits of the id in base32. The next
/// digit is in the upper half of the alphabet for an odd account.
fn account_in(id: &str) -> Option<String> {
    let digit = |letter: u8| match letter {
        b'A'..=b'Z' => Some(u64::from(letter - b'A')),
        b'2'..=b'7' => Some(u64::from(letter - b'2') + 26),
        _ => None,
    };
    let (half, rest) = id.as_bytes().split_at_checked(8)?;
    let half = half.iter().try_fold(0, |sum, &letter| Some(sum << 5 | digit(letter)?))?;
    let odd = u64::from(digit(*rest.first()?)? >= 16);
    let account = half.checked_sub(1 << 39)? * 2 + odd;
    (account < 1_000_000_000_000).then(|| format!("{account:012}"))
}

fn check_service(operation: Operation, scope: &Scope) -> Result<(), Problem> {
    let service: Option<Service> = operation.service();
    service.map_or(Err(Problem::UnknownOperation), |service| scope.check_service(service))
}

fn check_session(session: &Session, token: Option<&str>, now: Timestamp) -> Result<(), Problem> {
    if token != Some(session.token.as_str()) {
        return Err(Problem::UnrecognizedClient);
    }
    if now >= session.expires_at {
        return Err(Problem::ExpiredToken);
    }
    Ok(())
}

/// A web identity signs nothing: the role that it wants is all there is.
fn unsigned_caller(form: &Form) -> Caller {
    let arn = form.get("RoleArn").unwrap_or_default();
    let account = Role::parse(arn).map(|role| role.account).unwrap_or_default();
    Caller { identity: Identity::new(account, arn), ..unknown() }
}

fn unknown() -> Caller {
    Caller { identity: Identity::new("", ""), region: String::new(), access_key_id: String::new() }
}

fn random(length: usize) -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws-cn:iam::210987654321:role/teams/puller";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn signed(key: &str, token: Option<&str>) -> Request {
        Request {
            authorization: Some(format!(
                "AWS4-HMAC-SHA256 Credential={key}/20260801/eu-west-1/ecr/aws4_request, \
                 SignedHeaders=host, Signature=0"
            )),
            session_token: token.map(str::to_owned),
            ..Request::default()
        }
    }

    fn ask(identities: &Identities, request: &Request, now: i64) -> (Caller, Result<(), Problem>) {
        let operation = Operation::GetAuthorizationToken;
        identities.caller(operation, request, &Form::default(), at(now))
    }

    #[test]
    fn an_unnamed_key_is_the_default_user() {
        let (caller, checked) = ask(&Identities::default(), &signed("AKIA1", None), 1);
        assert_eq!(caller.identity, Identity::new(DEFAULT_ACCOUNT, DEFAULT_ARN));
        assert_eq!((caller.region.as_str(), checked), ("eu-west-1", Ok(())));
    }

    #[test]
    fn a_named_key_is_its_identity() {
        let mut identities = Identities::default();
        let identity = Identity::new("2", "arn:aws:iam::2:user/b");
        identities.add("AKIA2".into(), identity.clone());
        assert_eq!(ask(&identities, &signed("AKIA2", None), 1).0.identity, identity);
    }

    #[test]
    fn the_account_of_a_session_of_others_is_in_its_keys_id() {
        // Of a session that moto gave out.
        let (caller, _) = ask(&Identities::default(), &signed("ASIARTXV5AHDUA35ZWHU", None), 1);
        assert_eq!(caller.identity.account, "111111111111");
        assert_eq!(account_in("QAAAAAAAQ"), Some("000000000001".to_owned()));
        assert_eq!(account_in("7777777777"), None);
        assert_eq!(account_in("OLD"), None);
    }

    #[test]
    fn an_unsigned_request_has_no_caller() {
        let (caller, checked) = ask(&Identities::default(), &Request::default(), 1);
        assert_eq!((caller, checked), (unknown(), Err(Problem::MissingAuthentication)));
    }

    #[test]
    fn a_session_wants_its_token_and_ends_at_its_expiry() {
        let mut identities = Identities::default();
        let identity = Role::parse(ROLE).unwrap().session("s");
        let session = identities.start_session(identity.clone(), at(100));
        let good = signed(&session.access_key_id, Some(&session.token));
        let (caller, checked) = ask(&identities, &good, 99);
        assert_eq!((caller.identity, checked), (identity, Ok(())));
        assert_eq!(ask(&identities, &good, 100).1, Err(Problem::ExpiredToken));
        let bare = signed(&session.access_key_id, None);
        assert_eq!(ask(&identities, &bare, 99).1, Err(Problem::UnrecognizedClient));
    }

    #[test]
    fn a_roles_session_has_its_account_and_partition_but_not_its_path() {
        let session = Role::parse(ROLE).unwrap().session("night");
        assert_eq!(session.account, "210987654321");
        assert_eq!(session.arn, "arn:aws-cn:sts::210987654321:assumed-role/puller/night");
        assert_eq!(session.user_id(), format!("{ROLE_ID}:night"));
        assert!(Identity::new(DEFAULT_ACCOUNT, DEFAULT_ARN).user_id().starts_with("AIDA"));
    }

    #[test]
    fn other_arns_than_those_of_roles_are_refused() {
        for arn in ["", "arn:aws:iam::1:role/a", DEFAULT_ARN, "arn:aws:iam::123456789012:role/"] {
            assert_eq!(Role::parse(arn), None, "{arn}");
        }
    }
}
