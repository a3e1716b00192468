//! What Prometheus sees of the tokens.

use jiff::Timestamp;
use prometheus::{
    CounterVec, GaugeVec, HistogramOpts, HistogramVec, Opts, Registry as MetricsRegistry,
    core::Collector,
};

use crate::{Reason, clock::unix_seconds};

/// The token metrics, of all registries.
#[derive(Debug, Clone)]
pub struct TokenMetrics {
    expiration: GaugeVec,
    issued: GaugeVec,
    requests: CounterVec,
    duration: HistogramVec,
}

impl TokenMetrics {
    /// Makes the metrics and registers them.
    ///
    /// # Errors
    /// When one of their names is registered already.
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
                    "How long a registry took to answer.",
                )
                .buckets(vec![0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0]),
                &["registry"],
            )?,
        };
        let collectors: [Box<dyn Collector>; 4] = [
            Box::new(this.expiration.clone()),
            Box::new(this.issued.clone()),
            Box::new(this.requests.clone()),
            Box::new(this.duration.clone()),
        ];
        collectors.into_iter().try_for_each(|collector| metrics.register(collector))?;
        Ok(this)
    }

    /// Starts a registry's counters at 0, so that its first failure shows in a rate.
    pub fn announce(&self, registry: &str) {
        self.requests.with_label_values(&[registry, "success", ""]);
        for reason in Reason::ALL {
            self.requests.with_label_values(&[registry, "failure", reason.as_str()]);
        }
    }

    /// Shows when the credentials of each registry were fetched and when they expire. What is not
    /// named is not shown.
    pub fn show<'a>(
        &self,
        times: impl Iterator<Item = (&'a str, Option<Timestamp>, Option<Timestamp>)>,
    ) {
        self.issued.reset();
        self.expiration.reset();
        for (registry, fetched_at, expires_at) in times {
            for (gauge, time) in [(&self.issued, fetched_at), (&self.expiration, expires_at)] {
                if let Some(time) = time {
                    gauge.with_label_values(&[registry]).set(unix_seconds(time));
                }
            }
        }
    }

    /// Counts an answer of the source of a registry, or that it failed, after `seconds`.
    pub fn record(&self, registry: &str, failed: Option<Reason>, seconds: f64) {
        self.duration.with_label_values(&[registry]).observe(seconds);
        let (result, reason) = failed.map_or(("success", ""), |it| ("failure", it.as_str()));
        self.requests.with_label_values(&[registry, result, reason]).inc();
    }
}
