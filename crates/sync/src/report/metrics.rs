//! What Prometheus sees of the copies.

use std::time::Duration;

use ecr_refresher_core::clock::unix_seconds;
use prometheus::{
    CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, Opts, Registry, core::Collector,
};

use crate::{
    job::failure::WriteReason,
    observed::resource::Watch,
    report::{CopyState, Report, WatchReport},
};

/// The metrics of the copies and of the watches.
#[derive(Debug, Clone)]
pub struct SyncMetrics {
    copies: GaugeVec,
    earliest_expiration: GaugeVec,
    writes: CounterVec,
    write_duration: Histogram,
    namespace_sync_duration: Histogram,
    concurrency: Gauge,
    pattern_matches: GaugeVec,
    account_writes: CounterVec,
    accounts_failing: GaugeVec,
    watch_last_event: GaugeVec,
    watch_errors: CounterVec,
}

impl SyncMetrics {
    /// Makes the metrics and registers them.
    ///
    /// # Errors
    /// When one of their names is registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let this = Self::new()?;
        let collectors: [Box<dyn Collector>; 11] = [
            Box::new(this.copies.clone()),
            Box::new(this.earliest_expiration.clone()),
            Box::new(this.writes.clone()),
            Box::new(this.write_duration.clone()),
            Box::new(this.namespace_sync_duration.clone()),
            Box::new(this.concurrency.clone()),
            Box::new(this.pattern_matches.clone()),
            Box::new(this.account_writes.clone()),
            Box::new(this.accounts_failing.clone()),
            Box::new(this.watch_last_event.clone()),
            Box::new(this.watch_errors.clone()),
        ];
        collectors.into_iter().try_for_each(|collector| registry.register(collector))?;
        this.announce_watches();
        Ok(this)
    }

    fn new() -> prometheus::Result<Self> {
        Ok(Self {
            copies: gauges("copies", "Copies by state.", &["secret", "state"])?,
            earliest_expiration: gauges(
                "copy_earliest_expiration_timestamp_seconds",
                "When the first of a pull Secret's copies expires, as a Unix time.",
                &["secret"],
            )?,
            writes: counters(
                "copy_writes_total",
                "Writes of copies, by result and reason.",
                &["secret", "result", "reason"],
            )?,
            write_duration: histogram(
                "copy_write_duration_seconds",
                "How long a write of a copy took.",
                &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0],
            )?,
            namespace_sync_duration: histogram(
                "namespace_sync_duration_seconds",
                "From when a namespace was first wanted until its first copy was there.",
                &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0],
            )?,
            concurrency: Gauge::with_opts(opts(
                "writer_concurrency",
                "How many writes may be under way at once; less than configured while the API \
                 server throttles.",
            ))?,
            pattern_matches: gauges(
                "pattern_matched_namespaces",
                "How many namespaces a pattern of an allow-list matches.",
                &["secret", "pattern"],
            )?,
            account_writes: counters(
                "service_account_writes_total",
                "Changes of ServiceAccounts' imagePullSecrets, by result and reason.",
                &["service_account", "result", "reason"],
            )?,
            accounts_failing: gauges(
                "service_accounts_failing",
                "ServiceAccounts of a name whose imagePullSecrets could not be changed.",
                &["service_account"],
            )?,
            watch_last_event: gauges(
                "watch_last_event_timestamp_seconds",
                "When the API server last told something to the watches of a resource, bookmarks \
                 included, as a Unix time: that of the one that has been silent for longest.",
                &["resource"],
            )?,
            watch_errors: counters("watch_errors_total", "Errors of watches.", &["resource"])?,
        })
    }

    fn announce_watches(&self) {
        for watch in Watch::ALL {
            self.watch_errors.with_label_values(&[watch.as_str()]);
        }
    }

    /// Starts a pull Secret's counters at 0, so that its first failure shows in a rate.
    pub(crate) fn announce(&self, secret: &str) {
        self.writes.with_label_values(&[secret, "success", ""]);
        for reason in WriteReason::ALL {
            self.writes.with_label_values(&[secret, "failure", reason.as_str()]);
        }
    }

    /// Starts the counters of a name of ServiceAccounts at 0.
    pub(crate) fn announce_account(&self, name: &str) {
        self.account_writes.with_label_values(&[name, "success", ""]);
        for reason in WriteReason::ALL {
            self.account_writes.with_label_values(&[name, "failure", reason.as_str()]);
        }
    }

    /// Shows a report. Series of what is gone vanish.
    pub fn show(&self, report: &Report) {
        for vanishing in [
            &self.copies,
            &self.earliest_expiration,
            &self.pattern_matches,
            &self.accounts_failing,
            &self.watch_last_event,
        ] {
            vanishing.reset();
        }
        self.show_watches(&report.watches);
        for account in &report.accounts {
            let gauge = self.accounts_failing.with_label_values(&[&account.name]);
            gauge.set(as_gauge(account.failing.len() as u64));
        }
        for secret in &report.secrets {
            let name = secret.name.as_str();
            for (state, &count) in CopyState::ALL.iter().zip(&secret.counts) {
                self.copies.with_label_values(&[name, state.as_str()]).set(as_gauge(count));
            }
            if let Some(expires_at) = secret.earliest_expiration {
                let gauge = self.earliest_expiration.with_label_values(&[name]);
                gauge.set(unix_seconds(expires_at));
            }
            for (pattern, count) in &secret.patterns {
                let gauge = self.pattern_matches.with_label_values(&[name, pattern.as_str()]);
                gauge.set(as_gauge(*count));
            }
        }
    }

    fn show_watches(&self, watches: &[WatchReport]) {
        for resource in Watch::ALL.map(Watch::as_str) {
            let watches = watches.iter().filter(|watch| watch.resource == resource);
            if let Some(oldest) = watches.map(|watch| watch.heard_at).min() {
                self.watch_last_event.with_label_values(&[resource]).set(unix_seconds(oldest));
            }
        }
    }

    /// Notes a write that has ended.
    pub(crate) fn wrote(&self, secret: &str, failed: Option<WriteReason>, took: Duration) {
        self.write_duration.observe(took.as_secs_f64());
        let labels = match failed {
            None => [secret, "success", ""],
            Some(reason) => [secret, "failure", reason.as_str()],
        };
        self.writes.with_label_values(&labels).inc();
    }

    /// Notes a change of a ServiceAccount that has ended.
    pub(crate) fn linked(&self, account: &str, failed: Option<WriteReason>) {
        let labels = match failed {
            None => [account, "success", ""],
            Some(reason) => [account, "failure", reason.as_str()],
        };
        self.account_writes.with_label_values(&labels).inc();
    }

    /// Notes how many writes may be under way at once.
    pub(crate) fn limited_to(&self, concurrency: usize) {
        self.concurrency.set(as_gauge(u64::try_from(concurrency).unwrap_or(u64::MAX)));
    }

    /// Notes how long a namespace waited for its first copy.
    pub(crate) fn served(&self, waited: Duration) {
        self.namespace_sync_duration.observe(waited.as_secs_f64());
    }

    /// Notes an error of a watch.
    pub(crate) fn watch_failed(&self, watch: Watch) {
        self.watch_errors.with_label_values(&[watch.as_str()]).inc();
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("ecr_refresher_{name}"), help)
}

fn gauges(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
    GaugeVec::new(opts(name, help), labels)
}

fn counters(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<CounterVec> {
    CounterVec::new(opts(name, help), labels)
}

fn histogram(name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<Histogram> {
    let opts = HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec());
    Histogram::with_opts(opts)
}

#[expect(clippy::cast_precision_loss, reason = "nothing is counted up to 2⁵³")]
fn as_gauge(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn watch(resource: &'static str, heard_at: i64) -> WatchReport {
        let heard_at = Timestamp::from_second(heard_at).unwrap();
        WatchReport { resource, name: None, heard_at, silence: Duration::ZERO, is_stuck: false }
    }

    #[test]
    fn the_watch_that_has_been_silent_for_longest_is_shown() {
        let metrics = SyncMetrics::register(&Registry::new()).unwrap();
        let watches = vec![watch("secrets", 9), watch("namespaces", 7), watch("secrets", 5)];
        metrics.show(&Report { watches, ..Report::default() });
        let shown = |resource| metrics.watch_last_event.with_label_values(&[resource]).get();
        assert_eq!(["namespaces", "secrets"].map(|of| shown(of).to_string()), ["7", "5"]);
    }
}
