//! The metrics of the copies and the watches.

use std::time::Duration;

use ecr_refresher_core::clock::unix_seconds;
use prometheus::{
    CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, Opts, Registry, core::Collector,
};

use strum::VariantArray;

use crate::{
    job::failure::WriteReason,
    observed::resource::Resource,
    report::{ConflictReason, CopyState, Counts, Report, UNWANTED, WatchReport},
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
    conflicts: GaugeVec,
    contested: GaugeVec,
    deletions: CounterVec,
    unselected: GaugeVec,
    prune_held: Gauge,
    watch_last_event: GaugeVec,
    watch_errors: CounterVec,
}

impl SyncMetrics {
    /// Creates and registers the metrics.
    ///
    /// # Errors
    /// If one of their names is registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let this = Self::new()?;
        let collectors: [Box<dyn Collector>; 16] = [
            Box::new(this.copies.clone()),
            Box::new(this.earliest_expiration.clone()),
            Box::new(this.writes.clone()),
            Box::new(this.write_duration.clone()),
            Box::new(this.namespace_sync_duration.clone()),
            Box::new(this.concurrency.clone()),
            Box::new(this.pattern_matches.clone()),
            Box::new(this.account_writes.clone()),
            Box::new(this.accounts_failing.clone()),
            Box::new(this.conflicts.clone()),
            Box::new(this.contested.clone()),
            Box::new(this.deletions.clone()),
            Box::new(this.unselected.clone()),
            Box::new(this.prune_held.clone()),
            Box::new(this.watch_last_event.clone()),
            Box::new(this.watch_errors.clone()),
        ];
        collectors.into_iter().try_for_each(|collector| registry.register(collector))?;
        this.announce_watches();
        Ok(this)
    }

    fn new() -> prometheus::Result<Self> {
        Ok(Self {
            copies: gauges(
                "copies",
                "Copies by state; those that are `unwanted` will be deleted, unless `prune` is off.",
                &["secret", "state"],
            )?,
            earliest_expiration: gauges(
                "copy_earliest_expiration_timestamp_seconds",
                "Earliest expiry of a pull Secret's copies, as a Unix time.",
                &["secret"],
            )?,
            writes: counters(
                "copy_writes_total",
                "Writes of copies, by result and reason.",
                &["secret", "result", "reason"],
            )?,
            write_duration: histogram(
                "copy_write_duration_seconds",
                "Duration of writes of copies.",
                &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0],
            )?,
            namespace_sync_duration: histogram(
                "namespace_sync_duration_seconds",
                "Time from when a namespace first wanted a copy until it had it.",
                &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0],
            )?,
            concurrency: Gauge::with_opts(opts(
                "writer_concurrency",
                "How many writes may run at once; fewer than configured while the API server \
                 throttles.",
            ))?,
            pattern_matches: gauges(
                "pattern_matched_namespaces",
                "Namespaces that a pattern of an allow-list matches.",
                &["secret", "pattern"],
            )?,
            account_writes: counters(
                "service_account_writes_total",
                "Changes of ServiceAccounts' imagePullSecrets, by result and reason.",
                &["service_account", "result", "reason"],
            )?,
            accounts_failing: gauges(
                "service_accounts_failing",
                "ServiceAccounts of a name with imagePullSecrets that could not be changed.",
                &["service_account"],
            )?,
            conflicts: gauges(
                "copy_conflicts",
                "Namespaces where a Secret of another owner has the name of a pull Secret, by reason: \
                 `foreign`, or `another_release` with the release that keeps it.",
                &["secret", "reason", "release"],
            )?,
            contested: gauges(
                "contested",
                "Objects that another client keeps changing, by its field manager, so that their \
                 repairs are slowed down.",
                &["kind", "name", "manager"],
            )?,
            deletions: counters(
                "copy_deletions_total",
                "Deletions of copies that are no longer wanted, by result and reason.",
                &["secret", "result", "reason"],
            )?,
            unselected: gauges(
                "selector_unmatched",
                "1 while the label selector of a pull Secret selects none of the namespaces that its \
                 patterns match.",
                &["secret"],
            )?,
            prune_held: Gauge::with_opts(opts(
                "prune_held",
                "1 while no copy is deleted, because more are no longer wanted than `prune.limit` allows \
                 at once.",
            ))?,
            watch_last_event: gauges(
                "watch_last_event_timestamp_seconds",
                "Time of the last event of the watches of a resource, bookmarks included, as a Unix \
                 time: of the watch that was silent for longest.",
                &["resource"],
            )?,
            watch_errors: counters("watch_errors_total", "Errors of watches.", &["resource"])?,
        })
    }

    fn announce_watches(&self) {
        for resource in Resource::VARIANTS {
            self.watch_errors.with_label_values(&[resource.as_str()]);
        }
    }

    /// Starts a pull Secret's counters at 0, so that its first failure shows in a rate.
    pub(crate) fn announce(&self, secret: &str) {
        for counter in [&self.writes, &self.deletions] {
            start(counter, secret);
        }
    }

    /// Starts the counters of a name of ServiceAccounts at 0.
    pub(crate) fn announce_account(&self, name: &str) {
        start(&self.account_writes, name);
    }

    /// Shows a report. Series of removed objects vanish.
    pub fn show(&self, report: &Report) {
        for vanishing in [
            &self.copies,
            &self.earliest_expiration,
            &self.pattern_matches,
            &self.accounts_failing,
            &self.conflicts,
            &self.contested,
            &self.unselected,
            &self.watch_last_event,
        ] {
            vanishing.reset();
        }
        self.show_watches(&report.watches);
        self.prune_held.set(f64::from(u8::from(report.is_prune_held)));
        for account in &report.accounts {
            let gauge = self.accounts_failing.with_label_values(&[&account.name]);
            gauge.set(as_gauge(account.failing.len() as u64));
            self.show_contested("ServiceAccount", &account.name, &account.contested);
        }
        for secret in &report.secrets {
            let name = secret.name.as_str();
            for (state, &count) in CopyState::VARIANTS.iter().zip(&secret.counts) {
                self.copies.with_label_values(&[name, state.as_str()]).set(as_gauge(count));
            }
            let selects_none = f64::from(u8::from(secret.unselected.is_some()));
            self.unselected.with_label_values(&[name]).set(selects_none);
            let unwanted = self.copies.with_label_values(&[name, UNWANTED]);
            unwanted.set(as_gauge(secret.unwanted));
            for (release, &count) in &secret.conflicts {
                let reason = ConflictReason::of(release.as_ref()).as_str();
                let release = release.as_ref().map_or("", |release| release.as_str());
                self.conflicts.with_label_values(&[name, reason, release]).set(as_gauge(count));
            }
            self.show_contested("Secret", name, &secret.contested);
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

    fn show_contested(&self, kind: &str, name: &str, contested: &Counts) {
        // A series also where there is no contest, so that an alert has data.
        self.contested.with_label_values(&[kind, name, ""]).set(0.0);
        for (client, &count) in contested {
            let manager = client.as_ref().map_or("", |client| client.as_str());
            self.contested.with_label_values(&[kind, name, manager]).set(as_gauge(count));
        }
    }

    fn show_watches(&self, watches: &[WatchReport]) {
        for &resource in Resource::VARIANTS {
            let watches = watches.iter().filter(|watch| watch.resource == resource);
            if let Some(oldest) = watches.map(|watch| watch.last_event_at).min() {
                self.watch_last_event
                    .with_label_values(&[resource.as_str()])
                    .set(unix_seconds(oldest));
            }
        }
    }

    /// Records an apply of a copy.
    pub(crate) fn record_apply(&self, secret: &str, failed: Option<WriteReason>, took: Duration) {
        self.write_duration.observe(took.as_secs_f64());
        self.writes.with_label_values(&labels(secret, failed)).inc();
    }

    /// Records a deletion of a copy.
    pub(crate) fn record_deletion(&self, secret: &str, failed: Option<WriteReason>) {
        self.deletions.with_label_values(&labels(secret, failed)).inc();
    }

    /// Records a patch of a ServiceAccount.
    pub(crate) fn record_patch(&self, account: &str, failed: Option<WriteReason>) {
        self.account_writes.with_label_values(&labels(account, failed)).inc();
    }

    /// Sets how many jobs may run at once.
    pub(crate) fn set_job_limit(&self, concurrency: usize) {
        self.concurrency.set(as_gauge(u64::try_from(concurrency).unwrap_or(u64::MAX)));
    }

    /// Records how long a namespace waited for its first copy.
    pub(crate) fn record_first_copy(&self, waited: Duration) {
        self.namespace_sync_duration.observe(waited.as_secs_f64());
    }

    /// Records an error of a watch.
    pub(crate) fn watch_failed(&self, resource: Resource) {
        self.watch_errors.with_label_values(&[resource.as_str()]).inc();
    }
}

/// Starts the counters of writes of a name at 0.
fn start(counter: &CounterVec, name: &str) {
    counter.with_label_values(&labels(name, None));
    for &reason in WriteReason::VARIANTS {
        counter.with_label_values(&labels(name, Some(reason)));
    }
}

/// The labels of a counter of writes.
fn labels(name: &str, failed: Option<WriteReason>) -> [&str; 3] {
    failed.map_or([name, "success", ""], |reason| [name, "failure", reason.as_str()])
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

    fn watch(resource: Resource, seconds: i64) -> WatchReport {
        let last_event_at = Timestamp::from_second(seconds).unwrap();
        let silence = Duration::ZERO;
        WatchReport { resource, name: None, last_event_at, silence, is_stuck: false }
    }

    #[test]
    fn the_watch_that_was_silent_for_longest_is_shown() {
        let metrics = SyncMetrics::register(&Registry::new()).unwrap();
        let resources = [(Resource::Secrets, 9), (Resource::Namespaces, 7), (Resource::Secrets, 5)];
        let watches = resources.map(|(resource, seconds)| watch(resource, seconds)).into();
        metrics.show(&Report { watches, ..Report::default() });
        let shown = |resource| metrics.watch_last_event.with_label_values(&[resource]).get();
        assert_eq!(["namespaces", "secrets"].map(|of| shown(of).to_string()), ["7", "5"]);
    }
}
