//! Credentials from a docker config file.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{Auth, FetchError, Files, Host, Reason, tokens::Token};

/// Why a docker config file gives no credentials. None of these shows what it holds.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("cannot read it: {0}")]
    Unreadable(#[from] std::io::Error),
    // serde_json names what it found: a secret in the wrong place must not be shown.
    #[error("it is not a docker config: line {line}, column {column}")]
    Malformed { line: usize, column: usize },
    #[error("it has no entry under `auths`")]
    Empty,
    #[error("{host:?}: {problem}")]
    BadEntry { host: String, problem: String },
}

/// The shape of the file; what else is in it is docker's own business.
#[derive(Deserialize)]
struct DockerConfigFile {
    #[serde(default)]
    auths: BTreeMap<String, FileEntry>,
}

#[derive(Deserialize)]
struct FileEntry {
    auth: Option<Zeroizing<String>>,
    username: Option<String>,
    password: Option<Zeroizing<String>>,
}

/// Reads a docker `config.json`, as `docker login` writes it: `{"auths": {"HOST": {"auth": "…"}}}`.
///
/// # Errors
/// When it cannot be read, is not a docker config, or has an unusable entry.
pub(crate) fn read(path: &Path, files: &Files) -> Result<Token, FetchError> {
    let bytes = files.read(path).map(Zeroizing::new).map_err(FileError::from);
    let entries = bytes.and_then(|bytes| parse(&bytes));
    let described = |error| FetchError::new(Reason::File, format!("{}: {error}", path.display()));
    entries.map(Token::File).map_err(described)
}

fn parse(bytes: &[u8]) -> Result<BTreeMap<Host, Auth>, FileError> {
    let file: DockerConfigFile = serde_json::from_slice(bytes)
        .map_err(|error| FileError::Malformed { line: error.line(), column: error.column() })?;
    if file.auths.is_empty() {
        return Err(FileError::Empty);
    }
    file.auths.into_iter().map(|(host, entry)| parse_entry(host, entry)).collect()
}

fn parse_entry(host: String, entry: FileEntry) -> Result<(Host, Auth), FileError> {
    let parsed = match entry {
        FileEntry { auth: Some(auth), .. } => Auth::from_encoded(auth.as_str().to_owned())
            .map_err(|error| format!("its auth: {error}")),
        FileEntry { username: Some(username), password: Some(password), .. } => {
            Auth::from_user_and_password(&username, &password).map_err(|error| error.to_string())
        }
        _ => Err("it has neither `auth` nor `username` and `password`; a credential helper's \
                  secrets are not in the file"
            .to_owned()),
    };
    // Docker Hub's key is a URL with a path; kubelet takes the host of it.
    let bare = host.split_once("://").map_or(host.as_str(), |(_, rest)| rest);
    let bare = bare.split_once('/').map_or(bare, |(host, _)| host);
    let key = Host::from_endpoint(bare).map_err(|error| error.to_string());
    match (key, parsed) {
        (Ok(key), Ok(auth)) => Ok((key, auth)),
        (Err(problem), _) | (_, Err(problem)) => Err(FileError::BadEntry { host, problem }),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read_text(text: &str) -> Result<BTreeMap<Host, Auth>, FetchError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        match read(file.path(), &Files::system())? {
            Token::File(entries) => Ok(entries),
            token @ Token::Ecr { .. } => panic!("{token:?}"),
        }
    }

    #[test]
    fn both_forms_of_an_entry_are_read() {
        let text = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "bWU6c2VjcmV0"},
            "registry.example.com:5000": {"username": "me", "password": "secret"}
        }, "credsStore": "ignored"}"#;
        let entries = read_text(text).unwrap();
        let hosts: Vec<_> = entries.keys().map(Host::as_str).collect();
        assert_eq!(hosts, ["index.docker.io", "registry.example.com:5000"]);
        assert!(entries.values().all(|auth| auth.expose() == "bWU6c2VjcmV0"));
    }

    #[test]
    fn an_error_names_the_file_and_the_entry_but_shows_no_secret() {
        for text in [
            r#"{"auths": {"a.example.com": {"auth": "hunter2!"}}}"#,
            r#"{"auths": {"a.example.com": "hunter2"}}"#,
            r#"{"auths": {"a.example.com": {"username": "", "password": "hunter2"}}}"#,
            r#"{"auths": {"a b": {"username": "me", "password": "hunter2"}}}"#,
            r#"{"auths": {}}"#,
            "hunter2",
        ] {
            let error = read_text(text).unwrap_err();
            assert_eq!(error.reason, Reason::File);
            assert!(!error.message.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_an_error_that_names_it() {
        let error = read(Path::new("/nowhere/config.json"), &Files::system()).unwrap_err();
        assert!(error.message.contains("/nowhere/config.json"), "{error}");
    }
}
