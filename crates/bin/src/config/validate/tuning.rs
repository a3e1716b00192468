//! The settings other than registries and pull Secrets, all of which have defaults.

use std::{net::SocketAddr, time::Duration};

use jiff::SignedDuration;

use super::{
    super::{
        LeaderElection,
        raw::{RawLeaderElection, RawPrune, RawRefresh, RawWriter},
    },
    Lowering,
};

/// By default a token is replaced at half its life.
const AT_FRACTION: f64 = 0.5;
/// The default time over which the copies of a new token are written.
const SPREAD: Duration = Duration::from_mins(5);
/// Beyond this a spread would reach into the last part of a token's 12 hours.
const LONGEST_SPREAD: Duration = Duration::from_hours(1);
/// The default grace period of a copy that is no longer wanted.
const PRUNE_AFTER: Duration = Duration::from_mins(10);
/// The default number of jobs that may run at once.
const CONCURRENCY: u64 = 32;
/// More connections than this gain nothing from one API server.
const MOST_CONCURRENCY: u64 = 256;
/// The default address of metrics and probes.
const LISTEN: &str = "0.0.0.0:8080";
/// The default times of the leader election: those of Kubernetes' own
/// components (k8s.io/component-base, `config/v1alpha1/defaults.go`).
const LEASE_DURATION: Duration = Duration::from_secs(15);
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
const RETRY_PERIOD: Duration = Duration::from_secs(2);

impl Lowering<'_> {
    pub(super) fn refresh(&mut self, raw: &RawRefresh) -> (f64, Duration) {
        let at_fraction = raw.at_fraction.unwrap_or(AT_FRACTION);
        if !(0.05..=0.95).contains(&at_fraction) {
            let message = format!("`{at_fraction}` is no fraction of a life to refresh at");
            self.report(
                &["refresh", "atFraction"],
                message,
                "choose one from 0.05 to 0.95; 0.5 is usual",
            );
        }
        let spread = match raw.spread.as_deref().map(parse_duration) {
            None => Some(SPREAD),
            Some(spread) => spread.filter(|&spread| spread <= LONGEST_SPREAD),
        };
        if spread.is_none() {
            let message = format!(
                "`{}` is no time to spread writes over",
                raw.spread.as_deref().unwrap_or_default()
            );
            self.report(
                &["refresh", "spread"],
                message,
                "choose one from `0s` to `1h`, such as `5m`",
            );
        }
        (at_fraction, spread.unwrap_or(SPREAD))
    }

    /// The grace period of a copy that is no longer wanted; `None` if it is never deleted.
    pub(super) fn prune(&mut self, raw: &RawPrune) -> Option<Duration> {
        let after = raw.after.as_deref().map_or(Some(PRUNE_AFTER), parse_duration);
        if after.is_none() {
            let text = raw.after.as_deref().unwrap_or_default();
            let message = format!("`{text}` is no time to wait before a copy is deleted");
            self.report(&["prune", "after"], message, "choose one such as `10m`");
        }
        after.filter(|_| raw.enabled.unwrap_or(true))
    }

    pub(super) fn concurrency(&mut self, raw: &RawWriter) -> usize {
        let concurrency = raw.concurrency.unwrap_or(CONCURRENCY);
        if !(1..=MOST_CONCURRENCY).contains(&concurrency) {
            let message = format!("invalid value `{concurrency}` for `writer.concurrency`");
            let help = format!("choose 1 to {MOST_CONCURRENCY}; {CONCURRENCY} is usual");
            self.report(&["writer", "concurrency"], message, help);
        }
        usize::try_from(concurrency).unwrap_or(usize::MAX)
    }

    /// How the leader is elected; `None` for not at all.
    pub(super) fn leader_election(&mut self, raw: &RawLeaderElection) -> Option<LeaderElection> {
        let lease = self.seconds("leaseDuration", raw.lease_duration.as_deref(), LEASE_DURATION);
        let renew = self.seconds("renewDeadline", raw.renew_deadline.as_deref(), RENEW_DEADLINE);
        let retry = self.seconds("retryPeriod", raw.retry_period.as_deref(), RETRY_PERIOD);
        if !(retry < renew && renew < lease) {
            self.report(
                &["leaderElection"],
                "a leader must try to renew its lease, and give up, before the lease is over",
                "keep to `retryPeriod` < `renewDeadline` < `leaseDuration`",
            );
        }
        let times =
            LeaderElection { lease_duration: lease, renew_deadline: renew, retry_period: retry };
        raw.enabled.unwrap_or(true).then_some(times)
    }

    /// A time in whole seconds, as a Lease holds it.
    fn seconds(&mut self, key: &str, text: Option<&str>, usual: Duration) -> Duration {
        let Some(text) = text else { return usual };
        let whole =
            |time: &Duration| time.subsec_nanos() == 0 && (1..=3600).contains(&time.as_secs());
        parse_duration(text).filter(whole).unwrap_or_else(|| {
            let message = format!("`{text}` is no time for a lease");
            let help = format!("choose whole seconds up to `1h`; `{}s` is usual", usual.as_secs());
            self.report(&["leaderElection", key], message, help);
            usual
        })
    }

    pub(super) fn listen(&mut self, text: Option<&str>) -> Option<SocketAddr> {
        let text = text.unwrap_or(LISTEN);
        let address = text.parse().ok();
        if address.is_none() {
            let message = format!("`{text}` is no address to listen at");
            self.report(&["listen"], message, "write it as `0.0.0.0:8080`");
        }
        address
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    text.parse::<SignedDuration>().ok()?.try_into().ok()
}
