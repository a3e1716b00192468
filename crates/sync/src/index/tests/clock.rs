//! A wall clock that is set back: what waits does not wait for longer.

use super::*;

const HOUR: i64 = 3600;

impl Fixture {
    /// Time passes by this wall clock, and the engine looks at it.
    fn clock_moves(&mut self, seconds: i64) -> Option<SignedDuration> {
        self.pass(seconds);
        self.index.heed_clock(self.now)
    }

    /// The seconds until something is due; `None` when nothing is.
    fn wait(&self) -> Option<i64> {
        let due = self.index.next_due()?;
        Some(due.max(self.now).duration_since(self.now).as_secs())
    }

    fn deletion(&mut self) -> Option<Deletion> {
        self.index.next_deletion(self.now)
    }
}

/// A fixture whose clock has been looked at, with the copy of a namespace.
fn with_copy() -> Fixture {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    fixture.clock_moves(0);
    fixture
}

#[test]
fn a_clock_that_goes_on_or_is_slewed_is_not_set_back() {
    let mut fixture = with_copy();
    for seconds in [0, 1, HOUR, LIFE, -1] {
        assert_eq!(fixture.clock_moves(seconds), None);
    }
    assert_eq!(fixture.clock_moves(-1), Some(SignedDuration::from_secs(2)));
    assert_eq!(fixture.clock_moves(0), None);
}

#[test]
fn a_refresh_is_not_postponed() {
    let mut fixture = with_copy();
    fixture.token("two", LIFE);
    fixture.clock_moves(1);
    assert!(fixture.writes().is_empty(), "it is to be spread");
    fixture.clock_moves(-HOUR);
    assert_eq!(fixture.write_all(), ["team-a!"]);
    assert_eq!(fixture.wait(), None);
}

#[test]
fn a_refresh_of_a_token_that_came_before_the_new_time_stays_spread() {
    let mut fixture = with_copy();
    fixture.token("two", LIFE);
    fixture.clock_moves(60);
    let wait = fixture.wait().unwrap();
    fixture.clock_moves(-50);
    assert!(fixture.wait().unwrap() <= wait + 50);
    assert!(fixture.writes().is_empty());
}

#[test]
fn a_token_that_comes_after_the_jump_is_spread_as_always() {
    let mut fixture = with_copy();
    fixture.clock_moves(-HOUR);
    fixture.token("two", LIFE);
    assert!(fixture.writes().is_empty());
    fixture.clock_moves(SPREAD.cast_signed());
    assert_eq!(fixture.write_all(), ["team-a!"]);
}

#[test]
fn what_is_missing_goes_at_once() {
    let mut fixture = with_copy();
    fixture.namespace("team-b");
    fixture.clock_moves(-HOUR);
    assert_eq!(fixture.write_all(), ["team-b"]);
}

#[test]
fn a_copy_in_backoff_is_tried_within_five_minutes() {
    let mut fixture = Fixture::ready();
    fixture.clock_moves(0);
    fixture.namespace("team-a");
    let write = fixture.write();
    fixture.fail_until(write, WriteReason::Throttled, Some(120));
    fixture.clock_moves(-HOUR);
    assert_eq!(fixture.wait(), Some(300));
    fixture.clock_moves(300);
    assert_eq!(fixture.write_all(), ["team-a"]);
}

#[test]
fn a_short_backoff_stays_as_short_over_a_short_jump() {
    let mut fixture = Fixture::ready();
    fixture.clock_moves(0);
    fixture.namespace("team-a");
    let write = fixture.write();
    fixture.fail_until(write, WriteReason::Throttled, Some(20));
    fixture.clock_moves(-10);
    assert_eq!(fixture.wait(), Some(30));
}

#[test]
fn a_repair_that_is_slowed_down_waits_no_longer_than_ever() {
    let mut fixture = with_copy();
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    for _ in 0..20 {
        fixture.copy("team-a", edited(copy));
        let wait = fixture.wait().unwrap();
        fixture.clock_moves(wait);
        assert_eq!(fixture.write_all(), ["team-a!"]);
    }
    fixture.copy("team-a", edited(copy));
    assert_eq!(fixture.wait(), Some(300));
    fixture.clock_moves(-HOUR);
    assert_eq!(fixture.wait(), Some(300));
}

#[test]
fn a_deletion_comes_neither_sooner_nor_more_than_a_grace_later() {
    let grace = GRACE.cast_signed();
    let mut fixture = Fixture::selecting(TEAMS, &tier_is_prod());
    fixture.list_namespaces(&[]);
    fixture.list_copies(&[]);
    fixture.token("one", LIFE);
    fixture.labelled_namespace("team-a", "prod");
    fixture.write_all();
    fixture.namespace("team-a");
    fixture.clock_moves(grace - 1);
    assert_eq!(fixture.deletion(), None);
    fixture.clock_moves(-HOUR);
    assert_eq!(fixture.wait(), Some(grace), "the grace begins anew");
    fixture.clock_moves(grace - 1);
    assert_eq!(fixture.deletion(), None);
    fixture.clock_moves(1);
    assert!(fixture.deletion().is_some());
}

#[test]
fn a_namespace_that_waits_for_its_copy_has_waited_no_negative_time() {
    let mut fixture = Fixture::ready();
    fixture.clock_moves(0);
    fixture.namespace("team-a");
    let write = fixture.write();
    fixture.clock_moves(-HOUR);
    fixture.clock_moves(2);
    assert_eq!(fixture.finish(write).waited, Some(SignedDuration::from_secs(2)));
}
