//! What every AWS client of the process shares.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};

/// The AWS SDK's limits. It has none of its own on reading a reply, and would wait for ever.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .read_timeout(Duration::from_secs(10))
        .operation_attempt_timeout(Duration::from_secs(15))
        .operation_timeout(Duration::from_secs(20))
        .build()
}

/// Loads the AWS SDK's chain of credentials and regions: environment, profile, web identity,
/// container, instance. All clients made from it share one HTTP stack, on the TLS provider that
/// the Kubernetes client uses too.
///
/// The SDK's own retries are off: it does not know `ThrottleException` or a 429 for throttling, and
/// shares its budget of retries between accounts. The [`Schedule`](crate::Schedule) of each
/// registry retries instead, and every failure is counted.
pub async fn load_config() -> SdkConfig {
    let http_client = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts())
        .load()
        .await
}

/// A region by its name.
#[must_use]
pub fn region(name: &str) -> Region {
    Region::new(name.to_owned())
}
