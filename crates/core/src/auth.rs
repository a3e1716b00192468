//! The `auth` value of a docker config entry: a secret that does not show itself.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// `base64(user:password)`, as `docker login` writes it and as ECR returns it
/// (`authorizationData[].authorizationToken`).
///
/// Its memory is wiped when it is dropped, and its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth(Zeroizing<String>);

/// Why a text is not an [`Auth`]. None of these shows the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// It is not standard base64 of UTF-8 text.
    #[error("it is not base64")]
    NotBase64,
    /// There is no `:` in what it encodes, or nothing before it.
    #[error("it has no user name")]
    NoUser,
    /// There is nothing after the `:`.
    #[error("it has no password")]
    NoPassword,
}

impl Auth {
    /// An encoded value as it is, if it has a user and a password.
    ///
    /// # Errors
    /// When it is not base64 of `user:password`, with neither of them empty.
    pub fn from_encoded(encoded: String) -> Result<Self, AuthError> {
        let encoded = Zeroizing::new(encoded);
        let decoded = STANDARD.decode(encoded.as_bytes()).map(Zeroizing::new);
        let decoded = decoded.map_err(|_| AuthError::NotBase64)?;
        let text = std::str::from_utf8(&decoded).map_err(|_| AuthError::NotBase64)?;
        let (user, password) = text.split_once(':').ok_or(AuthError::NoUser)?;
        Self::check(user, password)?;
        Ok(Self(encoded))
    }

    /// Encodes a user name and a password.
    ///
    /// # Errors
    /// When either is empty, or the user name holds a `:`, which would move the password's start.
    pub fn from_user_and_password(user: &str, password: &str) -> Result<Self, AuthError> {
        Self::check(user, password)?;
        let plain = Zeroizing::new(format!("{user}:{password}"));
        Ok(Self(Zeroizing::new(STANDARD.encode(plain.as_bytes()))))
    }

    /// The encoded value. The caller then holds a secret.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn check(user: &str, password: &str) -> Result<(), AuthError> {
        if user.is_empty() || user.contains(':') {
            return Err(AuthError::NoUser);
        }
        if password.is_empty() {
            return Err(AuthError::NoPassword);
        }
        Ok(())
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Auth(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_value_is_kept_verbatim() {
        let encoded = STANDARD.encode("AWS:secret");
        let auth = Auth::from_encoded(encoded.clone()).unwrap();
        assert_eq!(auth.expose(), encoded);
        assert_eq!(auth, Auth::from_user_and_password("AWS", "secret").unwrap());
    }

    #[test]
    fn what_has_no_user_or_no_password_is_refused() {
        let refused = |plain: &str| Auth::from_encoded(STANDARD.encode(plain)).unwrap_err();
        assert_eq!(refused("AWS"), AuthError::NoUser);
        assert_eq!(refused(":secret"), AuthError::NoUser);
        assert_eq!(refused("AWS:"), AuthError::NoPassword);
        assert_eq!(Auth::from_encoded("%%".to_owned()).unwrap_err(), AuthError::NotBase64);
    }

    #[test]
    fn debug_shows_nothing_of_the_password() {
        let auth = Auth::from_user_and_password("AWS", "hunter2").unwrap();
        let shown = format!("{auth:?}");
        assert!(!shown.contains("hunter2") && !shown.contains(auth.expose()), "{shown}");
    }
}
