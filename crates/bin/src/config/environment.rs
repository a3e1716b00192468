//! Overrides from the environment: `ECR_REFRESHER__REFRESH__AT_FRACTION` is `refresh.atFraction`.

use std::env;

use figment::{Figment, Metadata, providers::Env};
use serde_json::Value;

use super::{
    problem::{Location, Problem},
    rules::unknown_region,
    schema,
};
use crate::logging;

/// Before the names of sections; a single `_` parts the words of a key.
const PREFIX: &str = "ECR_REFRESHER__";

/// The environment of the program.
pub(super) struct Environment {
    /// The variables that override the file.
    pub(super) overrides: Env,
    /// Variables that do not what they seem to do.
    pub(super) warnings: Vec<Problem>,
}

impl Environment {
    /// That of the process.
    pub(super) fn system() -> Self {
        let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let names: Vec<_> = names.filter(|name| is_similar(name)).collect();
        let mut warnings = if names.is_empty() { Vec::new() } else { without_effect(&names) };
        let filter = env::var_os(logging::FILTER);
        if let Some((message, help)) = filter.and_then(|it| logging::problem(&it.to_string_lossy()))
        {
            let location = Location::Variable { variable: logging::FILTER.to_owned() };
            warnings.push(Problem::new(location, message).help(help));
        }
        warnings.extend(problem_of_region(|name| env::var(name).ok()));
        Self { overrides: provider(PREFIX), warnings }
    }

    #[cfg(test)]
    pub(super) fn empty() -> Self {
        Self { overrides: provider("NO_SUCH_PREFIX_"), warnings: Vec::new() }
    }
}

fn provider(prefix: &str) -> Env {
    Env::prefixed(prefix).map(|key| to_path(key.as_str()).into()).lowercase(false)
}

/// Whether a variable begins as one of the config, but for an underscore. Kubernetes sets such for a Service.
fn is_similar(name: &str) -> bool {
    name.starts_with(PREFIX.trim_end_matches('_')) && !name.starts_with(PREFIX)
}

/// The problem of the region for registries without one. Behind an endpoint of one's own, it may have any name.
fn problem_of_region(variable: impl Fn(&str) -> Option<String>) -> Option<Problem> {
    let value = |name: &str| variable(name).filter(|value| !value.is_empty());
    let of_region = |name| Some((name, value(name)?));
    let (name, region) = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(of_region)?;
    let (message, help) =
        unknown_region(&region).filter(|_| value("AWS_ENDPOINT_URL").is_none())?;
    Some(Problem::new(Location::Variable { variable: name.to_owned() }, message).help(help))
}

/// The problems of those of these variables that are one of the config but for the number of underscores.
fn without_effect(names: &[String]) -> Vec<Problem> {
    let words = |name: &str| -> Vec<String> {
        name.split('_').filter(|it| !it.is_empty()).map(str::to_owned).collect()
    };
    let known = variables(&schema(), &[]);
    let problem = |name: &String| {
        let meant = known.iter().find(|known| words(known) == words(name))?;
        let location = Location::Variable { variable: name.clone() };
        let problem = Problem::new(location, "this variable has no effect");
        Some(problem.help(format!("did you mean {meant}?")))
    };
    names.iter().filter_map(problem).collect()
}

/// The variables of all keys of a schema, below a path.
fn variables(schema: &Value, path: &[String]) -> Vec<String> {
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let of_key = |(key, schema): (&String, &Value)| {
        let path = [path, std::slice::from_ref(key)].concat();
        [vec![variable(&path)], variables(schema, &path)].concat()
    };
    properties.iter().flat_map(of_key).collect()
}

/// Whether a value came from a variable, by what figment notes of it.
fn is_source(metadata: &Metadata) -> bool {
    metadata.name.contains("environment")
}

/// The variable that has set the value at a path, or all of a section around it.
pub(super) fn source(figment: &Figment, path: &[String]) -> Option<String> {
    let sections = (1..=path.len()).rev().map(|length| &path[..length]);
    // Lists have no metadata below them.
    let (found, metadata) =
        sections.into_iter().find_map(|it| Some((it, figment.find_metadata(&it.join("."))?)))?;
    is_source(metadata).then(|| variable(found))
}

/// The variable that sets a key of the config.
pub(super) fn variable(path: &[String]) -> String {
    let mut name = PREFIX.trim_end_matches('_').to_owned();
    for key in path {
        name.push_str("__");
        for character in key.chars() {
            if character.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(character.to_ascii_uppercase());
        }
    }
    name
}

/// `REFRESH__AT_FRACTION` as `refresh.atFraction`.
fn to_path(variable: &str) -> String {
    let sections = variable.split("__").map(|section| {
        let mut words = section.split('_').map(str::to_ascii_lowercase);
        let first = words.next().unwrap_or_default();
        words.fold(first, |key, word| key + &capitalise(&word))
    });
    sections.collect::<Vec<_>>().join(".")
}

fn capitalise(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + characters.as_str()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_with_an_underscore_too_few_is_noticed() {
        for (name, meant) in [
            ("ECR_REFRESHER_LISTEN", "ECR_REFRESHER__LISTEN"),
            ("ECR_REFRESHER_REFRESH_AT_FRACTION", "ECR_REFRESHER__REFRESH__AT_FRACTION"),
        ] {
            let problems = serde_json::json!(without_effect(&[name.to_owned()]));
            assert!(is_similar(name));
            assert_eq!(problems[0]["help"], format!("did you mean {meant}?"));
        }
        let others = ["ECR_REFRESHER_CONFIG", "ECR_REFRESHER_PORT"].map(str::to_owned);
        assert_eq!(without_effect(&others), []);
        assert!(!is_similar("ECR_REFRESHER__LISTEN") && !is_similar("LISTEN"));
    }

    #[test]
    fn a_region_of_the_environment_that_does_not_exist_is_noticed() {
        let problem = |set: &[(&str, &str)]| {
            let value = |name: &str| set.iter().find(|it| it.0 == name).map(|it| it.1.to_owned());
            problem_of_region(value).map(|problem| serde_json::json!(problem))
        };
        let typo = problem(&[("AWS_REGION", "eu-wset-1")]).unwrap();
        assert_eq!(typo["help"], "did you mean `eu-west-1`?");
        assert!(problem(&[("AWS_DEFAULT_REGION", "us-east-1a")]).is_some());
        for set in [
            &[][..],
            &[("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "x")],
            &[("AWS_REGION", "lab"), ("AWS_ENDPOINT_URL", "http://lab:4566")],
        ] {
            assert_eq!(problem(set), None);
        }
    }

    #[test]
    fn a_variable_and_its_key_lead_to_each_other() {
        assert_eq!(to_path("REFRESH__AT_FRACTION"), "refresh.atFraction");
        assert_eq!(to_path("LISTEN"), "listen");
        let path = ["refresh".to_owned(), "atFraction".to_owned()];
        assert_eq!(variable(&path), "ECR_REFRESHER__REFRESH__AT_FRACTION");
    }
}
