//! The date is set, back or forth: that postpones nothing, shortens nothing, and causes no write.

use super::*;

const HOUR: i64 = 3600;
/// By how much the date is set.
const STEPS: [i64; 6] = [-2 * LIFE, -HOUR, -1, 1, HOUR, 2 * LIFE];

impl Fixture {
    /// How long it takes until something is due; `None` when nothing is.
    fn wait(&self) -> Option<Duration> {
        Some(self.index.next()?.saturating_sub(self.now.uptime))
    }

    /// All is planned anew.
    fn plan_anew(&mut self) {
        let settings = self.settings.clone();
        self.configure_all(settings);
    }

    /// The date is set, and all is planned anew.
    fn step(&mut self, seconds: i64) {
        self.set_date(seconds);
        self.plan_anew();
    }
}

#[test]
fn a_date_that_is_set_causes_no_write() {
    for seconds in STEPS {
        let mut fixture = Fixture::with_copies(&["team-a", "team-b"]);
        fixture.step(seconds);
        fixture.list_namespaces(&["team-a", "team-b"]);
        assert_eq!(fixture.index.next(), None, "{seconds}");
        fixture.step(-seconds);
        assert_eq!(fixture.index.next(), None, "{seconds}");
    }
}

#[test]
fn a_date_that_is_set_postpones_no_refresh() {
    for seconds in STEPS {
        let mut fixture = Fixture::with_copies(&["team-a"]);
        fixture.token("two", LIFE);
        fixture.pass(1);
        let wait = fixture.wait().unwrap();
        assert!(!wait.is_zero(), "it is spread");
        fixture.set_date(seconds);
        assert_eq!(fixture.wait(), Some(wait), "{seconds}");
        fixture.plan_anew();
        assert!(fixture.wait().unwrap() <= wait, "{seconds}");
        fixture.pass_until(fixture.index.next().unwrap());
        assert_eq!(fixture.write_all(), ["team-a~"], "{seconds}");
        assert_eq!(fixture.index.next(), None, "{seconds}");
    }
}

#[test]
fn an_earlier_date_postpones_no_refresh_of_a_token_that_is_about_to_expire() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    fixture.pass(LIFE - 80);
    fixture.token("two", LIFE);
    let wait = fixture.wait().unwrap();
    assert!(wait <= Duration::from_secs(20), "a quarter of what is left: {wait:?}");
    fixture.step(-HOUR);
    assert_eq!(fixture.wait(), Some(wait));
}

#[test]
fn a_token_after_an_earlier_date_is_spread_as_always() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    fixture.step(-HOUR);
    fixture.token("two", LIFE);
    assert!(fixture.writes().is_empty());
    fixture.pass(SPREAD.cast_signed());
    assert_eq!(fixture.write_all(), ["team-a~"]);
}

#[test]
fn a_missing_copy_is_written_at_once() {
    for seconds in STEPS {
        let mut fixture = Fixture::with_copies(&["team-a"]);
        fixture.namespace("team-b");
        fixture.set_date(seconds);
        assert_eq!(fixture.write_all(), ["team-b"]);
        fixture.namespace("team-c");
        assert_eq!(fixture.write_all(), ["team-c"]);
    }
}

#[test]
fn a_backoff_stays_as_long_as_it_was() {
    for seconds in STEPS {
        let mut fixture = Fixture::ready();
        fixture.namespace("team-a");
        let write = fixture.write();
        fixture.fail_until(write, WriteReason::Throttled, Some(120));
        fixture.pass(20);
        fixture.step(seconds);
        assert_eq!(fixture.wait(), Some(Duration::from_secs(100)), "{seconds}");
        fixture.pass(100);
        assert_eq!(fixture.write_all(), ["team-a"]);
    }
}

#[test]
fn a_repair_that_is_slowed_down_waits_as_long_as_it_did() {
    for seconds in STEPS {
        let mut fixture = Fixture::with_copies(&["team-a"]);
        let copy = copy_of(fixture.manifest.as_deref().unwrap());
        for _ in 0..20 {
            fixture.copy("team-a", edited(copy.clone()));
            fixture.pass_until(fixture.now.uptime + fixture.wait().unwrap());
            assert_eq!(fixture.write_all(), ["team-a!"]);
        }
        fixture.copy("team-a", edited(copy));
        fixture.step(seconds);
        assert_eq!(fixture.wait(), Some(Duration::from_mins(5)), "{seconds}");
    }
}

#[test]
fn a_grace_before_a_deletion_is_neither_shortened_nor_prolonged() {
    for seconds in STEPS {
        let mut fixture = Fixture::unwanted();
        fixture.pass(60);
        fixture.step(seconds);
        let wait = fixture.wait();
        assert_eq!(wait, Some(Duration::from_secs(GRACE - 60)), "{seconds}");
        fixture.pass(i64::try_from(GRACE).unwrap() - 61);
        assert!(fixture.index.next_deletion(fixture.now).is_none(), "{seconds}");
        fixture.pass(1);
        assert!(fixture.index.next_deletion(fixture.now).is_some(), "{seconds}");
    }
}

#[test]
fn a_namespace_has_waited_for_its_copy_for_as_long_as_it_has() {
    for seconds in STEPS {
        let mut fixture = Fixture::ready();
        fixture.namespace("team-a");
        let write = fixture.write();
        fixture.set_date(seconds);
        fixture.pass(2);
        assert_eq!(fixture.finish(write).waited, Some(Duration::from_secs(2)), "{seconds}");
    }
}
