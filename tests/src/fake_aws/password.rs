//! Passwords as large as ECR's, with marks by which a leak shows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How every password begins: no log, Event or metric may ever hold it.
pub const PASSWORD_MARKER: &str = "NEVER-LOG-THIS-FAKE-PASSWORD-";

/// The mark in its base64 form: a part of every `authorizationToken`, of the broken ones too.
///
/// It leaves out the marker's first two bytes, which share a base64 group with `AWS:`.
pub const TOKEN_MARKER: &str = "VkVSLUxPRy1USElTLUZBS0UtUEFTU1dPUkQt";

/// The user name of every ECR token.
pub(super) const USER: &str = "AWS";

/// About the length of a real password.
const LENGTH: usize = 1800;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A new password; no two are alike.
pub(super) fn generate() -> String {
    let random = (PASSWORD_MARKER.len()..LENGTH)
        .map(|_| char::from(ALPHABET[fastrand::usize(..ALPHABET.len())]));
    PASSWORD_MARKER.chars().chain(random).collect()
}

/// The `authorizationToken` of a password. ECR puts a colon between user and password.
pub(super) fn token(separator: char, password: &str) -> String {
    STANDARD.encode(format!("{USER}{separator}{password}"))
}

/// Everything that gives a password away: plain, in base64, and in the base64 of base64 (a Secret's
/// `data` holds its document so), whatever stands before it.
#[must_use]
pub fn leak_needles() -> Vec<String> {
    let mut needles = vec![PASSWORD_MARKER.to_owned()];
    needles.extend((0..3).map(|offset| base64_part(PASSWORD_MARKER, offset)));
    needles.extend((0..3).map(|offset| base64_part(TOKEN_MARKER, offset)));
    needles
}

/// Whether the text holds any password of this fake, in any of those forms.
#[must_use]
pub fn leaks_password(text: &str) -> bool {
    leak_needles().iter().any(|needle| text.contains(needle))
}

/// The part of the marker's base64 that is the same whatever surrounds it, when its first whole
/// group of three bytes starts at `offset`.
fn base64_part(marker: &str, offset: usize) -> String {
    let bytes = &marker.as_bytes()[offset..];
    STANDARD.encode(&bytes[..bytes.len() / 3 * 3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_holds_the_token_marker() {
        for separator in [':', '-'] {
            let token = token(separator, &generate());
            assert!(token.contains(TOKEN_MARKER), "{token}");
        }
    }

    #[test]
    fn a_password_is_large_marked_and_never_the_same() {
        let (one, two) = (generate(), generate());
        assert_eq!(one.len(), LENGTH);
        assert!(one.starts_with(PASSWORD_MARKER));
        assert_ne!(one, two);
    }

    #[test]
    fn a_leak_shows_plain_in_base64_and_in_base64_twice() {
        let password = generate();
        assert!(leaks_password(&format!("password={password}")));
        for prefix in ["AWS:", "x", "xy", "xyz", "{\"auths\":"] {
            let once = STANDARD.encode(format!("{prefix}{password}"));
            assert!(leaks_password(&once), "once, after {prefix}");
            let document = format!("{prefix}{}", token(':', &password));
            assert!(leaks_password(&STANDARD.encode(document)), "twice, after {prefix}");
        }
        assert!(!leaks_password("Bearer QVdTOg== is not a password"));
    }
}
