//! Credentials from a docker config file.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{Auth, Credentials, FetchError, Host, Reason, ecr::Served};

/// A docker `config.json`, as `docker login` writes it: `{"auths": {"HOST": {"auth": "…"}}}`.
#[derive(Debug, Clone)]
pub struct FileSource {
    /// Where the file is.
    pub path: PathBuf,
    /// The hosts of the ECR registries, whose entries this file must not have.
    pub served: Served,
}

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
    #[error(
        "it has an entry for {host}, which the registry {registry} serves too; take it out of the file"
    )]
    ServedTwice { host: Host, registry: String },
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

impl FileSource {
    /// Reads the file now.
    ///
    /// # Errors
    /// When it cannot be read, is no docker config, or holds an entry that cannot be used, or
    /// one for a host that an ECR registry serves.
    pub fn read(&self) -> Result<Credentials, FetchError> {
        let bytes = fs::read(&self.path).map(Zeroizing::new).map_err(FileError::from);
        let entries = bytes.and_then(|bytes| self.check(parse(&bytes)?)).map_err(|error| {
            FetchError::new(Reason::File, format!("{}: {error}", self.path.display()))
        })?;
        Ok(Credentials { entries, lifetime: None })
    }

    fn check(&self, entries: BTreeMap<Host, Auth>) -> Result<BTreeMap<Host, Auth>, FileError> {
        let twice = entries.keys().find_map(|host| Some((host, self.served.by(host)?)));
        match twice {
            Some((host, registry)) => Err(FileError::ServedTwice {
                host: host.clone(),
                registry: registry.as_ref().to_owned(),
            }),
            None => Ok(entries),
        }
    }
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

    fn read(text: &str) -> Result<Credentials, FetchError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        FileSource { path: file.path().to_owned(), served: Served::default() }.read()
    }

    #[test]
    fn both_forms_of_an_entry_are_read() {
        let text = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "bWU6c2VjcmV0"},
            "registry.example.com:5000": {"username": "me", "password": "secret"}
        }, "credsStore": "ignored"}"#;
        let credentials = read(text).unwrap();
        let hosts: Vec<_> = credentials.entries.keys().map(Host::as_str).collect();
        assert_eq!(hosts, ["index.docker.io", "registry.example.com:5000"]);
        assert!(credentials.entries.values().all(|auth| auth.expose() == "bWU6c2VjcmV0"));
        assert_eq!(credentials.lifetime, None);
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
            let error = read(text).unwrap_err();
            assert_eq!(error.reason, Reason::File);
            assert!(!error.message.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_an_error_that_names_it() {
        let error = FileSource { path: "/nowhere/config.json".into(), served: Served::default() };
        let error = error.read().unwrap_err();
        assert!(error.message.contains("/nowhere/config.json"), "{error}");
    }

    #[test]
    fn an_entry_for_a_host_of_an_ecr_registry_is_refused_with_both_names() {
        let served = Served::default();
        let host = Host::from_endpoint("public.ecr.aws").unwrap();
        let gallery = served.enter("gallery".into(), vec![host]);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(br#"{"auths": {"public.ecr.aws": {"auth": "bWU6c2VjcmV0"}}}"#).unwrap();
        let source = FileSource { path: file.path().to_owned(), served };
        let error = source.read().unwrap_err();
        assert_eq!(error.reason, Reason::File);
        assert!(error.message.contains("public.ecr.aws, which the registry gallery"), "{error}");
        drop(gallery);
        assert!(source.read().is_ok());
    }
}
