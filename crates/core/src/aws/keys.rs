//! What can be an AWS key or a token: printable ASCII without blanks.
//!
//! All of them become headers of HTTP. With a line break, for example, the SDK panics while it signs.

use std::fmt;

use aws_credential_types::Credentials;

/// Why a text cannot be a key. It shows nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyError {
    #[error("is empty")]
    Empty,
    #[error("has a line break")]
    LineBreak,
    #[error("has a blank")]
    Blank,
    #[error("has a byte order mark")]
    ByteOrderMark,
    #[error("has a control character")]
    Control,
    #[error("has a character that is not printable ASCII")]
    NotAscii,
}

/// A part of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    AccessKeyId,
    SecretAccessKey,
    SessionToken,
}

impl Part {
    /// The environment variable for it, and the file in a folder of keys.
    pub(super) fn variable(self) -> &'static str {
        match self {
            Self::AccessKeyId => "AWS_ACCESS_KEY_ID",
            Self::SecretAccessKey => "AWS_SECRET_ACCESS_KEY",
            Self::SessionToken => "AWS_SESSION_TOKEN",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::AccessKeyId => "access key ID",
            Self::SecretAccessKey => "secret access key",
            Self::SessionToken => "session token",
        })
    }
}

/// Whether a text can be a key or a token.
///
/// # Errors
/// The first character that cannot be in one.
pub(super) fn check(text: &str) -> Result<(), KeyError> {
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    match text.chars().find(|char| !char.is_ascii_graphic()) {
        None => Ok(()),
        Some('\r' | '\n') => Err(KeyError::LineBreak),
        Some(' ' | '\t') => Err(KeyError::Blank),
        Some('\u{feff}') => Err(KeyError::ByteOrderMark),
        Some(char) if char.is_control() => Err(KeyError::Control),
        Some(_) => Err(KeyError::NotAscii),
    }
}

/// The first part that cannot be one, and its text. The caller then holds a secret.
pub(super) fn find_invalid(credentials: &Credentials) -> Option<(Part, &str, KeyError)> {
    let parts = [
        (Part::AccessKeyId, Some(credentials.access_key_id())),
        (Part::SecretAccessKey, Some(credentials.secret_access_key())),
        (Part::SessionToken, credentials.session_token()),
    ];
    parts.into_iter().find_map(|(part, text)| {
        let text = text?;
        Some((part, text, check(text).err()?))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_cause_is_named() {
        for (text, error) in [
            ("", KeyError::Empty),
            ("wJalr\n", KeyError::LineBreak),
            ("wJal\r\nr", KeyError::LineBreak),
            (" wJalr", KeyError::Blank),
            ("wJ\talr", KeyError::Blank),
            ("\u{feff}wJalr", KeyError::ByteOrderMark),
            ("wJalr\0", KeyError::Control),
            ("wJalr\u{7f}", KeyError::Control),
            ("wJalr\u{a0}", KeyError::NotAscii),
            ("wJalr\u{200b}", KeyError::NotAscii),
        ] {
            assert_eq!(check(text), Err(error), "{text:?}");
        }
        assert_eq!(check("wJalrXUtnFEMI/K7MDENG+bPxRfi=="), Ok(()));
    }

    #[test]
    fn the_invalid_part_is_found() {
        let keys = |id: &str, secret: &str, session: Option<&str>| {
            let keys = Credentials::new(id, secret, session.map(str::to_owned), None, "test");
            find_invalid(&keys).map(|(part, _, _)| part)
        };
        assert_eq!(keys("AKIA", "secret", Some("token")), None);
        assert_eq!(keys("AK IA", "secret", None), Some(Part::AccessKeyId));
        assert_eq!(keys("AKIA", "sec\nret", None), Some(Part::SecretAccessKey));
        assert_eq!(keys("AKIA", "secret", Some("")), Some(Part::SessionToken));
    }

    proptest! {
        #[test]
        fn what_is_accepted_can_be_in_a_header(text in "\\PC{0,20}|[ -~]{1,20}|(?s).{0,8}") {
            let is_header = http::HeaderValue::from_str(&text).is_ok();
            prop_assert!(check(&text).is_err() || is_header);
        }
    }
}
