//! One entry of a docker config: a JSON object that holds a secret.

use std::fmt;

use base64::{
    Engine, alphabet,
    engine::{GeneralPurpose, GeneralPurposeConfig, general_purpose::NO_PAD},
};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::Auth;

/// Base64 as Go reads it: with or without padding, and whatever the last bits are.
const PADDED: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);
const UNPADDED: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, NO_PAD.with_decode_allow_trailing_bits(true));

/// An entry, as the JSON text that a document holds.
///
/// Its memory is wiped when it is dropped, and its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry(Zeroizing<String>);

/// Why nobody can pull with an entry. None of these shows what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// There is neither `auth` nor `username` and `password`.
    #[error(
        "it has neither `auth` nor `username` and `password`: the secrets of a credential helper are not in the file"
    )]
    Empty,
    /// There is only an identity token, which kubelet does not use.
    #[error("it has only an identity token: kubelet needs a user name and a password")]
    IdentityToken,
    /// `auth` is not what it should be.
    #[error("its `auth` is not base64 of `USER:PASSWORD`")]
    BadAuth,
    /// It is not an object.
    #[error("it is not an object")]
    NoObject,
    /// A value is no text.
    #[error("its `{0}` is not a text")]
    NoText(&'static str),
}

impl Entry {
    /// The entry of an ECR token, as `docker login` writes it.
    #[must_use]
    pub fn of_auth(auth: &Auth) -> Self {
        // Base64 has no character that JSON escapes.
        Self(Zeroizing::new(format!(r#"{{"auth":"{}"}}"#, auth.expose())))
    }

    /// An entry of a file, as it is written there.
    ///
    /// # Errors
    /// When kubelet finds no user name and password in it. One such entry would make it refuse the whole
    /// Secret (k8s.io/kubernetes, `pkg/credentialprovider/config.go`).
    pub fn verbatim(object: &Map<String, Value>) -> Result<Self, EntryError> {
        check(object)?;
        // A map of JSON values always serialises.
        Ok(Self(Zeroizing::new(serde_json::to_string(object).unwrap_or_default())))
    }

    /// The JSON text. The caller then holds a secret.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Entry(hidden)")
    }
}

/// Whether kubelet finds a user name and a password. A filled `auth` goes before the other two.
fn check(object: &Map<String, Value>) -> Result<(), EntryError> {
    let [auth, user, password, email, token] =
        ["auth", "username", "password", "email", "identitytoken"].map(|name| text(object, name));
    // Kubelet does not use the address, but refuses all that is no text.
    email?;
    let (auth, user, password) = (auth?, user?, password?);
    let is_filled = if auth.is_empty() {
        !user.is_empty() && !password.is_empty()
    } else {
        let plain = decode(auth).ok_or(EntryError::BadAuth)?;
        let colon = plain.iter().position(|&byte| byte == b':').ok_or(EntryError::BadAuth)?;
        colon > 0 && plain.len() > colon + 1
    };
    if is_filled {
        Ok(())
    } else if !token.unwrap_or_default().is_empty() {
        Err(EntryError::IdentityToken)
    } else {
        Err(EntryError::Empty)
    }
}

/// The text of a field; empty where it is missing or null. Go finds a field whatever its case is, and of
/// several takes the last.
fn text<'a>(object: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, EntryError> {
    let found = object.iter().rfind(|(key, _)| key.eq_ignore_ascii_case(name));
    match found.map(|(_, value)| value) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(EntryError::NoText(name)),
    }
}

/// What kubelet reads of an `auth`: line breaks do not count, and padding only where there is some.
fn decode(auth: &str) -> Option<Zeroizing<Vec<u8>>> {
    let is_padded = auth.trim_end().ends_with('=');
    let engine = if is_padded { &PADDED } else { &UNPADDED };
    let joined: Zeroizing<String> =
        Zeroizing::new(auth.chars().filter(|char| !matches!(char, '\r' | '\n')).collect());
    engine.decode(joined.as_bytes()).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn verbatim(entry: &Value) -> Result<String, EntryError> {
        Entry::verbatim(entry.as_object().unwrap()).map(|entry| entry.expose().to_owned())
    }

    #[test]
    fn an_entry_of_a_file_is_kept_as_it_is_written() {
        for entry in [
            json!({ "auth": "bWU6c2VjcmV0" }),
            json!({ "auth": "bWU6c2VjcmV0\n", "email": "me@example.com" }),
            // Without padding, wrapped, and with bits that do not count.
            json!({ "auth": "bWU6c2VjcmV0cw" }),
            json!({ "auth": "bWU6\r\nc2VjcmV0" }),
            json!({ "auth": "bWU6c2VjcmV0cx==" }),
            json!({ "auth": "", "username": "me", "password": "secret" }),
            json!({ "username": "me", "password": "secret", "auth": null }),
            json!({ "Username": "me", "PASSWORD": "secret" }),
            json!({ "auth": "bWU6c2VjcmV0", "identitytoken": "x" }),
        ] {
            assert_eq!(verbatim(&entry).as_deref(), Ok(&*entry.to_string()), "{entry}");
        }
    }

    #[test]
    fn an_entry_that_nobody_can_pull_with_is_refused() {
        for (entry, error) in [
            (json!({}), EntryError::Empty),
            (json!({ "email": "me@example.com" }), EntryError::Empty),
            (json!({ "username": "me" }), EntryError::Empty),
            (json!({ "auth": "bWU6" }), EntryError::Empty),
            (json!({ "auth": "OnNlY3JldA==" }), EntryError::Empty),
            (json!({ "identitytoken": "x" }), EntryError::IdentityToken),
            (json!({ "auth": "MDAwOg==", "identitytoken": "x" }), EntryError::IdentityToken),
            (json!({ "auth": "bWU=" }), EntryError::BadAuth),
            (json!({ "auth": "%" }), EntryError::BadAuth),
            (json!({ "auth": 7 }), EntryError::NoText("auth")),
            (json!({ "username": "me", "password": ["secret"] }), EntryError::NoText("password")),
            (json!({ "auth": "bWU6c2VjcmV0", "email": 7 }), EntryError::NoText("email")),
        ] {
            assert_eq!(verbatim(&entry), Err(error), "{entry}");
        }
    }

    #[test]
    fn debug_shows_nothing_of_it() {
        let entry = Entry::of_auth(&Auth::from_user_and_password("AWS", "hunter2").unwrap());
        assert_eq!(entry.expose(), r#"{"auth":"QVdTOmh1bnRlcjI="}"#);
        assert_eq!(format!("{entry:?}"), "Entry(hidden)");
    }
}
