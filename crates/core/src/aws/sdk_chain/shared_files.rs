//! The shared files of the AWS tools: credentials and config.

use std::{
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::super::keys::{self, KeyError, Part};
use crate::{FetchError, Reason};

/// Both files: the variable for its path, and the path below the home folder otherwise.
const FILES: [(&str, &str); 2] =
    [("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"), ("AWS_CONFIG_FILE", ".aws/config")];
/// The variables with keys, of which the SDK reads one more than the documented ones.
const VARIABLES: [&str; 4] =
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// A number that changes with the content of the files.
pub(super) fn content_hash() -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in paths() {
        read(&path).as_deref().hash(&mut hasher);
    }
    hasher.finish()
}

/// The error of an invalid part of credentials, naming the variable or the file that it is from.
pub(super) fn invalid(part: Part, text: &str, error: KeyError) -> FetchError {
    let variable = VARIABLES.iter().find(|variable| {
        env::var(variable).is_ok_and(|value| value.trim() == text.trim() && !text.is_empty())
    });
    let file = || paths().find(|path| read(path).is_some_and(|content| content.contains(text)));
    let place = match variable {
        Some(variable) => (*variable).to_owned(),
        None => file().map_or_else(
            || "the AWS SDK's chain of credentials".to_owned(),
            |path| path.display().to_string(),
        ),
    };
    described(&place, part, error)
}

/// The first line of the files with something that cannot be a key.
pub(super) fn find_invalid() -> Option<FetchError> {
    paths().find_map(|path| find_invalid_in(&path))
}

fn find_invalid_in(path: &Path) -> Option<FetchError> {
    let content = read(path)?;
    content.lines().zip(1..).find_map(|(line, number)| {
        let (name, value) = line.split_once('=')?;
        let parts = [Part::AccessKeyId, Part::SecretAccessKey, Part::SessionToken];
        let is_of = |part: &Part| part.variable().eq_ignore_ascii_case(name.trim());
        let part = parts.into_iter().find(is_of)?;
        let error = keys::check(value.trim_matches([' ', '\t', '\r'])).err()?;
        Some(described(&format!("{}:{number}", path.display()), part, error))
    })
}

fn described(place: &str, part: Part, error: KeyError) -> FetchError {
    let message = format!(
        "no AWS credentials: {place}: the {part} {error}; write the key alone, as AWS gave it"
    );
    FetchError::new(Reason::NoCredentials, message)
}

fn paths() -> impl Iterator<Item = PathBuf> {
    let home = || env::var_os("HOME").map(PathBuf::from);
    FILES.into_iter().filter_map(move |(variable, below_home)| match env::var_os(variable) {
        Some(path) => match Path::new(&path).strip_prefix("~") {
            Ok(rest) => Some(home()?.join(rest)),
            Err(_) => Some(path.into()),
        },
        None => Some(home()?.join(below_home)),
    })
}

/// `None` if there is no such file. Bytes that are not UTF-8 are replaced by a mark that cannot be in a key.
fn read(path: &Path) -> Option<Zeroizing<String>> {
    let bytes = Zeroizing::new(fs::read(path).ok()?);
    Some(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_cannot_be_a_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials");
        for (value, words) in [
            ("hun\u{a0}ter2", "credentials:3: the secret access key has a character that is not"),
            ("hun ter2", "has a blank"),
            ("", "is empty"),
        ] {
            let content =
                format!("[default]\naws_access_key_id = AKIA\naws_secret_access_key = {value}\r\n");
            fs::write(&file, content).unwrap();
            let error = find_invalid_in(&file).unwrap();
            assert_eq!(error.reason, Reason::NoCredentials);
            assert!(error.message.contains(words) && !error.message.contains("ter2"), "{error}");
        }
        fs::write(&file, "[default]\naws_access_key_id=AKIA\nregion = eu west\n").unwrap();
        assert_eq!(find_invalid_in(&file), None);
    }
}
