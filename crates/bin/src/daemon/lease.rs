//! The Lease, as one candidate knows it. Pure: times are passed in.

use std::time::Duration;

use ecr_refresher_core::planted::{Bug, is_planted};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A Lease as the API server returned it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) resource_version: String,
    /// The replica that holds it; `None` when it was given up.
    pub(super) holder: Option<String>,
    /// For how long it is held after each renewal.
    pub(super) duration: Duration,
    /// How many terms there were before the present one, of all replicas.
    pub(super) transitions: u64,
}

/// The next action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Read the Lease.
    Read,
    /// Create it.
    Create,
    /// Write it, if it still has this resourceVersion.
    Write(String),
    /// Nothing: another replica holds it.
    Wait,
}

/// The knowledge of a candidate about the Lease.
///
/// A rival's Lease is over when it has not changed for its duration by our own clock, which is never
/// set: the times in it are another machine's. The own Lease follows from the own requests.
#[derive(Debug)]
pub(super) struct Candidate {
    identity: String,
    known: Known,
    /// The number of the last known term, of all replicas.
    transitions: u64,
}

#[derive(Debug)]
enum Known {
    /// Nothing.
    Nothing,
    /// It does not exist.
    Absent,
    /// It is ours, at this resourceVersion.
    Ours(String),
    /// It has been like this since then, by the uptime.
    Rivals { lease: Lease, since: Duration },
}

impl Candidate {
    pub(super) fn new(identity: String) -> Self {
        Self { identity, known: Known::Nothing, transitions: 0 }
    }

    /// Whether the Lease was ours at the last answer.
    pub(super) fn holds(&self) -> bool {
        matches!(self.known, Known::Ours(_))
    }

    /// The other replica that held the Lease when it was last read.
    pub(super) fn rival(&self) -> Option<&str> {
        match &self.known {
            Known::Rivals { lease, .. } => lease.holder.as_deref(),
            _ => None,
        }
    }

    /// The next action at an uptime of `now`.
    pub(super) fn next(&self, now: Duration) -> Action {
        match &self.known {
            Known::Nothing => Action::Read,
            Known::Absent => Action::Create,
            Known::Ours(version) => Action::Write(version.clone()),
            Known::Rivals { lease, since } => {
                let share = if is_planted(Bug::LeaseTakenTooSoon) { 5 } else { 1 };
                let is_free =
                    lease.holder.is_none() || now.saturating_sub(*since) >= lease.duration / share;
                if is_free { Action::Write(lease.resource_version.clone()) } else { Action::Wait }
            }
        }
    }

    /// A read has returned this at an uptime of `now`.
    pub(super) fn read(&mut self, lease: Option<Lease>, now: Duration) {
        if let Some(lease) = &lease {
            self.transitions = lease.transitions;
        }
        self.known = match (lease, &self.known) {
            (None, _) => Known::Absent,
            // A former life of this replica may have left it.
            (Some(lease), _) if lease.holder.as_ref() == Some(&self.identity) => {
                Known::Ours(lease.resource_version)
            }
            (Some(lease), Known::Rivals { lease: known, since }) if *known == lease => {
                Known::Rivals { lease, since: *since }
            }
            (Some(lease), _) => Known::Rivals { lease, since: now },
        };
    }

    /// A write was done in the term of this number.
    pub(super) fn written(&mut self, resource_version: String, term: u64) {
        self.known = Known::Ours(resource_version);
        self.transitions = term;
    }

    /// The number of the term that a write begins: higher than those of all replicas before.
    pub(super) fn next_term(&self) -> u64 {
        self.transitions + 1
    }

    /// The number of the last known term, of all replicas.
    pub(super) fn last_term(&self) -> u64 {
        self.transitions
    }

    /// A write was refused, or its effect is unknown.
    pub(super) fn write_failed(&mut self) {
        self.known = match std::mem::replace(&mut self.known, Known::Nothing) {
            // The observation of a rival still counts, if the next read shows the same.
            rivals @ Known::Rivals { .. } => rivals,
            _ => Known::Nothing,
        };
    }

    /// The content of a Lease that this candidate takes, or renews, in the term of this number.
    pub(super) fn held(&self, duration: Duration, wall: Timestamp, term: u64) -> Value {
        let mut spec = json!({
            "holderIdentity": self.identity,
            "leaseDurationSeconds": duration.as_secs(),
            "leaseTransitions": term,
            "renewTime": micro_time(wall),
        });
        if !self.holds() {
            spec["acquireTime"] = micro_time(wall).into();
        }
        json!({ "spec": spec })
    }

    /// The content of a Lease that is given up.
    pub(super) fn given_up() -> Value {
        json!({ "spec": { "holderIdentity": null, "renewTime": null, "acquireTime": null } })
    }
}

/// A time as the API's `MicroTime`.
fn micro_time(time: Timestamp) -> String {
    format!("{time:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(15);

    fn up(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is what a read returns")]
    fn lease(holder: Option<&str>, version: &str) -> Option<Lease> {
        let (holder, resource_version) = (holder.map(str::to_owned), version.to_owned());
        Some(Lease { holder, resource_version, duration: DURATION, transitions: 4 })
    }

    fn candidate() -> Candidate {
        Candidate::new("me".to_owned())
    }

    fn write(version: &str) -> Action {
        Action::Write(version.to_owned())
    }

    #[test]
    fn a_lease_that_is_not_there_is_created_and_renewed() {
        let mut me = candidate();
        assert_eq!(me.next(up(0)), Action::Read);
        me.read(None, up(0));
        assert_eq!(me.next(up(0)), Action::Create);
        me.written("1".to_owned(), 1);
        assert!(me.holds());
        assert_eq!(me.next(up(2)), write("1"));
    }

    #[test]
    fn a_rivals_lease_is_over_when_it_has_not_changed_for_its_duration() {
        let mut me = candidate();
        me.read(lease(Some("rival"), "1"), up(100));
        assert_eq!(me.rival(), Some("rival"));
        assert_eq!(me.next(up(114)), Action::Wait);
        me.read(lease(Some("rival"), "2"), up(114));
        assert_eq!(me.next(up(128)), Action::Wait);
        me.read(lease(Some("rival"), "2"), up(128));
        assert_eq!(me.next(up(129)), write("2"));
    }

    #[test]
    fn one_that_was_given_up_is_taken_at_once() {
        let mut me = candidate();
        me.read(lease(None, "7"), up(100));
        assert_eq!(me.next(up(100)), write("7"));
    }

    #[test]
    fn one_that_a_former_life_left_is_renewed() {
        let mut me = candidate();
        me.read(lease(Some("me"), "7"), up(100));
        assert_eq!(me.next(up(100)), write("7"));
    }

    #[test]
    fn after_a_write_that_failed_it_is_read_again() {
        let mut me = candidate();
        me.written("1".to_owned(), 1);
        me.write_failed();
        assert_eq!(me.next(up(2)), Action::Read);
        me.read(lease(Some("me"), "2"), up(2));
        assert_eq!(me.next(up(2)), write("2"));
    }

    #[test]
    fn a_new_term_has_a_higher_number_than_those_of_others() {
        let mut me = candidate();
        assert_eq!(me.next_term(), 1);
        me.read(lease(None, "7"), up(100));
        assert_eq!(me.next_term(), 5);
        me.written("8".to_owned(), 5);
        assert_eq!(me.next_term(), 6);
    }

    #[test]
    fn times_are_written_as_the_api_wants_them() {
        let wall = Timestamp::constant(1_800_000_000, 5_000);
        let held = candidate().held(DURATION, wall, 3);
        assert_eq!(held["spec"]["renewTime"], "2027-01-15T08:00:00.000005Z");
        assert_eq!(held["spec"]["acquireTime"], held["spec"]["renewTime"]);
        assert_eq!(held["spec"]["leaseDurationSeconds"], 15);
        assert_eq!(held["spec"]["leaseTransitions"], 3);
    }
}
