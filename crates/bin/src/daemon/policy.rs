//! Verifies the admission policy at the start of each term, and then every hour.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use ecr_refresher_core::clock::Clock;
use ecr_refresher_sync::{leadership::Leadership, report::notice::Notices};
use kube::Client;
use prometheus::GaugeVec;
use tokio::sync::watch;
use tracing::{debug, error, info};

use super::events::about_tokens;
use crate::{
    admission::{REMEDY, Verification, verify},
    config::Config,
    home::Home,
};

/// Between two verifications.
const PERIOD: Duration = Duration::from_hours(1);
/// After an answer that does not decide it, and while the policy is missing.
const RETRY: Duration = Duration::from_mins(1);
/// A policy that was just installed takes the API server a moment: only a second miss counts.
const CONFIRMATION: Duration = Duration::from_secs(10);

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

/// The earlier verifications.
#[derive(Debug, Default)]
struct Past {
    /// Whether the policy was missing at the last one.
    is_missing: bool,
    /// When it was reported to be missing, by the uptime.
    reported: Option<Duration>,
}

impl PolicyCheck {
    /// Verifies it for ever, while this process leads.
    pub(crate) async fn run(mut self) -> Result<()> {
        let mut past = Past::default();
        loop {
            let Some(term) = self.leadership.term() else {
                self.metrics.reset();
                self.leadership.changed(None).await;
                continue;
            };
            let wait = self.verify(&mut past).await;
            let next = self.clock.uptime().saturating_add(wait);
            tokio::select! {
                biased;
                () = self.leadership.changed(Some(term)) => {}
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    /// Verifies it once. Returns how long until the next time.
    async fn verify(&self, past: &mut Past) -> Duration {
        let config = Arc::clone(&self.config.borrow());
        // A valid config has a pull Secret.
        let Some(secret) = config.sync.secrets.first() else { return PERIOD };
        match verify(&self.client, &self.home, &secret.name).await {
            Verification::Enforced => {
                if past.reported.take().is_some() {
                    let note = "the admission policy is in force";
                    info!("{note}");
                    let over = about_tokens(&self.home, "AdmissionPolicyEnforced", note).over();
                    self.notices.send(over);
                }
                past.is_missing = false;
                self.metrics.with_label_values(&[] as &[&str]).set(1.0);
                PERIOD
            }
            Verification::Missing(_) if !past.is_missing => {
                past.is_missing = true;
                CONFIRMATION
            }
            Verification::Missing(namespace) => {
                self.metrics.with_label_values(&[] as &[&str]).set(0.0);
                self.report(past, &secret.name, &namespace);
                RETRY
            }
            Verification::Unknown(problem) => {
                debug!("could not verify the admission policy; retrying: {problem}");
                RETRY
            }
        }
    }

    /// Reports it, once an hour.
    fn report(&self, past: &mut Past, secret: &str, namespace: &str) {
        let now = self.clock.uptime();
        if past.reported.is_some_and(|last| now.saturating_sub(last) < PERIOD) {
            return;
        }
        past.reported = Some(now);
        let note = format!(
            "the API server accepts a forbidden Secret named {secret} in {namespace}, so a stolen \
             token of this ServiceAccount becomes cluster-admin; {REMEDY}"
        );
        error!(secret, namespace, "the admission policy is missing: {note}");
        self.notices.send(about_tokens(&self.home, "AdmissionPolicyMissing", note));
    }
}
