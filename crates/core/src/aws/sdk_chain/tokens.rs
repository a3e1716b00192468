//! The token files of web identity and of containers, which the AWS SDK passes on as they are.

use std::{env, fs, path::Path};

use super::super::keys;
use crate::{FetchError, Reason};

/// The variables that name a token file, in the order in which the chain looks at them.
const FILES: [&str; 2] = ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];
/// A token of a container in the environment itself.
const VARIABLE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";

/// Checks the tokens that the chain would use: keys in the environment and profiles go before them.
///
/// # Errors
/// `no_credentials`, naming the file or the variable, if one cannot be a token.
pub(super) fn check(is_set: impl Fn(&str) -> bool) -> Result<(), FetchError> {
    if is_set("AWS_ACCESS_KEY_ID") || is_set("AWS_PROFILE") {
        return Ok(());
    }
    for variable in FILES {
        if let Some(path) = env::var_os(variable) {
            check_file(variable, Path::new(&path))?;
        }
    }
    env::var_os(VARIABLE).map_or(Ok(()), |token| check_token(VARIABLE, &token.to_string_lossy()))
}

fn check_file(variable: &str, path: &Path) -> Result<(), FetchError> {
    // One that cannot be read is reported by the chain.
    let Ok(bytes) = fs::read(path) else { return Ok(()) };
    check_token(&format!("{} ({variable})", path.display()), &String::from_utf8_lossy(&bytes))
}

/// Bytes of `token` that are not UTF-8 are replaced by a mark that cannot be in one.
fn check_token(place: &str, token: &str) -> Result<(), FetchError> {
    keys::check(token).map_err(|error| {
        let message =
            format!("no AWS credentials: the token in {place} {error}; write the token alone");
        FetchError::new(Reason::NoCredentials, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_token_is_refused_by_the_name_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        for (bytes, words) in [
            (&b"hunter2\n"[..], "token (AWS_WEB_IDENTITY_TOKEN_FILE) has a line break"),
            (b"\xef\xbb\xbfhunter2", "has a byte order mark"),
            (b"hunter2\xff", "is not printable ASCII"),
            (b"", "is empty"),
        ] {
            fs::write(&file, bytes).unwrap();
            let error = check_file(FILES[0], &file).unwrap_err();
            assert_eq!(error.reason, Reason::NoCredentials);
            assert!(error.message.contains(words) && !error.message.contains("hunter"), "{error}");
        }
        fs::write(&file, "eyJhbGciOi.J9_-").unwrap();
        assert_eq!(check_file(FILES[0], &file), Ok(()));
        assert_eq!(check_file(FILES[0], &folder.path().join("none")), Ok(()));
    }
}
