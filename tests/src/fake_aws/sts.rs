//! The answers of STS.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::identity::{Caller, Identities, ROLE_ID, Role, Session};
use super::operation::Operation;
use super::problem::Problem;
use super::tokens::expiry;
use super::wire::Form;
use super::xml::{element, text};

/// How long a session lives when neither the test nor the client says.
const DEFAULT_SESSION_LIFE: Duration = Duration::from_hours(1);

/// What a test has set for STS.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// The life of a session, whatever the client asks for.
    pub(super) session_life: Option<Duration>,
    /// The external id that a role wants, by the role's ARN.
    pub(super) external_ids: HashMap<String, String>,
}

/// The result of an operation of STS, in XML.
pub(super) fn result(
    operation: Operation,
    caller: &Caller,
    form: &Form,
    settings: &Settings,
    identities: &mut Identities,
    now: Timestamp,
) -> Result<String, Problem> {
    if operation == Operation::GetCallerIdentity {
        return Ok(caller_identity(caller));
    }
    let arn = form.get("RoleArn").unwrap_or_default();
    let invalid = |what: &str| Problem::Validation(what.to_owned());
    let role = Role::parse(arn).ok_or_else(|| invalid("RoleArn is not a valid ARN of a role"))?;
    let name = form.get("RoleSessionName").unwrap_or_default();
    if !is_session_name(name) {
        return Err(invalid("RoleSessionName must have 2 to 64 of the characters [\\w+=,.@-]"));
    }
    if operation == Operation::AssumeRole {
        check_external_id(arn, caller, form, settings)?;
    } else {
        check_web_identity(form)?;
    }
    let asked = form.get("DurationSeconds").and_then(|seconds| seconds.parse().ok());
    let life =
        settings.session_life.or(asked.map(Duration::from_secs)).unwrap_or(DEFAULT_SESSION_LIFE);
    let session = identities.start_session(role.session(name), expiry(now, life));
    Ok(assumed(operation, &session, name))
}

fn caller_identity(caller: &Caller) -> String {
    let identity = &caller.identity;
    [
        text("Arn", &identity.arn),
        text("UserId", &identity.user_id()),
        text("Account", &identity.account),
    ]
    .concat()
}

fn assumed(operation: Operation, session: &Session, name: &str) -> String {
    let user =
        [text("AssumedRoleId", &format!("{ROLE_ID}:{name}")), text("Arn", &session.identity.arn)];
    // The real service returns whole seconds; a test's sessions may live for less than two.
    let credentials = [
        text("AccessKeyId", &session.access_key_id),
        text("SecretAccessKey", &session.secret_access_key),
        text("SessionToken", &session.token),
        text("Expiration", &format!("{:.3}", session.expires_at)),
    ];
    let mut result = vec![
        element("AssumedRoleUser", &user.concat()),
        element("Credentials", &credentials.concat()),
    ];
    if operation == Operation::AssumeRoleWithWebIdentity {
        let subject = "system:serviceaccount:ecr-refresher:ecr-refresher";
        result.push(text("SubjectFromWebIdentityToken", subject));
        result.push(text("Audience", "sts.amazonaws.com"));
    }
    result.concat()
}

fn is_session_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    (2..=64).contains(&name.len()) && name.chars().all(allowed)
}

fn check_external_id(
    role: &str,
    caller: &Caller,
    form: &Form,
    settings: &Settings,
) -> Result<(), Problem> {
    let wanted = settings.external_ids.get(role).map(String::as_str);
    if wanted.is_none() || wanted == form.get("ExternalId") {
        return Ok(());
    }
    Err(Problem::AccessDenied {
        arn: caller.identity.arn.clone(),
        action: Operation::AssumeRole.action(),
        resource: role.to_owned(),
    })
}

/// The token of a web identity must look like a JWT; it is not verified.
fn check_web_identity(form: &Form) -> Result<(), Problem> {
    let parts = form.get("WebIdentityToken").unwrap_or_default().split('.');
    let looks_like_jwt = parts.clone().count() == 3 && parts.clone().all(|part| !part.is_empty());
    if looks_like_jwt { Ok(()) } else { Err(Problem::InvalidIdentityToken) }
}

#[cfg(test)]
mod tests {
    use super::super::identity::{DEFAULT_ACCOUNT, DEFAULT_ARN, Identity};
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_785_000_000, 0);
    const ROLE: &str = "arn:aws:iam::210987654321:role/puller";

    fn ask(operation: Operation, body: &str, settings: &Settings) -> Result<String, Problem> {
        let caller = Caller {
            identity: Identity::new(DEFAULT_ACCOUNT, DEFAULT_ARN),
            region: "eu-west-1".into(),
            access_key_id: "AKIA1".into(),
        };
        let form = Form::parse(body.as_bytes());
        result(operation, &caller, &form, settings, &mut Identities::default(), NOW)
    }

    fn assume(body: &str, settings: &Settings) -> Result<String, Problem> {
        let body = format!("RoleArn={ROLE}&RoleSessionName=night&{body}");
        ask(Operation::AssumeRole, &body, settings)
    }

    #[test]
    fn the_caller_gets_its_identity() {
        let xml = ask(Operation::GetCallerIdentity, "", &Settings::default()).unwrap();
        assert!(xml.contains("<Account>123456789012</Account>"), "{xml}");
        assert!(xml.contains(&format!("<Arn>{DEFAULT_ARN}</Arn>")), "{xml}");
    }

    #[test]
    fn the_tests_session_life_goes_before_the_clients() {
        let expiration = |body: &str, settings: &Settings| {
            let xml = assume(body, settings).unwrap();
            let rest = xml.split_once("<Expiration>").unwrap().1;
            rest.split_once('<').unwrap().0.to_owned()
        };
        let default = Settings::default();
        let short = Settings { session_life: Some(Duration::from_millis(1500)), ..default };
        let default = Settings::default();
        assert_eq!(expiration("", &default), "2026-07-25T18:20:00.000Z");
        assert_eq!(expiration("DurationSeconds=900", &default), "2026-07-25T17:35:00.000Z");
        assert_eq!(expiration("DurationSeconds=900", &short), "2026-07-25T17:20:01.500Z");
    }

    #[test]
    fn a_role_with_an_external_id_is_denied_without_it() {
        let external_ids = HashMap::from([(ROLE.to_owned(), "abc".to_owned())]);
        let settings = Settings { external_ids, ..Settings::default() };
        assert!(assume("ExternalId=abc", &settings).is_ok());
        for body in ["", "ExternalId=xyz"] {
            let denied = assume(body, &settings);
            assert!(matches!(denied, Err(Problem::AccessDenied { .. })), "{denied:?}");
        }
    }

    #[test]
    fn a_bad_role_or_session_name_is_a_validation_error() {
        for body in [
            "RoleSessionName=night",
            "RoleArn=puller&RoleSessionName=night",
            &format!("RoleArn={ROLE}"),
            &format!("RoleArn={ROLE}&RoleSessionName=x"),
            &format!("RoleArn={ROLE}&RoleSessionName=a%20b"),
        ] {
            let refused = ask(Operation::AssumeRole, body, &Settings::default());
            assert!(matches!(refused, Err(Problem::Validation(_))), "{body}");
        }
    }

    #[test]
    fn a_web_identity_wants_something_like_a_jwt() {
        let operation = Operation::AssumeRoleWithWebIdentity;
        let ask = |token: &str| {
            let body = format!("RoleArn={ROLE}&RoleSessionName=night&WebIdentityToken={token}");
            ask(operation, &body, &Settings::default())
        };
        assert!(ask("a.b.c").unwrap().contains("<SubjectFromWebIdentityToken>"));
        assert_eq!(ask("abc"), Err(Problem::InvalidIdentityToken));
        assert_eq!(ask(""), Err(Problem::InvalidIdentityToken));
    }
}
