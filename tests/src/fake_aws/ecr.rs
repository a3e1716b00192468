//! The answers of ECR and ECR Public, good and spoilt.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::identity::Caller;
use super::operation::Service;
use super::password;
use super::tokens::{IssuedToken, TokenTable, expiry};

/// The account of the second entry of [`Fault::TwoEntries`].
pub const SECOND_ACCOUNT: &str = "210987654321";

/// The expiry that other fakes are known to give: 2015-01-01.
const LONG_AGO: Timestamp = Timestamp::constant(1_420_070_400, 0);

/// What the names of a partition's regions begin with, and what its hosts end in, where that is not
/// `amazonaws.com`.
const SUFFIXES: [(&str, &str); 6] = [
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("us-isof-", "csp.hci.ic.gov"),
];

/// Issues what is asked for and renders the answer, as the fault has it.
pub(super) fn authorization(
    tokens: &mut TokenTable,
    service: Service,
    caller: &Caller,
    fault: Option<&Fault>,
    now: Timestamp,
    life: Duration,
) -> String {
    if fault == Some(&Fault::EmptyReply) {
        return json!({}).to_string();
    }
    if fault == Some(&Fault::NoEntries) {
        let nothing = if service == Service::Ecr { json!([]) } else { json!({}) };
        return json!({ "authorizationData": nothing }).to_string();
    }
    let expires_at = match fault {
        Some(Fault::AlreadyExpired) => LONG_AGO,
        _ => expiry(now, life),
    };
    let mut issue = |caller: &Caller| {
        let token = tokens.issue(caller, service, now, expires_at);
        entry(&token, fault)
    };
    let data = match (service, fault) {
        (Service::Ecr, Some(Fault::TwoEntries)) => {
            let mut second = caller.clone();
            SECOND_ACCOUNT.clone_into(&mut second.identity.account);
            json!([issue(caller), issue(&second)])
        }
        (Service::Ecr, _) => json!([issue(caller)]),
        _ => issue(caller),
    };
    json!({ "authorizationData": data }).to_string()
}

fn entry(token: &IssuedToken, fault: Option<&Fault>) -> Value {
    let mut entry = Map::new();
    entry.insert("authorizationToken".into(), authorization_token(&token.password, fault));
    if fault != Some(&Fault::MissingExpiry) {
        let epoch_seconds = token.expires_at.as_duration().as_secs_f64();
        entry.insert("expiresAt".into(), json!(epoch_seconds));
    }
    if token.service == Service::Ecr {
        let region = match fault {
            Some(Fault::OtherRegion(region)) => region,
            _ => token.region.as_str(),
        };
        let host = registry_host(&token.account, region);
        entry.insert("proxyEndpoint".into(), json!(format!("https://{host}")));
    }
    Value::Object(entry)
}

fn authorization_token(password: &str, fault: Option<&Fault>) -> Value {
    match fault {
        Some(Fault::NullToken) => Value::Null,
        Some(Fault::BadBase64) => json!(format!("{}!", password::token(':', password))),
        Some(Fault::NoColon) => json!(password::token('-', password)),
        Some(Fault::NoPassword) => json!(password::token(':', "")),
        _ => json!(password::token(':', password)),
    }
}

/// The registry host of an account in a region, in the partition of that region.
#[must_use]
pub fn registry_host(account: &str, region: &str) -> String {
    let own = SUFFIXES.iter().find(|(regions, _)| region.starts_with(regions));
    let suffix = own.map_or("amazonaws.com", |(_, suffix)| suffix);
    format!("{account}.dkr.ecr.{region}.{suffix}")
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::super::identity::Identity;
    use super::super::password::TOKEN_MARKER;
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_785_000_000, 123_456_789);

    fn answer(service: Service, fault: Option<&Fault>) -> (Value, TokenTable) {
        let caller = Caller {
            identity: Identity::new("123456789012", "arn:aws:iam::123456789012:user/a"),
            region: "eu-west-1".into(),
            access_key_id: "AKIA1".into(),
        };
        let mut table = TokenTable::default();
        let life = Duration::from_secs(10);
        let body = authorization(&mut table, service, &caller, fault, NOW, life);
        (serde_json::from_str(&body).unwrap(), table)
    }

    fn token_with(fault: &Fault) -> Value {
        answer(Service::Ecr, Some(fault)).0["authorizationData"][0]["authorizationToken"].take()
    }

    #[test]
    fn ecr_gives_a_list_with_token_expiry_and_host() {
        let (body, table) = answer(Service::Ecr, None);
        let entry = &body["authorizationData"][0];
        let issued = &table.issued()[0];
        let token = STANDARD.decode(entry["authorizationToken"].as_str().unwrap()).unwrap();
        assert_eq!(token, format!("AWS:{}", issued.password).into_bytes());
        assert_eq!(entry["expiresAt"].to_string(), "1785000010.123");
        assert_eq!(issued.expires_at.as_millisecond(), 1_785_000_010_123);
        let host = "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        assert_eq!(entry["proxyEndpoint"], host);
    }

    #[test]
    fn ecr_public_gives_one_object_without_a_host() {
        let (body, table) = answer(Service::EcrPublic, None);
        let keys: Vec<_> = body["authorizationData"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["authorizationToken", "expiresAt"]);
        assert_eq!(table.issued()[0].service, Service::EcrPublic);
    }

    #[test]
    fn an_expiry_on_the_second_is_still_a_float() {
        let mut table = TokenTable::default();
        let caller = Caller {
            identity: Identity::new("1", ""),
            region: String::new(),
            access_key_id: String::new(),
        };
        let token = table.issue(&caller, Service::Ecr, NOW, LONG_AGO);
        assert_eq!(entry(&token, None)["expiresAt"].to_string(), "1420070400.0");
    }

    #[test]
    fn an_answer_without_entries_issues_nothing() {
        for service in [Service::Ecr, Service::EcrPublic] {
            let (empty, table) = answer(service, Some(&Fault::EmptyReply));
            assert_eq!((empty, table.issued().len()), (json!({}), 0));
            let (none, table) = answer(service, Some(&Fault::NoEntries));
            assert!(none["authorizationData"].is_array() || none["authorizationData"].is_object());
            assert_eq!(table.issued().len(), 0);
        }
    }

    #[test]
    fn a_spoilt_token_is_spoilt_in_one_way_and_still_marked() {
        assert_eq!(token_with(&Fault::NullToken), Value::Null);
        let bad = token_with(&Fault::BadBase64);
        assert!(STANDARD.decode(bad.as_str().unwrap()).is_err());
        let no_colon = token_with(&Fault::NoColon);
        let decoded = STANDARD.decode(no_colon.as_str().unwrap()).unwrap();
        assert!(!decoded.contains(&b':'));
        assert_eq!(token_with(&Fault::NoPassword), STANDARD.encode("AWS:"));
        for token in [bad, no_colon] {
            assert!(token.as_str().unwrap().contains(TOKEN_MARKER));
        }
    }

    #[test]
    fn two_entries_are_two_tokens_of_two_accounts() {
        let (body, table) = answer(Service::Ecr, Some(&Fault::TwoEntries));
        let entries = body["authorizationData"].as_array().unwrap();
        assert_eq!(entries.len(), 2);
        assert_ne!(entries[0]["authorizationToken"], entries[1]["authorizationToken"]);
        assert!(entries[1]["proxyEndpoint"].as_str().unwrap().contains(SECOND_ACCOUNT));
        let accounts: Vec<_> = table.issued().iter().map(|token| &token.account).collect();
        assert_eq!(accounts, ["123456789012", SECOND_ACCOUNT]);
    }

    #[test]
    fn the_host_is_of_another_region_on_request() {
        let (body, _) = answer(Service::Ecr, Some(&Fault::OtherRegion("cn-north-1")));
        let host = "https://123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn";
        assert_eq!(body["authorizationData"][0]["proxyEndpoint"], host);
    }

    #[test]
    fn an_expiry_is_in_2015_or_missing_on_request() {
        let (body, table) = answer(Service::Ecr, Some(&Fault::AlreadyExpired));
        assert_eq!(body["authorizationData"][0]["expiresAt"], 1_420_070_400.0);
        assert!(!table.accepts(&table.issued()[0].password, NOW));
        let (body, table) = answer(Service::Ecr, Some(&Fault::MissingExpiry));
        assert_eq!(body["authorizationData"][0].get("expiresAt"), None);
        assert!(table.accepts(&table.issued()[0].password, NOW));
    }

    #[test]
    fn a_host_has_the_suffix_of_its_partition() {
        assert_eq!(registry_host("1", "cn-north-1"), "1.dkr.ecr.cn-north-1.amazonaws.com.cn");
        assert_eq!(registry_host("1", "us-gov-west-1"), "1.dkr.ecr.us-gov-west-1.amazonaws.com");
        assert_eq!(registry_host("1", "eusc-de-east-1"), "1.dkr.ecr.eusc-de-east-1.amazonaws.eu");
    }
}
