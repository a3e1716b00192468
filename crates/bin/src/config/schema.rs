//! The JSON Schema of the config file, for editors and for the chart.
//!
//! It comes from the types that mirror the file ([`raw`](super::raw)); their comments are its
//! descriptions. It says what one value alone decides, and refuses nothing that the program accepts;
//! what values say together, such as a reference to a registry that is not there, is left to `check`.

use schemars::{Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::{Value, json};

use super::raw::RawConfig;

/// A time, such as `5m`, `1h 30m`, `90 seconds`, `0:05:00` or `PT5M`, as jiff reads it.
pub(super) const TIME: &str = concat!(
    r"^[+-]?([0-9]+:[0-9]+:[0-9]+([.,][0-9]+)?",
    r"|([0-9]+([.,][0-9]+)?\s*[hmsunµ][a-z]*[,\s]*)+",
    r"|[Pp].+)$",
);
pub(super) const ACCOUNT: &str = "^[0-9]{12}$";
pub(super) const REGION: &str = "^[a-z0-9-]+$";
pub(super) const ROLE_ARN: &str = "^arn:aws[!-9;-~]*:iam::[0-9]{12}:role/([!-~]*/)?[!-.0-~]{1,64}$";
pub(super) const SESSION_NAME: &str = "^[A-Za-z0-9_+=,.@-]{2,64}$";
/// Without the upper bound of 1224, which is more than some engines count to.
pub(super) const EXTERNAL_ID: &str = "^[A-Za-z0-9_+=,.@:/-]{2,}$";
pub(super) const ABSOLUTE_PATH: &str = "^/";
pub(super) const HTTP_URL: &str = "^[Hh][Tt][Tt][Pp][Ss]?://.";
/// An RFC 1123 subdomain. Names of Secrets and ServiceAccounts are.
pub(super) const SUBDOMAIN: &str =
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$";
pub(super) const ADDRESS: &str = r"^([0-9.]+|\[[0-9A-Fa-f:.%]+\]):[0-9]+$";

/// The schema (draft 2020-12), all in one piece: an editor shows a key's own description, and the
/// chart takes it over without definitions.
pub(crate) fn schema() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    // Such as `uint64`: no format of JSON Schema.
    let no_format = RecursiveTransform(|schema: &mut Schema| {
        schema.remove("format");
    });
    let generator = settings.with_transform(no_format).into_generator();
    generator.into_root_schema_for::<RawConfig>().to_value()
}

/// Exactly one source of credentials; one that is `null` is none.
pub(super) fn one_source() -> Value {
    ["ecr", "ecrPublic", "file"]
        .map(|kind| json!({ "required": [kind], "properties": { kind: { "type": "object" } } }))
        .into()
}
