//! `check`: is the config file right? With `--cluster`, also: are the rights there that it needs, and do the
//! registries give credentials?

mod cluster;
mod grant;
mod registries;
mod rights;

use ecr_refresher_core::Files;
use serde_json::{Value, json};

use self::cluster::Findings;
use crate::{
    cli::CheckArgs,
    config::{self, Config, ConfigError},
    failure::Failure,
    logging, output,
    runtime::runtime,
    words::plural,
};

/// Checks the config file, and what else is asked for, and prints the result.
pub(crate) fn execute(args: &CheckArgs) -> Result<(), Failure> {
    let path = &args.config.path();
    let config = match config::load(path, &Files::system(), &args.home.name) {
        Ok((config, _)) => config,
        Err(error) => {
            let Some(document) = output::document(args.output, &wrong(&error)) else {
                return Err(error.into());
            };
            output::print(document)?;
            return Err(Failure::Usage(String::new()));
        }
    };
    let findings = if args.with_cluster {
        logging::start_if_asked(args.log.verbose);
        Some(runtime()?.block_on(cluster::check(args, &config))?)
    } else {
        None
    };
    let document = output::document(args.output, &as_json(&config, findings.as_ref()));
    output::print(if let Some(document) = document {
        document
    } else {
        eprint!("{}", config.warnings.warnings());
        let found = findings.as_ref().map(Findings::text).transpose()?.unwrap_or_default();
        format!("{} is valid: {}\n{found}", path.display(), summary(&config))
    })?;
    if findings.is_none_or(|findings| findings.is_good()) { Ok(()) } else { Err(Failure::Reported) }
}

fn as_json(config: &Config, findings: Option<&Findings>) -> Value {
    let mut value = json!({
        "valid": true,
        "registries": config.registries.iter().map(|registry| &*registry.name).collect::<Vec<_>>(),
        "secrets": config.sync.secrets.iter().map(|secret| &secret.name).collect::<Vec<_>>(),
        "warnings": config.warnings.list(),
    });
    if let Some(findings) = findings {
        value["cluster"] = json!(findings);
    }
    value
}

fn wrong(error: &ConfigError) -> Value {
    // A list of plain structs always serialises.
    let mut value = serde_json::to_value(error).unwrap_or_default();
    value["valid"] = false.into();
    value
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
