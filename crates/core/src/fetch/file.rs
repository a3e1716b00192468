//! The entries of a docker config file.

use std::path::Path;

use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    Entry, EntryError, FetchError, Files, Reason, shorten,
    tokens::{FileEntries, Token},
};

/// A text editor of Windows writes this at the start of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a docker config file gives no entries. None of these shows what it holds.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("cannot read it: {0}")]
    Unreadable(#[from] std::io::Error),
    // serde_json names what it found: a secret in the wrong place must not be shown.
    #[error("it is not JSON: line {line}, column {column}")]
    Malformed { line: usize, column: usize },
    #[error("it is not a docker config: {0}")]
    NoConfig(&'static str),
    #[error(
        "it has no entry under `auths`: the secrets of a credential helper are not in the file"
    )]
    Empty,
    #[error("no entry is usable: {0}")]
    Unusable(String),
}

/// Reads a docker `config.json` or a `.dockercfg`, as docker, podman, helm and others write it.
///
/// # Errors
/// When it cannot be read, is not a docker config, or has no usable entry.
pub(crate) fn read(path: &Path, files: &Files) -> Result<Token, FetchError> {
    let bytes = files.read(path).map(Zeroizing::new).map_err(FileError::from);
    let entries = bytes.and_then(|bytes| parse(&bytes));
    let described = |error| FetchError::new(Reason::File, format!("{}: {error}", path.display()));
    entries.map(Token::File).map_err(described)
}

/// A JSON value that is wiped from memory when it is dropped.
struct Wiped(Value);

impl Drop for Wiped {
    fn drop(&mut self) {
        fn wipe(value: &mut Value) {
            match value {
                Value::String(text) => text.zeroize(),
                Value::Array(items) => items.iter_mut().for_each(wipe),
                Value::Object(fields) => fields.values_mut().for_each(wipe),
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
        wipe(&mut self.0);
    }
}

fn parse(bytes: &[u8]) -> Result<FileEntries, FileError> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let file = serde_json::from_slice(bytes)
        .map(Wiped)
        .map_err(|error| FileError::Malformed { line: error.line(), column: error.column() })?;
    let Value::Object(fields) = &file.0 else {
        return Err(FileError::NoConfig("it is not an object"));
    };
    let mut found = FileEntries::default();
    for (key, entry) in auths(fields)? {
        match entry.as_object().ok_or(EntryError::NoObject).and_then(Entry::verbatim) {
            Ok(entry) => drop(found.usable.insert(key.clone(), entry)),
            Err(error) => drop(found.left_out.insert(key.clone(), error)),
        }
    }
    if !found.usable.is_empty() {
        return Ok(found);
    }
    let left_out = found.left_out.iter().map(|(key, error)| format!("{key:?}: {error}"));
    let left_out: Vec<_> = left_out.collect();
    if left_out.is_empty() {
        return Err(FileError::Empty);
    }
    Err(FileError::Unusable(shorten(&left_out.join("; "))))
}

/// The entries: those under `auths`, or all fields of a `.dockercfg`, which has no `auths`.
fn auths(fields: &Map<String, Value>) -> Result<&Map<String, Value>, FileError> {
    // Go finds a field whatever its case is.
    let auths = fields.iter().rfind(|(name, _)| name.eq_ignore_ascii_case("auths"));
    match auths.map(|(_, auths)| auths) {
        Some(Value::Object(entries)) => Ok(entries),
        None if is_legacy(fields) => Ok(fields),
        None | Some(Value::Null) => Err(FileError::Empty),
        Some(_) => Err(FileError::NoConfig("`auths` is not an object")),
    }
}

/// Whether it is a `.dockercfg`: each field is an entry.
fn is_legacy(fields: &Map<String, Value>) -> bool {
    let is_entry = |value: &Value| {
        value.as_object().is_some_and(|entry| {
            let names = ["auth", "username", "password", "email"];
            entry.keys().any(|key| names.iter().any(|name| key.eq_ignore_ascii_case(name)))
        })
    };
    !fields.is_empty() && fields.values().all(is_entry)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::damage::damaged;

    fn read_text(text: &str) -> Result<FileEntries, FetchError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        match read(file.path(), &Files::system())? {
            Token::File(entries) => Ok(entries),
            token @ Token::Ecr { .. } => panic!("{token:?}"),
        }
    }

    /// The usable keys, and those that were left out.
    fn keys(text: &str) -> (Vec<String>, Vec<String>) {
        let FileEntries { usable, left_out } = read_text(text).unwrap();
        (usable.into_keys().collect(), left_out.into_keys().collect())
    }

    #[test]
    fn keys_and_entries_stay_as_they_are_written() {
        let text = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "bWU6c2VjcmV0", "email": "me@example.com"},
            "https://index.docker.io/v1/access-token": {"auth": "bWU6dG9rZW4="},
            "quay.io/org-a": {"auth": "YTpz"}, "quay.io/org-b": {"auth": "Yjpz"},
            "*.example.com:5000": {"username": "me", "password": "secret"}
        }, "credsStore": "ignored"}"#;
        let entries = read_text(text).unwrap();
        let usable: Vec<_> =
            entries.usable.iter().map(|(key, entry)| (key.as_str(), entry.expose())).collect();
        assert_eq!(
            usable,
            [
                ("*.example.com:5000", r#"{"password":"secret","username":"me"}"#),
                (
                    "https://index.docker.io/v1/",
                    r#"{"auth":"bWU6c2VjcmV0","email":"me@example.com"}"#
                ),
                ("https://index.docker.io/v1/access-token", r#"{"auth":"bWU6dG9rZW4="}"#),
                ("quay.io/org-a", r#"{"auth":"YTpz"}"#),
                ("quay.io/org-b", r#"{"auth":"Yjpz"}"#),
            ]
        );
        assert!(entries.left_out.is_empty());
    }

    #[test]
    fn an_entry_without_credentials_is_left_out_and_the_others_go_on() {
        let text = r#"{"auths": {
            "a": {}, "b": {"auth": "bWU6c2VjcmV0"}, "c": {"identitytoken": "x"}, "d": null, "e": "x"
        }}"#;
        let left_out = ["a", "c", "d", "e"].map(str::to_owned).to_vec();
        assert_eq!(keys(text), (vec!["b".to_owned()], left_out));
    }

    #[test]
    fn a_dockercfg_is_read_and_so_is_a_file_with_a_byte_order_mark() {
        let legacy = r#"{"a.example.com": {"auth": "bWU6c2VjcmV0", "email": ""}}"#;
        let marked = format!("\u{feff}{legacy}");
        let other_case = r#"{"Auths": {"a.example.com": {"auth": "bWU6c2VjcmV0"}}}"#;
        for text in [legacy, &marked, other_case] {
            assert_eq!(keys(text), (vec!["a.example.com".to_owned()], vec![]), "{text}");
        }
    }

    #[test]
    fn an_error_names_the_file_and_the_entry_but_shows_no_secret() {
        for (text, words) in [
            (r#"{"auths": {"a.example.com": {"auth": "hunter2!"}}}"#, "a.example.com"),
            (r#"{"auths": {"a.example.com": "hunter2"}}"#, "it is not an object"),
            (r#"{"auths": {"a.example.com": {"password": "hunter2"}}}"#, "a.example.com"),
            (r#"{"auths": {}}"#, "no entry under `auths`"),
            (r#"{"credsStore": "desktop"}"#, "credential helper"),
            (r#"{"auths": null}"#, "no entry under `auths`"),
            (r#"["hunter2"]"#, "not an object"),
            ("hunter2", "line 1"),
            ("", "line 1"),
        ] {
            let error = read_text(text).unwrap_err();
            assert_eq!(error.reason, Reason::File);
            assert!(!error.message.contains("hunter2"), "{error}");
            assert!(error.message.contains(words), "{error}");
        }
    }

    const GOOD: &str = r#"{"auths": {
        "https://a.example.com/v1/": {"auth": "bWU6aHVudGVyMg==", "email": ""},
        "b.example.com": {"username": "me", "password": "hunter2", "identitytoken": "hunter2"}
    }}"#;

    proptest! {
        #[test]
        fn no_file_panics_or_shows_its_secrets(
            bytes in prop_oneof![vec(any::<u8>(), 0..100), damaged(GOOD)],
        ) {
            match parse(&bytes) {
                Ok(found) => {
                    prop_assert!(!found.usable.is_empty());
                    let shown = format!("{found:?}");
                    prop_assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVy"), "{shown}");
                }
                Err(error) => {
                    let shown = format!("{error} {error:?}");
                    prop_assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVy"), "{shown}");
                }
            }
        }
    }

    #[test]
    fn a_missing_file_is_an_error_that_names_it() {
        let error = read(Path::new("/nowhere/config.json"), &Files::system()).unwrap_err();
        assert!(error.message.contains("/nowhere/config.json"), "{error}");
    }
}
