//! `check`: is the config file right?

use serde_json::json;

use crate::{
    cli::{CheckArgs, Failure, Output},
    config::{self, Config, ConfigError},
    output,
    words::plural,
};

/// Checks the config file and prints the result.
pub(crate) fn execute(args: &CheckArgs) -> Result<(), Failure> {
    let path = &args.config.config;
    let result = config::load(path).map(|(config, _)| config);
    match args.output {
        Output::Json => {
            output::print(format!("{}\n", as_json(&result)))?;
            result.map(|_| ()).map_err(|_| Failure::Usage(String::new()))
        }
        Output::Text => {
            let config = result.map_err(|error| Failure::Usage(error.to_string()))?;
            output::print(format!("{} is right: {}\n", path.display(), summary(&config)))
        }
    }
}

fn as_json(result: &Result<Config, ConfigError>) -> serde_json::Value {
    match result {
        Ok(config) => json!({
            "valid": true,
            "registries": config.registries.iter().map(|registry| &*registry.name).collect::<Vec<_>>(),
            "secrets": config.sync.secrets.iter().map(|secret| &secret.name).collect::<Vec<_>>(),
        }),
        Err(error) => {
            // A list of plain structs always serialises.
            let mut value = serde_json::to_value(error).unwrap_or_default();
            value["valid"] = false.into();
            value
        }
    }
}

fn summary(config: &Config) -> String {
    let plural = |count: usize, one: &str, many: &str| plural(count as u64, one, many);
    let patterns =
        config.sync.secrets.iter().map(|secret| secret.allow_list.patterns().len()).sum();
    format!(
        "{}, {}, {}",
        plural(config.registries.len(), "registry", "registries"),
        plural(config.sync.secrets.len(), "pull Secret", "pull Secrets"),
        plural(patterns, "pattern", "patterns"),
    )
}
