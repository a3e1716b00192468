//! Which requests go through a proxy: the one owner of that decision, for AWS and for the Kubernetes API
//! server.

use std::{env, fmt, net::IpAddr};

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

/// Where a machine or a Pod asks for its own credentials: IMDS, ECS and EKS Pod Identity, and their
/// IPv6 addresses. A proxy would answer for another machine than this one.
const METADATA: [&str; 5] =
    ["169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::23", "fd00:ec2::254"];
/// The variables for each kind of URL. Of several that are set, the first counts.
const HTTPS: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const HTTP: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// A variable or a field that should be the URL of a proxy. It does not show the value, which may hold a
/// password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{place} is not the URL of a proxy: write it as `http://HOST:PORT` or `socks5://HOST:PORT`"
)]
pub struct ProxyError {
    place: String,
}

/// The proxies of the environment.
pub struct Proxies {
    https: Option<Uri>,
    http: Option<Uri>,
    exceptions: Vec<Exception>,
    /// Whether also what is on this machine is asked through them.
    is_for_local: bool,
}

/// An entry of `NO_PROXY`.
struct Exception {
    /// A name, a suffix, an address, a network, or `*`.
    host: String,
    /// The only port that it is for.
    port: Option<u16>,
}

impl Proxies {
    /// Those of `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY`, and the exceptions of `NO_PROXY`, in upper or
    /// lower case.
    ///
    /// # Errors
    /// When one is not the URL of a proxy.
    pub fn from_env() -> Result<Self, ProxyError> {
        Self::new(|name| env::var(name).ok())
    }

    pub(crate) fn new(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let proxy = |names: [&'static str; 4]| {
            let found = names.into_iter().find_map(|name| {
                let value = variable(name)?.trim().to_owned();
                (!value.is_empty()).then_some((name, value))
            });
            found.map(|(name, value)| proxy_url(name, &value)).transpose()
        };
        let (https, http) = (proxy(HTTPS)?, proxy(HTTP)?);
        let exceptions = NO_PROXY.into_iter().find_map(&variable).unwrap_or_default();
        let exceptions = exceptions.split(',').map(Exception::parse).collect();
        Ok(Self { https, http, exceptions, is_for_local: false })
    }

    /// This proxy for every URL; `None` for direct connections.
    #[must_use]
    pub fn always(proxy: Option<Uri>) -> Self {
        Self { https: proxy.clone(), http: proxy, exceptions: Vec::new(), is_for_local: true }
    }

    /// The proxy for a URL, with its user and password; `None` for a direct connection. Loopback and metadata
    /// addresses are never asked through a proxy of the environment.
    #[must_use]
    pub fn of(&self, url: &Uri) -> Option<&Uri> {
        let proxy = match url.scheme_str() {
            Some("https") => self.https.as_ref(),
            Some("http") => self.http.as_ref(),
            _ => None,
        };
        let host = url.host()?;
        proxy.filter(|_| (self.is_for_local || !is_local(host)) && !self.is_exception(url))
    }

    fn is_exception(&self, url: &Uri) -> bool {
        let default_port = if url.scheme_str() == Some("https") { 443 } else { 80 };
        let port = url.port_u16().unwrap_or(default_port);
        let of_port = self.exceptions.iter().filter(|it| it.port.is_none_or(|it| it == port));
        let hosts: Vec<_> = of_port.map(|it| it.host.as_str()).collect();
        // The matcher takes the wildcard for names alone.
        hosts.contains(&"*")
            || Matcher::builder()
                .all("http://proxy")
                .no(hosts.join(","))
                .build()
                .intercept(url)
                .is_none()
    }
}

impl Exception {
    /// As Go and curl read it. `*.SUFFIX` is the same as the suffix alone.
    fn parse(text: &str) -> Self {
        let text = text.trim();
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, port.parse().ok())
            }
            _ => (text, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_start_matches("*.");
        Self { host: host.to_owned(), port }
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Proxies(hidden)")
    }
}

/// The URL of a proxy; without a scheme it is `http`. `place` names where it is written.
///
/// # Errors
/// When it is not one.
pub fn proxy_url(place: &str, text: &str) -> Result<Uri, ProxyError> {
    let is_complete = text.contains("://");
    let complete = if is_complete { text.to_owned() } else { format!("http://{text}") };
    // The name is resolved by the proxy with both.
    let complete = complete.replacen("socks5h://", "socks5://", 1);
    let url = complete.parse::<Uri>().ok().filter(|url| {
        let is_scheme = matches!(url.scheme_str(), Some("http" | "https" | "socks5"));
        is_scheme && url.host().is_some_and(|host| !host.is_empty())
    });
    url.ok_or_else(|| ProxyError { place: place.to_owned() })
}

/// Whether a host is this machine, or what tells this machine who it is.
fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.to_canonical().is_loopback()
            || METADATA.iter().any(|metadata| metadata.parse() == Ok(address));
    }
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, ProxyError> {
        Proxies::new(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn of(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.of(&url.parse().unwrap()).map(ToString::to_string)
    }

    #[test]
    fn the_scheme_of_a_url_decides_which_variable_counts() {
        let proxies = proxies(&[
            ("HTTPS_PROXY", "me:secret@one:3128"),
            ("https_proxy", "http://never"),
            ("all_proxy", "socks5h://two:1080"),
        ]);
        let proxies = proxies.unwrap();
        assert_eq!(of(&proxies, "https://a.example.com").unwrap(), "http://me:secret@one:3128/");
        assert_eq!(of(&proxies, "http://a.example.com").unwrap(), "socks5://two:1080/");
        assert!(!format!("{proxies:?}").contains("secret"));
    }

    #[test]
    fn no_proxy_takes_names_suffixes_addresses_networks_and_a_wildcard() {
        let cases = [
            ("example.com", "example.com", true),
            ("example.com", "a.example.com", true),
            ("example.com", "notexample.com", false),
            (".example.com", "a.example.com", true),
            ("*.example.com", "a.example.com", true),
            ("a.com, example.com,", "example.com", true),
            ("EXAMPLE.com", "example.COM", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("fd12::/16", "[fd12::1]", true),
            ("fd12::1", "[fd12::1]", true),
            ("fd12::1", "[fd12::2]", false),
            ("*", "example.com", true),
            ("*", "10.1.2.3", true),
            ("", "example.com", false),
            ("example.com:6443", "example.com", true),
            ("example.com:443", "example.com", false),
            ("[fd12::1]:6443", "[fd12::1]", true),
            ("[fd12::1]", "[fd12::1]", true),
        ];
        for (no_proxy, host, is_direct) in cases {
            let proxies = proxies(&[("HTTPS_PROXY", "http://proxy"), ("no_proxy", no_proxy)]);
            let proxy = of(&proxies.unwrap(), &format!("https://{host}:6443/api"));
            assert_eq!(proxy.is_none(), is_direct, "{no_proxy} for {host}");
        }
    }

    #[test]
    fn this_machine_and_its_metadata_are_never_asked_through_a_proxy() {
        let proxies = proxies(&[("ALL_PROXY", "http://proxy")]).unwrap();
        for url in [
            "http://169.254.169.254/latest/api/token",
            "http://169.254.170.23:80/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
            "https://127.0.0.1:6443",
            "https://127.8.8.8",
            "http://[::1]:8080",
            "http://[::ffff:127.0.0.1]",
            "https://localhost:6443",
            "https://LOCALHOST.",
            "https://a.localhost",
        ] {
            assert_eq!(of(&proxies, url), None, "{url}");
        }
        for url in ["https://api.ecr.eu-west-1.amazonaws.com", "http://169.254.169.254.example.com"]
        {
            assert!(of(&proxies, url).is_some(), "{url}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_by_its_name_without_its_value() {
        for value in ["http://", "ftp://proxy", "http://hunter2@ proxy", "://"] {
            let error = proxies(&[("https_proxy", value)]).unwrap_err().to_string();
            assert!(error.starts_with("https_proxy is not"), "{value}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(proxies(&[("HTTPS_PROXY", ""), ("HTTP_PROXY", " ")]).is_ok());
    }
}
