//! The shape of a config: its keys and the kinds of their values. What does not fit is reported and left
//! out, so that the rest is checked too.

use figment::{
    error::{Actual, Kind},
    value::Value,
};

use super::{
    origins::Origins,
    problem::{Problem, suggest},
    raw::RawConfig,
    yaml::Tree,
};

/// A file with more problems than this is something else.
const MOST_PROBLEMS: usize = 100;

/// The config without what does not fit; `None` if there is too much of it.
pub(super) fn read(origins: &mut Origins<'_>, problems: &mut Vec<Problem>) -> Option<RawConfig> {
    let mut values = match origins.figment.find_value("") {
        Ok(values) => values,
        Err(error) => {
            problems.push(explain(&error.kind, &error.path, origins));
            return None;
        }
    };
    loop {
        let error = match values.deserialize::<RawConfig>() {
            Ok(raw) => return Some(raw),
            Err(error) => error,
        };
        let mut path = error.path.clone();
        if let Kind::UnknownField(field, _) = &error.kind
            && path.last() != Some(field)
        {
            path.push(field.clone());
        }
        problems.push(explain(&error.kind, &path, origins));
        if problems.len() >= MOST_PROBLEMS || !remove(&mut values, &path) {
            return None;
        }
        origins.leave_out(&path, may_be_secret(&error.kind));
    }
}

/// Whether a value that does not fit may be a secret, at a wrong key.
fn may_be_secret(kind: &Kind) -> bool {
    use Actual::{Bool, Float, Signed, Str, Unsigned};
    match kind {
        Kind::UnknownVariant(..)
        | Kind::InvalidType(Bool(_) | Signed(_) | Unsigned(_) | Float(_), _) => false,
        // Such as the content of a docker file in place of its path.
        Kind::InvalidType(Str(_), expected) => plain(expected).starts_with("a mapping"),
        _ => true,
    }
}

/// Whether there was a value at this path.
fn remove(values: &mut Value, path: &[String]) -> bool {
    let Some((key, rest)) = path.split_first() else { return false };
    match values {
        Value::Dict(_, dict) if rest.is_empty() => dict.remove(key).is_some(),
        Value::Dict(_, dict) => dict.get_mut(key).is_some_and(|value| remove(value, rest)),
        Value::Array(_, items) => {
            let Some(index) = key.parse().ok().filter(|&index| index < items.len()) else {
                return false;
            };
            if rest.is_empty() {
                items.remove(index);
                return true;
            }
            remove(&mut items[index], rest)
        }
        _ => false,
    }
}

fn explain(kind: &Kind, path: &[String], origins: &Origins<'_>) -> Problem {
    let key = name_of(&origins.original(path));
    let problem = |message: String| Problem::new(origins.location(path), message);
    match kind {
        Kind::UnknownField(field, _) if field.starts_with("//") || field.starts_with("/*") => {
            problem("this is not a comment".to_owned()).help("begin a comment with `#`")
        }
        Kind::UnknownField(field, known) => {
            problem(format!("unknown key `{field}`")).help(suggest(field, known))
        }
        Kind::UnknownVariant(value, known) => {
            problem(format!("invalid value `{value}` for `{key}`")).help(suggest(value, known))
        }
        Kind::InvalidType(Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_), expected)
            if plain(expected) == "a text" =>
        {
            problem(format!("`{key}` is a number, but must be a text")).help("put it in quotes")
        }
        Kind::InvalidType(Actual::Bool(_), expected) if plain(expected) == "a text" => {
            problem(format!("`{key}` is true or false, but must be a text"))
                .help("put it in quotes")
        }
        Kind::InvalidType(Actual::Unit | Actual::Option, expected)
            if origins.tree.is_marked(path) =>
        {
            let expected = plain(expected).split(';').next().unwrap_or_default();
            let message = format!("`{key}` is empty, but must be {expected}");
            problem(message).help("put a text that begins with `!` or `&` in quotes")
        }
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            let expected = plain(expected);
            let problem =
                problem(format!("`{key}` is {}, but must be {expected}", kind_of(actual)));
            match actual {
                Actual::Map if expected == "a list" => problem.help("begin each item with `- `"),
                Actual::Str(_) if expected.starts_with("a list") && path.len() > 1 => {
                    problem.help("put it in brackets, as `[…]`")
                }
                _ => problem,
            }
        }
        Kind::MissingField(field) => problem(format!("`{field}` is missing")),
        _ => problem(format!("`{key}` is not valid")),
    }
}

/// The type that a value must have, in the words of YAML.
fn plain(expected: &str) -> &str {
    match expected {
        "a string" | "string" | "path string" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "f64" => "a number",
        "u64" => "a whole number",
        _ if expected.starts_with("struct ") || expected == "a map" => "a mapping",
        own => own,
    }
}

/// The last key of a path, with its index in a list: `accounts[0]`.
fn name_of(path: &[String]) -> String {
    match path {
        [] => "the file".to_owned(),
        [.., list, index] if index.parse::<usize>().is_ok() => format!("{list}[{index}]"),
        [.., key] => key.clone(),
    }
}

/// The kind of a value, without the value: it may be long, or a secret at the wrong key.
fn kind_of(actual: &Actual) -> &'static str {
    match actual {
        Actual::Bool(_) => "true or false",
        Actual::Signed(_) => "a number below 0",
        Actual::Unsigned(_) | Actual::Float(_) => "a number",
        Actual::Str(_) | Actual::Char(_) => "a text",
        Actual::Unit | Actual::Option => "empty",
        Actual::Seq => "a list",
        Actual::Map => "a mapping",
        _ => "something else",
    }
}

/// The problem of YAML that is no config at all.
pub(super) fn other_kind_of_file(tree: &Tree) -> Option<Problem> {
    let values = tree.values();
    let problem =
        |key: &str, message: &str| Problem::new(tree.location(&[key.to_owned()]), message);
    if values.contains_key("apiVersion") && values.contains_key("kind") {
        let problem = problem("kind", "this is a Kubernetes manifest");
        return Some(
            problem.help("name a file that has the config alone, as under one key of a ConfigMap"),
        );
    }
    let is_config = ["registries", "secrets"].iter().any(|key| values.contains_key(*key));
    if matches!(values.get("config"), Some(Value::Dict(..))) && !is_config {
        let problem = problem("config", "these are values of the chart");
        return Some(problem.help("name a file that has what is below `config` alone"));
    }
    None
}
