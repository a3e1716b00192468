//! Verifies the admission policy at the start of each term, and then every hour.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use ecr_refresher_core::clock::Clock;
use ecr_refresher_sync::{leadership::Leadership, report::notice::Notices};
use kube::Client;
use prometheus::GaugeVec;
use tokio::sync::watch;
use tracing::{debug, error};

use super::events::about_tokens;
use crate::{
    admission::{REMEDY, Verification, verify},
    config::Config,
    home::Home,
};

/// Between two verifications.
const PERIOD: Duration = Duration::from_hours(1);
/// After an answer that does not decide it.
const RETRY: Duration = Duration::from_mins(1);

/// The task that verifies the admission policy.
pub(crate) struct PolicyCheck {
    pub(crate) client: Client,
    pub(crate) home: Home,
    pub(crate) config: watch::Receiver<Arc<Config>>,
    pub(crate) leadership: Leadership,
    pub(crate) metrics: GaugeVec,
    pub(crate) notices: Notices,
    pub(crate) clock: Clock,
}

impl PolicyCheck {
    /// Verifies it for ever, while this process leads.
    pub(crate) async fn run(mut self) -> Result<()> {
        loop {
            let Some(term) = self.leadership.term() else {
                self.metrics.reset();
                self.leadership.changed(None).await;
                continue;
            };
            let wait = self.verify().await;
            let next = self.clock.uptime().saturating_add(wait);
            tokio::select! {
                biased;
                () = self.leadership.changed(Some(term)) => {}
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    /// Verifies it once. Returns how long until the next time.
    async fn verify(&self) -> Duration {
        let config = Arc::clone(&self.config.borrow());
        // A valid config has a pull Secret.
        let Some(secret) = config.sync.secrets.first() else { return PERIOD };
        match verify(&self.client, &self.home, &secret.name).await {
            Verification::Enforced => {
                self.metrics.with_label_values(&[] as &[&str]).set(1.0);
                PERIOD
            }
            Verification::Missing(namespace) => {
                self.metrics.with_label_values(&[] as &[&str]).set(0.0);
                let note = format!(
                    "the API server accepts a Secret of another type named {} in {namespace}, so a \
                     stolen token of this ServiceAccount becomes cluster-admin; {REMEDY}",
                    secret.name
                );
                error!(secret = secret.name, namespace, "the admission policy is missing: {note}");
                self.notices.send(about_tokens(&self.home, "AdmissionPolicyMissing", note));
                PERIOD
            }
            Verification::Unknown(problem) => {
                debug!("could not verify the admission policy; retrying: {problem}");
                RETRY
            }
        }
    }
}
