//! The metrics of the tokens.

use prometheus::{
    CounterVec, GaugeVec, HistogramOpts, HistogramVec, Opts, Registry as MetricsRegistry,
    core::Collector,
};

use strum::VariantArray;

use crate::{
    Reason,
    clock::unix_seconds,
    tokens::{TokenSource, TokenState},
};

/// The token metrics, of all registries.
#[derive(Debug, Clone)]
pub struct TokenMetrics {
    expiration: GaugeVec,
    issued: GaugeVec,
    requests: CounterVec,
    duration: HistogramVec,
    cache_writes: CounterVec,
}

impl TokenMetrics {
    /// Creates and registers the metrics.
    ///
    /// # Errors
    /// If one of their names is registered already.
    pub fn register(metrics: &MetricsRegistry) -> prometheus::Result<Self> {
        let opts = |name: &str, help: &str| Opts::new(format!("ecr_refresher_{name}"), help);
        let this = Self {
            expiration: GaugeVec::new(
                opts(
                    "token_expiration_timestamp_seconds",
                    "When the registry's token expires, as a Unix time.",
                ),
                &["registry"],
            )?,
            issued: GaugeVec::new(
                opts(
                    "token_issued_timestamp_seconds",
                    "When the registry's credentials were last fetched, as a Unix time.",
                ),
                &["registry"],
            )?,
            requests: CounterVec::new(
                opts("token_requests_total", "Requests for credentials, by result and reason."),
                &["registry", "result", "reason"],
            )?,
            duration: HistogramVec::new(
                HistogramOpts::new(
                    "ecr_refresher_token_request_duration_seconds",
                    "Duration of calls of token sources. Registries that share a source share its calls.",
                )
                .buckets(vec![0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0]),
                &["api"],
            )?,
            cache_writes: CounterVec::new(
                opts("token_cache_writes_total", "Writes of the token cache, by result."),
                &["result"],
            )?,
        };
        for result in ["success", "failure"] {
            this.cache_writes.with_label_values(&[result]);
        }
        let collectors: [Box<dyn Collector>; 5] = [
            Box::new(this.expiration.clone()),
            Box::new(this.issued.clone()),
            Box::new(this.requests.clone()),
            Box::new(this.duration.clone()),
            Box::new(this.cache_writes.clone()),
        ];
        collectors.into_iter().try_for_each(|collector| metrics.register(collector))?;
        Ok(this)
    }

    /// Starts a registry's counters at 0, so that its first failure shows in a rate.
    pub fn announce(&self, registry: &str) {
        self.requests.with_label_values(&[registry, "success", ""]);
        for &reason in Reason::VARIANTS {
            self.requests.with_label_values(&[registry, "failure", reason.as_str()]);
        }
    }

    /// Shows when the credentials of each registry were fetched and when they expire, of these registries
    /// alone.
    pub fn show<'a>(&self, states: impl Iterator<Item = TokenState<'a>>) {
        self.issued.reset();
        self.expiration.reset();
        for TokenState { registry, fetched_at, expires_at, .. } in states {
            for (gauge, time) in [(&self.issued, fetched_at), (&self.expiration, expires_at)] {
                if let Some(time) = time {
                    gauge.with_label_values(&[registry]).set(unix_seconds(time));
                }
            }
        }
    }

    /// Records a call of a token source, which took this many seconds.
    pub fn record_call(&self, source: &TokenSource, seconds: f64) {
        self.duration.with_label_values(&[source.api_name()]).observe(seconds);
    }

    /// Counts what a call meant for one registry of its source.
    pub fn record_outcome(&self, registry: &str, failed: Option<Reason>) {
        let (result, reason) = failed.map_or(("success", ""), |it| ("failure", it.as_str()));
        self.requests.with_label_values(&[registry, result, reason]).inc();
    }

    /// Counts a write of the token cache.
    pub fn record_cache_write(&self, is_done: bool) {
        let result = if is_done { "success" } else { "failure" };
        self.cache_writes.with_label_values(&[result]).inc();
    }
}
