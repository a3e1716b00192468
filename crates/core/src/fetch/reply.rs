//! Parses the replies of ECR. Pure: a reply and the time go in, a token or an error comes out.

use aws_sdk_ecr::{primitives::DateTime, types::AuthorizationData};
use aws_sdk_ecrpublic::types::AuthorizationData as PublicData;
use jiff::Timestamp;

use crate::{AlreadyExpired, Auth, AuthError, Host, HostError, Lifetime, tokens::Token};

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

/// The token in a reply of private ECR that arrived at `now`.
///
/// # Errors
/// When the reply is not exactly one living token for one registry.
pub fn private(mut data: Vec<AuthorizationData>, now: Timestamp) -> Result<Token, ReplyError> {
    if data.len() > 1 {
        return Err(ReplyError::SeveralEntries(data.len()));
    }
    let data = data.pop().ok_or(ReplyError::NoData)?;
    let (auth, lifetime) = parts(data.authorization_token, data.expires_at, now)?;
    let host = Host::from_endpoint(&data.proxy_endpoint.ok_or(ReplyError::NoHost)?)?;
    Ok(Token::Ecr { auth, lifetime, host: Some(host) })
}

/// The token in a reply of ECR Public that arrived at `now`.
///
/// # Errors
/// When the reply holds no living token.
pub fn public(data: Option<PublicData>, now: Timestamp) -> Result<Token, ReplyError> {
    let data = data.ok_or(ReplyError::NoData)?;
    let (auth, lifetime) = parts(data.authorization_token, data.expires_at, now)?;
    Ok(Token::Ecr { auth, lifetime, host: None })
}

fn parts(
    encoded: Option<String>,
    expires_at: Option<DateTime>,
    now: Timestamp,
) -> Result<(Auth, Lifetime), ReplyError> {
    let auth = Auth::from_encoded(encoded.ok_or(ReplyError::NoToken)?)?;
    let expires_at = expires_at.and_then(timestamp).ok_or(ReplyError::NoExpiry)?;
    let lifetime = Lifetime::starting(now, expires_at)?;
    Ok((auth, lifetime))
}

/// The SDK's time as ours, cut to whole seconds, so that a token never seems to live longer.
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

    fn parse_one(data: AuthorizationDataBuilder) -> Result<Token, ReplyError> {
        private(vec![data.build()], now())
    }

    fn parts_of(token: Token) -> (Auth, Lifetime, Option<Host>) {
        match token {
            Token::Ecr { auth, lifetime, host } => (auth, lifetime, host),
            Token::File(_) => panic!("a file's"),
        }
    }

    #[test]
    fn a_good_reply_is_a_token_for_the_host_that_it_names() {
        let (auth, lifetime, host) = parts_of(parse_one(good()).unwrap());
        assert_eq!(host.unwrap().as_str(), HOST);
        assert_eq!(auth.expose(), STANDARD.encode("AWS:secret"));
        assert_eq!(lifetime.remaining(now()).as_hours(), 12);
    }

    #[test]
    fn ecr_publics_reply_is_a_token_without_a_host() {
        let data = PublicData::builder()
            .authorization_token(STANDARD.encode("AWS:secret"))
            .expires_at(DateTime::from_secs(1_800_043_200));
        let (_, lifetime, host) = parts_of(public(Some(data.build()), now()).unwrap());
        assert_eq!((host, lifetime.remaining(now()).as_hours()), (None, 12));
        assert_eq!(public(None, now()).unwrap_err(), ReplyError::NoData);
        let empty = PublicData::builder().build();
        assert_eq!(public(Some(empty), now()).unwrap_err(), ReplyError::NoToken);
    }

    #[test]
    fn each_problem_has_a_name_of_its_own() {
        let encode = |plain: &str| STANDARD.encode(plain);
        let error = |data| parse_one(data).unwrap_err();
        assert_eq!(private(vec![], now()).unwrap_err(), ReplyError::NoData);
        let two = vec![good().build(), good().build()];
        assert_eq!(private(two, now()).unwrap_err(), ReplyError::SeveralEntries(2));
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
        fn no_reply_makes_it_panic_or_gives_half_a_token(
            token in proptest::option::of(".*"),
            seconds in proptest::option::of(any::<i64>()),
            endpoint in proptest::option::of(".*"),
        ) {
            let data = AuthorizationData::builder()
                .set_authorization_token(token)
                .set_expires_at(seconds.map(DateTime::from_secs))
                .set_proxy_endpoint(endpoint);
            if let Ok(token) = parse_one(data) {
                let (_, lifetime, host) = parts_of(token);
                prop_assert!(host.is_some() && !lifetime.is_expired(now()));
            }
        }
    }
}
