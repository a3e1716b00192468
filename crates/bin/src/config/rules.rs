//! The rules of the values, one by one.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use ecr_refresher_core::{
    aws::{self, is_external_id, is_session_name},
    ecr::{REGIONS, is_region_name},
    is_account,
};
use ecr_refresher_sync::release::Release;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    names::{is_label_value, is_qualified_name, is_subdomain},
    rule::Rule,
};
use crate::words::nearest;

/// Declares rules: the type in the file and the valid value, and the parts of [`Rule`].
macro_rules! rules {
    ($(
        $(#[$doc:meta])*
        $rule:ident: $raw:ty => $valid:ty {
            name: $name:literal,
            help: $help:literal,
            $(is_secret: $is_secret:literal,)?
            schema: $schema:expr,
            $(default: $default:expr,)?
            parse: $parse:expr,
            $(nearest: $nearest:expr,)?
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $rule;

        impl Rule for $rule {
            type Raw = $raw;
            type Valid = $valid;
            const NAME: &'static str = $name;
            const HELP: &'static str = $help;
            $(const IS_SECRET: bool = $is_secret;)?

            fn schema() -> Value {
                $schema
            }

            $(fn default() -> Option<$raw> {
                Some($default.into())
            })?

            fn parse(raw: &$raw) -> Option<$valid> {
                let parse: fn(&$raw) -> Option<$valid> = $parse;
                parse(raw)
            }

            $(fn nearest(raw: &$raw) -> Option<&'static str> {
                let nearest: fn(&$raw) -> Option<&'static str> = $nearest;
                nearest(raw)
            })?
        }
    )*};
}

rules! {
    /// An AWS region.
    Region: String => String {
        name: "AWS region",
        help: "write it as `eu-west-1`",
        schema: pattern("^[a-z0-9-]+$"),
        parse: |text| is_region(text).then(|| text.clone()),
        nearest: |text| nearest(&text.trim().replace('_', "-"), REGIONS),
    }

    /// The ID of an AWS account.
    Account: String => String {
        name: "AWS account ID",
        help: "write its 12 digits, in quotes",
        schema: pattern("^[0-9]{12}$"),
        parse: |text| is_account(text).then(|| text.clone()),
    }

    /// The ARN of a role to assume.
    RoleArn: String => aws::RoleArn {
        name: "ARN of a role",
        help: "write it as `arn:aws:iam::123456789012:role/NAME`",
        schema: pattern("^arn:aws[!-9;-~]*:iam::[0-9]{12}:role/([!-~]*/)?[!-.0-~]{1,64}$"),
        parse: |text| aws::RoleArn::parse(text),
    }

    /// The name of a role's session.
    SessionName: String => String {
        name: "name of a role session",
        help: "use 2 to 64 letters, digits and `_+=,.@-`",
        schema: pattern("^[A-Za-z0-9_+=,.@-]{2,64}$"),
        default: "ecr-refresher",
        parse: |text| is_session_name(text).then(|| text.clone()),
    }

    /// The external ID of a role. The pattern lacks the upper bound of 1224, which is more than some
    /// engines count to.
    ExternalId: String => String {
        name: "external ID",
        help: "use 2 to 1224 letters, digits and `_+=,.@:/-`",
        is_secret: true,
        schema: pattern("^[A-Za-z0-9_+=,.@:/-]{2,}$"),
        parse: |text| is_external_id(text).then(|| text.clone()),
    }

    /// A folder of key files.
    CredentialsDirectory: String => PathBuf {
        name: "absolute path",
        help: "write it as `/var/run/secrets/aws`",
        schema: pattern("^/"),
        parse: |text| Some(PathBuf::from(text)).filter(|path| path.is_absolute()),
    }

    /// The path of a docker config file.
    FilePath: String => PathBuf {
        name: "path",
        help: "write it as `/etc/ecr-refresher/registries/dockerhub.json`",
        schema: json!({ "minLength": 1 }),
        parse: |text| Some(PathBuf::from(text)).filter(|path| !path.as_os_str().is_empty()),
    }

    /// The URL of an AWS API.
    EndpointUrl: String => String {
        name: "endpoint URL",
        help: "write it as `https://HOST` or `http://HOST:PORT`, without a user",
        is_secret: true,
        schema: pattern("^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+([/?#].*)?$"),
        parse: |text| is_http_url(text).then(|| text.clone()),
    }

    /// The name of a Secret or a ServiceAccount: an RFC 1123 subdomain.
    ObjectName: String => String {
        name: "name of a Kubernetes object",
        help: "use lower-case letters, digits, `-` and `.`",
        schema: json!({
            "maxLength": 253,
            "pattern": r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$",
        }),
        parse: |text| is_subdomain(text).then(|| text.clone()),
    }

    /// A release whose copies are taken over.
    ReleaseId: String => Release {
        name: "release",
        help: "write it as `NAMESPACE/NAME`",
        schema: pattern("^[a-z0-9.-]{1,63}/[a-z0-9.-]{1,253}$"),
        parse: |text| Release::parse(text),
    }

    /// The key of a label.
    LabelKey: String => () {
        name: "label key",
        help: "write it as `tier` or `example.com/tier`",
        schema: json!({}),
        parse: |text| is_qualified_name(text).then_some(()),
    }

    /// The value of a label.
    LabelValue: String => () {
        name: "label value",
        help: "use letters, digits, `-`, `_` and `.`, at most 63",
        schema: json!({}),
        parse: |text| is_label_value(text).then_some(()),
    }

    /// The key of an annotation.
    AnnotationKey: String => () {
        name: "annotation key",
        help: "write it as `example.com/key`",
        schema: json!({}),
        parse: |text| is_qualified_name(&text.to_lowercase()).then_some(()),
    }

    /// The fraction of a token's life after which it is replaced.
    AtFraction: f64 => f64 {
        name: "fraction for `refresh.atFraction`",
        help: "choose 0.05 to 0.95; the default is 0.5",
        schema: json!({ "minimum": 0.05, "maximum": 0.95 }),
        default: 0.5,
        parse: |fraction| (0.05..=0.95).contains(fraction).then_some(*fraction),
    }

    /// The time over which the copies of a new token are written. More than an hour would reach into
    /// the last part of a token's 12 hours.
    Spread: String => Duration {
        name: "duration for `refresh.spread`",
        help: "choose `0s` to `1h`; the default is `5m`",
        schema: duration(),
        default: "5m",
        parse: |text| parse_duration(text).filter(|&spread| spread <= Duration::from_hours(1)),
    }

    /// The grace period of a copy that is no longer wanted.
    PruneAfter: String => Duration {
        name: "duration for `prune.after`",
        help: "use hours, minutes and seconds, such as `24h` or `1h 30m`; the default is `10m`",
        schema: duration(),
        default: "10m",
        parse: |text| parse_duration(text),
    }

    /// The largest share of all copies that may be deleted at once.
    PruneLimit: f64 => f64 {
        name: "share for `prune.limit`",
        help: "choose 0 to 1; the default is 0.5",
        schema: json!({ "minimum": 0, "maximum": 1 }),
        default: 0.5,
        parse: |share| (0.0..=1.0).contains(share).then_some(*share),
    }

    /// How many jobs may run at once. More connections than 256 gain nothing from one API server.
    Concurrency: u64 => usize {
        name: "number for `writer.concurrency`",
        help: "choose 1 to 256; the default is 32",
        schema: json!({ "minimum": 1, "maximum": 256 }),
        default: 32_u64,
        parse: |&number| usize::try_from(number).ok().filter(|number| (1..=256).contains(number)),
    }

    /// How long no other replica takes the Lease after its renewal. The defaults of the three times are
    /// those of Kubernetes' own components (k8s.io/component-base, `config/v1alpha1/defaults.go`).
    LeaseDuration: String => Duration {
        name: "duration for `leaderElection.leaseDuration`",
        help: "choose whole seconds from `1s` to `1h`; the default is `15s`",
        schema: duration(),
        default: "15s",
        parse: |text| parse_seconds(text),
    }

    /// How long a leader writes after a renewal.
    RenewDeadline: String => Duration {
        name: "duration for `leaderElection.renewDeadline`",
        help: "choose whole seconds from `1s` to `1h`; the default is `10s`",
        schema: duration(),
        default: "10s",
        parse: |text| parse_seconds(text),
    }

    /// How often a leader renews the Lease.
    RetryPeriod: String => Duration {
        name: "duration for `leaderElection.retryPeriod`",
        help: "choose whole seconds from `1s` to `1h`; the default is `2s`",
        schema: duration(),
        default: "2s",
        parse: |text| parse_seconds(text),
    }

    /// The address of metrics and probes. `[::]` includes IPv4.
    Listen: String => SocketAddr {
        name: "address for `listen`",
        help: "write it as `[::]:8080`, which is the default",
        schema: pattern(r"^([0-9.]+|\[[0-9A-Fa-f:.%]+\]):[0-9]+$"),
        default: "[::]:8080",
        parse: |text| text.parse().ok(),
    }
}

fn pattern(pattern: &str) -> Value {
    json!({ "pattern": pattern })
}

/// Durations such as `5m`, `1h 30m`, `90 seconds`, `0:05:00` or `PT5M`, as jiff reads them.
fn duration() -> Value {
    pattern(concat!(
        r"^[+-]?([0-9]+:[0-9]+:[0-9]+([.,][0-9]+)?",
        r"|([0-9]+([.,][0-9]+)?\s*[hmsunµ][a-z]*[,\s]*)+",
        r"|[Pp].+)$",
    ))
}

fn parse_duration(text: &str) -> Option<Duration> {
    text.parse::<SignedDuration>().ok()?.try_into().ok()
}

/// A duration as a Lease holds it: whole seconds.
fn parse_seconds(text: &str) -> Option<Duration> {
    let is_whole = |time: &Duration| time.subsec_nanos() == 0;
    parse_duration(text).filter(is_whole).filter(|time| (1..=3600).contains(&time.as_secs()))
}

fn is_region(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner)
}

/// What is wrong with a region that this version does not know, and the remedy.
pub(super) fn unknown_region(region: &str) -> Option<(String, String)> {
    if REGIONS.contains(&region) {
        return None;
    }
    let (message, help) = if is_region_name(region) {
        let message = format!("`{region}` is not a region that this version knows");
        (message, "check its name; a new region works")
    } else {
        (format!("there is no AWS region `{region}`"), Region::HELP)
    };
    let nearest = nearest(region, REGIONS).map(|nearest| format!("did you mean `{nearest}`?"));
    Some((message, nearest.unwrap_or_else(|| help.to_owned())))
}

fn is_http_url(text: &str) -> bool {
    text.parse::<hyper::Uri>().is_ok_and(|uri| {
        let is_known = matches!(uri.scheme_str(), Some("http" | "https"));
        is_known && uri.authority().is_some_and(|it| !it.as_str().contains('@'))
    })
}
