//! All metrics of the process, and their text.

use std::iter;

use anyhow::Result;
use ecr_refresher_core::{TokenMetrics, clock::unix_seconds, tokens::SharedTokenStore};
use ecr_refresher_sync::{
    engine::handle::EngineHandle,
    leadership::Leadership,
    report::{copy_series::copy_series, metrics::SyncMetrics},
};
use prometheus::{Gauge, GaugeVec, Opts, Registry, TextEncoder};
use tokio::sync::watch;

use crate::{config::ConfigState, registry_status::RegistryStatus};

/// Everything that `/metrics` shows.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) tokens: TokenMetrics,
    pub(crate) sync: SyncMetrics,
    /// One series, once it is known.
    pub(crate) admission_policy: GaugeVec,
    config_successful: Gauge,
    config_success_time: Gauge,
    leader: Gauge,
    leadership: Leadership,
    store: SharedTokenStore,
    config: watch::Receiver<ConfigState>,
}

impl Metrics {
    /// Makes and registers all metrics.
    pub(crate) fn register(
        leadership: Leadership,
        store: SharedTokenStore,
        config: watch::Receiver<ConfigState>,
    ) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let gauge = |name: &str, help: &str| -> prometheus::Result<Gauge> {
            let gauge = Gauge::new(format!("ecr_refresher_{name}"), help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
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
        Ok(Self {
            tokens: TokenMetrics::register(&registry)?,
            sync: SyncMetrics::register(&registry)?,
            admission_policy,
            config_successful: gauge(
                "config_last_reload_successful",
                "Whether the config was right when it was last read.",
            )?,
            config_success_time: gauge(
                "config_last_reload_success_timestamp_seconds",
                "When the config that is in force was read, as a Unix time.",
            )?,
            leader: gauge("leader", "Whether this replica is the one that calls AWS and writes.")?,
            registry,
            leadership,
            store,
            config,
        })
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
        let ConfigState { is_valid, since } = self.config();
        self.config_successful.set(f64::from(u8::from(is_valid)));
        self.config_success_time.set(unix_seconds(since));
        let term = self.leadership.term();
        self.leader.set(f64::from(u8::from(term.is_some())));
        // A follower shows no times, so that each is shown once.
        self.store.read(|store| {
            let leads = term.is_some() && store.term() == term;
            self.tokens.show(store.states().filter(|_| leads));
        });
        let text = TextEncoder::new().encode_to_string(&self.registry.gather())?;
        Ok(iter::once(text).chain(report.into_iter().flat_map(copy_series)))
    }

    /// Whether this replica leads.
    pub(crate) fn leads(&self) -> bool {
        self.leadership.is_held()
    }

    /// The state of the config file.
    pub(crate) fn config(&self) -> ConfigState {
        *self.config.borrow()
    }

    /// The state of each registry.
    pub(crate) fn registries(&self) -> Vec<RegistryStatus> {
        self.store.read(|store| store.states().map(RegistryStatus::from).collect())
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
