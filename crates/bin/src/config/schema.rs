//! The JSON Schema of the config file, for editors and for the chart.
//!
//! It comes from the types that mirror the file ([`raw`](super::raw)) and from the rules of the values:
//! the comments of the types are its descriptions. It describes each value alone, and accepts all that the
//! program accepts. `check` also finds values that contradict each other.

use schemars::{Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::{Value, json};

use super::raw::RawConfig;

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
