//! The replies of STS, in XML.

use jiff::Timestamp;

use super::{
    faults::{Fault, Mangling},
    identities::{Identity, Session},
};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The reply to `GetCallerIdentity`.
pub(super) fn caller_identity(identity: &Identity) -> String {
    let result = [
        text("Arn", &identity.arn),
        text("UserId", "AIDASIMULATED"),
        text("Account", &identity.account),
    ];
    response("GetCallerIdentity", &result.concat())
}

/// The reply to `AssumeRole`.
pub(super) fn assumed_role(
    session: &Session,
    stated_expiry: Timestamp,
    fault: Option<&Fault>,
) -> String {
    let arn = &session.identity.arn;
    let name = arn.rsplit('/').next().unwrap_or_default();
    let user = [text("AssumedRoleId", &format!("AROASIMULATED:{name}")), text("Arn", arn)];
    let credentials = [
        text("AccessKeyId", &session.key_id),
        text("SecretAccessKey", &session.secret),
        text("SessionToken", &session.token),
        text("Expiration", &stated_expiry.to_string()),
    ];
    let mut result = element("AssumedRoleUser", &user.concat());
    if fault != Some(&Fault::Mangled(Mangling::NoData)) {
        result.push_str(&element("Credentials", &credentials.concat()));
    }
    response("AssumeRole", &result)
}

/// An error.
pub(super) fn error(status: u16, code: &str, message: &str) -> String {
    let kind = if status < 500 { "Sender" } else { "Receiver" };
    let detail = [text("Type", kind), text("Code", code), text("Message", message)];
    root("ErrorResponse", &element("Error", &detail.concat()))
}

fn response(operation: &str, result: &str) -> String {
    root(&format!("{operation}Response"), &element(&format!("{operation}Result"), result))
}

fn root(name: &str, content: &str) -> String {
    format!("<{name} xmlns=\"{NAMESPACE}\">{content}</{name}>\n")
}

fn text(name: &str, content: &str) -> String {
    let content = content.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    element(name, &content)
}

fn element(name: &str, content: &str) -> String {
    format!("<{name}>{content}</{name}>")
}
