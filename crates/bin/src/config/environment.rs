//! Overrides from the environment: `ECR_REFRESHER__REFRESH__AT_FRACTION` is `refresh.atFraction`.

use figment::{Figment, Metadata, providers::Env};

/// Before the names of sections; a single `_` parts the words of a key.
const PREFIX: &str = "ECR_REFRESHER__";

/// The variables that override the file.
pub(super) fn provider() -> Env {
    Env::prefixed(PREFIX).map(|key| to_path(key.as_str()).into()).lowercase(false)
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
    fn a_variable_and_its_key_lead_to_each_other() {
        assert_eq!(to_path("REFRESH__AT_FRACTION"), "refresh.atFraction");
        assert_eq!(to_path("LISTEN"), "listen");
        let path = ["refresh".to_owned(), "atFraction".to_owned()];
        assert_eq!(variable(&path), "ECR_REFRESHER__REFRESH__AT_FRACTION");
    }
}
