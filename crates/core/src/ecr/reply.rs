//! What ECR's reply means. Pure: a reply and the time go in, credentials or a named error come out.

use aws_sdk_ecr::{primitives::DateTime, types::AuthorizationData};
use jiff::Timestamp;

use crate::{AlreadyExpired, Auth, AuthError, Credentials, Host, HostError, Lifetime};

/// Why a reply to `GetAuthorizationToken` gives no credentials. None of these shows the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// `authorizationData` is empty.
    #[error("ECR's reply holds no authorization data")]
    NoData,
    /// `authorizationData` has several elements, and nothing says which is meant.
    #[error("ECR's reply holds {0} authorizations where one was asked for")]
    SeveralEntries(usize),
    /// The one element has no token.
    #[error("ECR's reply holds no token")]
    NoToken,
    /// The token does not decode to a user and a password.
    #[error("the token in ECR's reply cannot be used: {0}")]
    BadToken(#[from] AuthError),
    /// The one element has no expiry, or one that no clock can show.
    #[error("ECR's reply does not say when its token expires")]
    NoExpiry,
    /// The token was dead when it arrived.
    #[error("the token in ECR's reply cannot be used: {0}")]
    AlreadyExpired(#[from] AlreadyExpired),
    /// The one element does not say for which registry it is.
    #[error("ECR's reply does not say for which registry its token is")]
    NoHost,
    /// The registry that it names is not a host.
    #[error("the registry in ECR's reply cannot be used: {0}")]
    BadHost(#[from] HostError),
}

/// Takes the token out of a reply that arrived at `now`, for the hosts of `accounts`, or for the
/// host that came with it when there are none.
///
/// # Errors
/// When the reply is not exactly one living token for one registry.
pub fn parse(
    mut data: Vec<AuthorizationData>,
    accounts: &[String],
    now: Timestamp,
) -> Result<Credentials, ReplyError> {
    if data.len() > 1 {
        return Err(ReplyError::SeveralEntries(data.len()));
    }
    let data = data.pop().ok_or(ReplyError::NoData)?;
    let auth = Auth::from_encoded(data.authorization_token.ok_or(ReplyError::NoToken)?)?;
    let expires_at = data.expires_at.and_then(timestamp).ok_or(ReplyError::NoExpiry)?;
    let lifetime = Lifetime::starting(now, expires_at)?;
    let host = Host::from_endpoint(&data.proxy_endpoint.ok_or(ReplyError::NoHost)?)?;
    let hosts = if accounts.is_empty() {
        vec![host]
    } else {
        accounts.iter().map(|account| host.with_account(account)).collect::<Result<_, _>>()?
    };
    let entries = hosts.into_iter().map(|host| (host, auth.clone())).collect();
    Ok(Credentials { entries, lifetime: Some(lifetime) })
}

/// The SDK's time as ours, cut to whole seconds: a token is never taken for living longer.
fn timestamp(time: DateTime) -> Option<Timestamp> {
    Timestamp::from_second(time.secs()).ok()
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecr::types::builders::AuthorizationDataBuilder;
    use base64::{Engine, engine::general_purpose::STANDARD};
    use proptest::prelude::*;

    use super::*;

    const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn good() -> AuthorizationDataBuilder {
        AuthorizationData::builder()
            .authorization_token(STANDARD.encode("AWS:secret"))
            .expires_at(DateTime::from_secs(1_800_043_200))
            .proxy_endpoint(format!("https://{HOST}"))
    }

    fn parse_one(data: AuthorizationDataBuilder) -> Result<Credentials, ReplyError> {
        parse(vec![data.build()], &[], now())
    }

    #[test]
    fn a_good_reply_is_one_entry_for_the_host_that_it_names() {
        let credentials = parse_one(good()).unwrap();
        let (host, auth) = credentials.entries.first_key_value().unwrap();
        assert_eq!(host.as_str(), HOST);
        assert_eq!(auth.expose(), STANDARD.encode("AWS:secret"));
        assert_eq!(credentials.lifetime.unwrap().remaining(now()).as_hours(), 12);
    }

    #[test]
    fn each_account_of_the_config_gets_an_entry_with_the_same_token() {
        let accounts = ["111111111111".to_owned(), "222222222222".to_owned()];
        let credentials = parse(vec![good().build()], &accounts, now()).unwrap();
        let hosts: Vec<_> = credentials.entries.keys().map(Host::as_str).collect();
        assert_eq!(
            hosts,
            [
                "111111111111.dkr.ecr.eu-west-1.amazonaws.com",
                "222222222222.dkr.ecr.eu-west-1.amazonaws.com"
            ]
        );
    }

    #[test]
    fn each_way_to_be_wrong_has_its_own_name() {
        let encode = |plain: &str| STANDARD.encode(plain);
        let error = |data| parse_one(data).unwrap_err();
        assert_eq!(parse(vec![], &[], now()).unwrap_err(), ReplyError::NoData);
        let two = vec![good().build(), good().build()];
        assert_eq!(parse(two, &[], now()).unwrap_err(), ReplyError::SeveralEntries(2));
        assert_eq!(error(good().set_authorization_token(None)), ReplyError::NoToken);
        assert_eq!(
            error(good().authorization_token("?")),
            ReplyError::BadToken(AuthError::NotBase64)
        );
        assert_eq!(
            error(good().authorization_token(encode("AWS:"))),
            ReplyError::BadToken(AuthError::NoPassword)
        );
        assert_eq!(error(good().set_expires_at(None)), ReplyError::NoExpiry);
        assert_eq!(error(good().expires_at(DateTime::from_secs(i64::MAX))), ReplyError::NoExpiry);
        assert_eq!(error(good().set_proxy_endpoint(None)), ReplyError::NoHost);
        assert!(matches!(error(good().proxy_endpoint("a b")), ReplyError::BadHost(_)));
    }

    #[test]
    fn a_token_of_the_past_is_refused() {
        let past = good().expires_at(DateTime::from_secs(1_420_070_400));
        assert!(matches!(parse_one(past), Err(ReplyError::AlreadyExpired(_))));
    }

    proptest! {
        #[test]
        fn no_reply_makes_it_panic_or_return_nothing(
            token in proptest::option::of(".*"),
            seconds in proptest::option::of(any::<i64>()),
            endpoint in proptest::option::of(".*"),
        ) {
            let data = AuthorizationData::builder()
                .set_authorization_token(token)
                .set_expires_at(seconds.map(DateTime::from_secs))
                .set_proxy_endpoint(endpoint);
            if let Ok(credentials) = parse_one(data) {
                prop_assert!(!credentials.entries.is_empty());
            }
        }
    }
}
