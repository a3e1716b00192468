//! All metrics of the process, and their text.

use std::iter;

use anyhow::{Context, Result};
use ecr_refresher_core::{TokenMetrics, clock::unix_seconds, tokens::SharedTokenStore};
use ecr_refresher_sync::{
    engine::handle::EngineHandle,
    leadership::Leadership,
    report::{copy_series::copy_series, metrics::SyncMetrics},
};
use jiff::Timestamp;
use prometheus::{Gauge, GaugeVec, Opts, Registry, TextEncoder};

/// Everything that `/metrics` shows.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) tokens: TokenMetrics,
    pub(crate) sync: SyncMetrics,
    pub(crate) config: ConfigMetrics,
    /// One series, once it is known.
    pub(crate) admission_policy: GaugeVec,
    leader: Gauge,
    leadership: Leadership,
    store: SharedTokenStore,
}

/// The metrics of the config file.
#[derive(Debug, Clone)]
pub(crate) struct ConfigMetrics {
    successful: Gauge,
    success_time: Gauge,
}

impl Metrics {
    /// Makes and registers all metrics; notes that a good config was read at `now`.
    pub(crate) fn register(
        leadership: Leadership,
        store: SharedTokenStore,
        now: Timestamp,
    ) -> Result<Self> {
        let registry = Registry::new();
        let register = || -> prometheus::Result<_> {
            let tokens = TokenMetrics::register(&registry)?;
            let sync = SyncMetrics::register(&registry)?;
            let config = ConfigMetrics::register(&registry)?;
            let leader = Gauge::new(
                "ecr_refresher_leader",
                "Whether this replica is the one that calls AWS and writes.",
            )?;
            registry.register(Box::new(leader.clone()))?;
            let admission_policy = GaugeVec::new(
                Opts::new(
                    "ecr_refresher_admission_policy_enforced",
                    "Whether the API server refused a forbidden Secret, when that was last tried.",
                ),
                &[],
            )?;
            registry.register(Box::new(admission_policy.clone()))?;
            register_build(&registry)?;
            register_process(&registry)?;
            Ok((tokens, sync, config, admission_policy, leader))
        };
        let (tokens, sync, config, admission_policy, leader) =
            register().context("the metrics cannot be registered")?;
        config.accepted(now);
        Ok(Self { registry, tokens, sync, config, admission_policy, leader, leadership, store })
    }

    /// The metrics in Prometheus' text format, piece by piece. The engine is asked for a
    /// report; if it has stalled, the last one stays, which its timestamps show.
    pub(crate) async fn render(
        &self,
        engine: &EngineHandle,
    ) -> Result<impl Iterator<Item = String> + Send + use<>> {
        let report = engine.report().await.ok();
        if let Some(report) = &report {
            self.sync.show(report);
        }
        let term = self.leadership.term();
        self.leader.set(f64::from(u8::from(term.is_some())));
        // A follower shows no times, so that each is shown once.
        self.store.read(|store| {
            let leads = term.is_some() && store.term() == term;
            self.tokens.show(store.times().filter(|_| leads));
        });
        let text = TextEncoder::new().encode_to_string(&self.registry.gather())?;
        Ok(iter::once(text).chain(report.into_iter().flat_map(copy_series)))
    }

    /// Whether this replica leads.
    pub(crate) fn leads(&self) -> bool {
        self.leadership.is_held()
    }

    /// When the token of each registry expires; `None` without one, and for a file.
    pub(crate) fn token_expiries(&self) -> Vec<(String, Option<Timestamp>)> {
        let expiry = |(name, _, expires_at): (&str, _, _)| (name.to_owned(), expires_at);
        self.store.read(|store| store.times().map(expiry).collect())
    }
}

impl ConfigMetrics {
    /// Whether the config was valid when it was last read, and when the one that is in force was read.
    pub(crate) fn state(&self) -> (bool, Timestamp) {
        #[expect(clippy::cast_possible_truncation, reason = "a Unix time of whole seconds")]
        let seconds = self.success_time.get() as i64;
        let since = Timestamp::from_second(seconds).unwrap_or_default();
        (self.successful.get() > 0.0, since)
    }

    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let successful = Gauge::new(
            "ecr_refresher_config_last_reload_successful",
            "Whether the config was right when it was last read.",
        )?;
        let success_time = Gauge::new(
            "ecr_refresher_config_last_reload_success_timestamp_seconds",
            "When the config that is in force was read, as a Unix time.",
        )?;
        registry.register(Box::new(successful.clone()))?;
        registry.register(Box::new(success_time.clone()))?;
        Ok(Self { successful, success_time })
    }

    /// A valid config came into force at `now`.
    pub(crate) fn accepted(&self, now: Timestamp) {
        self.successful.set(1.0);
        self.success_time.set(unix_seconds(now));
    }

    /// A config was invalid, and changed nothing.
    pub(crate) fn rejected(&self) {
        self.successful.set(0.0);
    }
}

fn register_build(registry: &Registry) -> prometheus::Result<()> {
    let opts = Opts::new("ecr_refresher_build_info", "The version that runs; always 1.");
    let build = GaugeVec::new(opts, &["version"])?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
    registry.register(Box::new(build))
}

/// Memory, CPU and file descriptors, where the system provides them.
#[cfg(target_os = "linux")]
fn register_process(registry: &Registry) -> prometheus::Result<()> {
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
}

#[cfg(not(target_os = "linux"))]
fn register_process(_: &Registry) -> prometheus::Result<()> {
    Ok(())
}
