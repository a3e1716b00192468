//! The host that keys an entry of a docker config.

use std::{borrow::Borrow, fmt};

/// A bare registry host, with its port if it has one: no scheme, no path, in lower case.
///
/// kubelet compares it label by label with an image's host, each label as a glob (its
/// `pkg/credentialprovider/keyring.go`), so only an exact host is valid here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Host(String);

/// Why a text is not a registry host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// It has a character that no host name has.
    #[error("{0:?} is not a registry host, such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com")]
    Malformed(String),
}

impl Host {
    /// The host in an endpoint, such as the `proxyEndpoint` that ECR returns. A scheme and a
    /// trailing slash are left out.
    ///
    /// # Errors
    /// When the rest is not a host name, with or without a port.
    pub fn from_endpoint(endpoint: &str) -> Result<Self, HostError> {
        let bare = endpoint.trim_start_matches("https://").trim_start_matches("http://");
        let bare = bare.strip_suffix('/').unwrap_or(bare).to_ascii_lowercase();
        let (name, port) = bare.split_once(':').unwrap_or((&bare, "443"));
        if name.split('.').all(is_label) && port.parse::<u16>().is_ok_and(|port| port > 0) {
            Ok(Self(bare))
        } else {
            Err(HostError::Malformed(endpoint.chars().take(253).collect()))
        }
    }

    /// The host as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// It is ordered and hashed as its text.
impl Borrow<str> for Host {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Whether a text is an AWS account's number: twelve digits.
#[must_use]
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A label of a host name, by RFC 1123.
fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_endpoint_has_no_scheme_and_no_slash() {
        let host = Host::from_endpoint("https://123456789012.dkr.ecr.EU-west-1.amazonaws.com/");
        assert_eq!(host.unwrap().as_str(), "123456789012.dkr.ecr.eu-west-1.amazonaws.com");
        assert_eq!(
            Host::from_endpoint("http://localhost:5000").unwrap().as_str(),
            "localhost:5000"
        );
    }

    #[test]
    fn invalid_hosts_are_refused() {
        for text in ["", "https://", "a b", "a/b", "*.example.com", "a..b", "host:", "host:0", "-a"]
        {
            assert!(Host::from_endpoint(text).is_err(), "{text:?}");
        }
    }
}
