//! Takes the JSON Schema of the config file over into that of the chart's values, as `config`.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/schema.json");
const VALUES: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../helm/ecr-refresher/values.schema.json");

fn main() -> Result<()> {
    fs::write(VALUES, merged()?).with_context(|| format!("writing {VALUES}"))
}

/// The schema of the chart's values.
fn merged() -> Result<String> {
    let values = merge(read(VALUES)?, read(CONFIG)?);
    Ok(format!("{values:#}\n"))
}

fn read(path: &str) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    serde_json::from_str(&text).with_context(|| format!("{path} is not JSON"))
}

/// The config's schema is all in one piece, so there are no definitions to take over.
fn merge(mut values: Value, mut config: Value) -> Value {
    if let Some(root) = config.as_object_mut() {
        // Of a document, and not of a part.
        root.remove("$schema");
        root.remove("title");
        // The chart refuses an empty config by itself, and shows the least that works.
        root.remove("required");
    }
    for list in ["registries", "secrets"] {
        let list = config.pointer_mut(&format!("/properties/{list}"));
        if let Some(list) = list.and_then(Value::as_object_mut) {
            list.remove("minItems");
        }
    }
    values["properties"]["config"] = config;
    values
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_charts_schema_holds_that_of_the_config_file() {
        let committed = fs::read_to_string(VALUES).unwrap();
        assert!(committed == merged().unwrap(), "{VALUES} is out of step: run `make schema`");
    }

    #[test]
    fn only_the_config_of_the_charts_schema_is_replaced() {
        let values = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$defs": { "labels": { "type": "object" } },
            "properties": {
                "config": { "type": "object" },
                "podLabels": { "$ref": "#/$defs/labels" },
            },
        });
        let config = json!({
            "$schema": "…",
            "title": "…",
            "required": ["registries"],
            "properties": { "registries": { "minItems": 1, "type": "array" } },
        });
        let merged = merge(values.clone(), config);
        let expected = json!({ "properties": { "registries": { "type": "array" } } });
        assert_eq!(merged["properties"]["config"], expected);
        assert_eq!(merged["properties"]["podLabels"], values["properties"]["podLabels"]);
        assert_eq!(merged["$defs"], values["$defs"]);
    }

    #[test]
    fn the_schema_of_the_config_file_needs_no_definitions() {
        assert!(!fs::read_to_string(CONFIG).unwrap().contains("\"$ref\""));
    }
}
