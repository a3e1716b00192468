//! The table of issued tokens: each stays valid until its own expiry, beside all later ones.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::identity::Caller;
use super::operation::Service;
use super::password::{self, USER};

/// A token that the fake gave out.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// The password; `Debug` does not show it.
    pub password: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// From when on a registry refuses it; whole milliseconds, as in ECR's replies.
    pub expires_at: Timestamp,
    /// The account of the caller.
    pub account: String,
    /// The region that the caller signed for.
    pub region: String,
    /// The caller's ARN.
    pub arn: String,
    /// ECR or ECR Public.
    pub service: Service,
}

impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedToken")
            .field("issued_at", &self.issued_at)
            .field("expires_at", &self.expires_at)
            .field("account", &self.account)
            .field("region", &self.region)
            .field("arn", &self.arn)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// What a registry says to a user name and a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Good for this registry, now.
    Accepted,
    /// Was good for this registry.
    Expired,
    /// A token of another account, or of the other kind of ECR.
    WrongAccount,
    /// A token of this account in another region.
    WrongRegion,
    /// Never issued.
    Unknown,
}

/// The registry that a password is shown to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Registry<'a> {
    Private { account: &'a str, region: &'a str },
    Public,
}

/// All tokens ever issued, the oldest first.
#[derive(Debug, Default)]
pub(super) struct TokenTable {
    issued: Vec<IssuedToken>,
}

impl TokenTable {
    /// Issues a token to the caller, good until `expires_at`.
    pub(super) fn issue(
        &mut self,
        caller: &Caller,
        service: Service,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> IssuedToken {
        let token = IssuedToken {
            password: password::generate(),
            issued_at: now,
            expires_at: whole_milliseconds(expires_at),
            account: caller.identity.account.clone(),
            region: caller.region.clone(),
            arn: caller.identity.arn.clone(),
            service,
        };
        self.issued.push(token.clone());
        token
    }

    /// All tokens, the oldest first.
    pub(super) fn issued(&self) -> &[IssuedToken] {
        &self.issued
    }

    /// Whether some registry would take the password now.
    pub(super) fn accepts(&self, password: &str, now: Timestamp) -> bool {
        self.find(password).is_some_and(|token| now < token.expires_at)
    }

    /// What that registry says to the user name and password.
    pub(super) fn verdict(
        &self,
        registry: Registry<'_>,
        user: &str,
        password: &str,
        now: Timestamp,
    ) -> Verdict {
        let Some(token) = self.find(password).filter(|_| user == USER) else {
            return Verdict::Unknown;
        };
        match registry {
            Registry::Public if token.service != Service::EcrPublic => Verdict::WrongAccount,
            Registry::Private { account, .. }
                if token.service != Service::Ecr || token.account != account =>
            {
                Verdict::WrongAccount
            }
            Registry::Private { region, .. } if token.region != region => Verdict::WrongRegion,
            _ if now < token.expires_at => Verdict::Accepted,
            _ => Verdict::Expired,
        }
    }

    /// Ends every token that is still good.
    pub(super) fn revoke_all(&mut self, now: Timestamp) {
        for token in &mut self.issued {
            token.expires_at = token.expires_at.min(now);
        }
    }

    fn find(&self, password: &str) -> Option<&IssuedToken> {
        self.issued.iter().find(|token| token.password == password)
    }
}

/// The end of a life that begins now.
pub(super) fn expiry(now: Timestamp, life: Duration) -> Timestamp {
    now.checked_add(life).unwrap_or(Timestamp::MAX)
}

fn whole_milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::super::identity::Identity;
    use super::*;

    const HOME: Registry<'_> = Registry::Private { account: "1", region: "eu-west-1" };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn caller() -> Caller {
        Caller {
            identity: Identity::new("1", "arn:aws:iam::1:user/a"),
            region: "eu-west-1".into(),
            access_key_id: "AKIA1".into(),
        }
    }

    #[test]
    fn a_token_is_good_until_its_expiry_and_not_at_it() {
        let mut table = TokenTable::default();
        let password = table.issue(&caller(), Service::Ecr, at(100), at(110)).password;
        assert_eq!(table.verdict(HOME, "AWS", &password, at(109)), Verdict::Accepted);
        assert_eq!(table.verdict(HOME, "AWS", &password, at(110)), Verdict::Expired);
        assert!(table.accepts(&password, at(109)));
        assert!(!table.accepts(&password, at(110)));
    }

    #[test]
    fn an_older_token_stays_good_beside_a_newer_one() {
        let mut table = TokenTable::default();
        let old = table.issue(&caller(), Service::Ecr, at(100), at(110)).password;
        let new = table.issue(&caller(), Service::Ecr, at(105), at(115)).password;
        assert!(table.accepts(&old, at(109)) && table.accepts(&new, at(109)));
        assert!(!table.accepts(&old, at(112)) && table.accepts(&new, at(112)));
    }

    #[test]
    fn another_registry_refuses_a_good_token() {
        let mut table = TokenTable::default();
        let password = table.issue(&caller(), Service::Ecr, at(100), at(110)).password;
        let verdict = |registry| table.verdict(registry, "AWS", &password, at(101));
        let stranger = Registry::Private { account: "2", region: "eu-west-1" };
        let elsewhere = Registry::Private { account: "1", region: "us-east-1" };
        assert_eq!(verdict(stranger), Verdict::WrongAccount);
        assert_eq!(verdict(elsewhere), Verdict::WrongRegion);
        assert_eq!(verdict(Registry::Public), Verdict::WrongAccount);
    }

    #[test]
    fn a_public_token_is_good_for_the_public_registry_only() {
        let mut table = TokenTable::default();
        let password = table.issue(&caller(), Service::EcrPublic, at(100), at(110)).password;
        let verdict = |registry| table.verdict(registry, "AWS", &password, at(101));
        assert_eq!(verdict(Registry::Public), Verdict::Accepted);
        assert_eq!(verdict(HOME), Verdict::WrongAccount);
    }

    #[test]
    fn a_wrong_user_or_an_unissued_password_is_unknown() {
        let mut table = TokenTable::default();
        let password = table.issue(&caller(), Service::Ecr, at(100), at(110)).password;
        assert_eq!(table.verdict(HOME, "aws", &password, at(101)), Verdict::Unknown);
        assert_eq!(table.verdict(HOME, "AWS", "x", at(101)), Verdict::Unknown);
    }

    #[test]
    fn revoking_ends_good_tokens_and_leaves_dead_ones() {
        let mut table = TokenTable::default();
        let dead = table.issue(&caller(), Service::Ecr, at(90), at(95));
        let good = table.issue(&caller(), Service::Ecr, at(100), at(110));
        table.revoke_all(at(101));
        assert!(!table.accepts(&good.password, at(101)));
        assert_eq!(table.issued()[0].expires_at, dead.expires_at);
    }

    #[test]
    fn debug_does_not_show_the_password() {
        let mut table = TokenTable::default();
        table.issue(&caller(), Service::Ecr, at(100), at(110));
        assert!(!password::leaks_password(&format!("{table:?}")));
    }
}
