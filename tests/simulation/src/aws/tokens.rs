//! The tokens that AWS has issued. Each is valid until its own expiry, beside all others.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::request::Service;

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedToken {
    /// Its number. Later tokens have higher numbers, in all services, accounts and regions.
    pub number: u64,
    /// The password: `token-NUMBER-REGION`.
    pub text: String,
    /// ECR or ECR Public.
    pub service: Service,
    /// The account of the identity that asked for it.
    pub account: String,
    /// The region that was asked.
    pub region: String,
    /// The replica that asked for it.
    pub caller: String,
    /// When it was issued, in true time.
    pub issued_at: Timestamp,
    /// From when on a registry refuses it, in true time.
    pub expires_at: Timestamp,
    /// The expiry in the reply, by AWS's clock.
    pub stated_expiry: Timestamp,
    /// Whether a reply without faults has reached the caller with it.
    pub delivered: bool,
}

/// A token without a number.
#[derive(Debug)]
pub(super) struct NewToken {
    pub(super) service: Service,
    pub(super) account: String,
    pub(super) region: String,
    pub(super) caller: String,
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) stated_expiry: Timestamp,
}

/// All tokens, by number.
#[derive(Debug, Default)]
pub struct Tokens(BTreeMap<u64, IssuedToken>);

impl Tokens {
    pub(super) fn issue(&mut self, new: NewToken) -> &IssuedToken {
        let NewToken { service, account, region, caller, issued_at, expires_at, stated_expiry } =
            new;
        let number = self.0.last_key_value().map_or(1, |(last, _)| last + 1);
        let text = format!("token-{number}-{region}");
        self.0.entry(number).or_insert(IssuedToken {
            number,
            text,
            service,
            account,
            region,
            caller,
            issued_at,
            expires_at,
            stated_expiry,
            delivered: false,
        })
    }

    pub(super) fn deliver(&mut self, number: u64) {
        if let Some(token) = self.0.get_mut(&number) {
            token.delivered = true;
        }
    }

    /// The token with this password.
    #[must_use]
    pub fn find(&self, password: &str) -> Option<&IssuedToken> {
        let number = password.strip_prefix("token-")?.split('-').next()?.parse().ok()?;
        self.0.get(&number).filter(|token| token.text == password)
    }

    /// All tokens, oldest first.
    #[must_use]
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &IssuedToken> {
        self.0.values()
    }

    /// The newest token of an account in a region of a service that has been delivered.
    #[must_use]
    pub fn newest_delivered(
        &self,
        service: Service,
        account: &str,
        region: &str,
    ) -> Option<&IssuedToken> {
        self.all().rev().find(|token| {
            token.delivered
                && (token.service, token.account.as_str(), token.region.as_str())
                    == (service, account, region)
        })
    }
}
