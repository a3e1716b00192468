//! The replies of ECR and ECR Public.

use base64::{Engine, engine::general_purpose::STANDARD};
use ecr_refresher_tests::fake_aws::registry_host;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    faults::{Fault, Mangling},
    request::Service,
    tokens::IssuedToken,
};

/// The reply to `GetAuthorizationToken` with a token.
pub(super) fn authorization(token: &IssuedToken, fault: Option<&Fault>) -> String {
    let mangling = match fault {
        Some(Fault::Mangled(mangling)) => Some(*mangling),
        _ => None,
    };
    if mangling == Some(Mangling::NoData) {
        return json!({}).to_string();
    }
    let entry = entry(token, fault, mangling);
    let data = match token.service {
        Service::Ecr if mangling == Some(Mangling::TwoEntries) => json!([entry, entry]),
        Service::Ecr => json!([entry]),
        _ => entry,
    };
    json!({ "authorizationData": data }).to_string()
}

fn entry(token: &IssuedToken, fault: Option<&Fault>, mangling: Option<Mangling>) -> Value {
    let mut entry = json!({});
    if mangling != Some(Mangling::NoToken) {
        entry["authorizationToken"] = json!(encoded(&token.text, mangling));
    }
    if mangling != Some(Mangling::NoExpiry) {
        entry["expiresAt"] = epoch_seconds(token.stated_expiry);
    }
    if token.service == Service::Ecr && mangling != Some(Mangling::NoHost) {
        let (mut account, mut region) = (&token.account, &token.region);
        match fault {
            Some(Fault::OtherRegion(other)) => region = other,
            Some(Fault::OtherAccount(other)) => account = other,
            _ => {}
        }
        entry["proxyEndpoint"] = json!(format!("https://{}", registry_host(account, region)));
    }
    entry
}

fn encoded(password: &str, mangling: Option<Mangling>) -> String {
    match mangling {
        Some(Mangling::BadBase64) => format!("{}!", STANDARD.encode(format!("AWS:{password}"))),
        Some(Mangling::NoPassword) => STANDARD.encode("AWS:"),
        _ => STANDARD.encode(format!("AWS:{password}")),
    }
}

/// A number of the JSON protocol: an integer, or with three decimals.
fn epoch_seconds(time: Timestamp) -> Value {
    if time.subsec_nanosecond() == 0 {
        json!(time.as_second())
    } else {
        json!(time.as_duration().as_secs_f64())
    }
}
