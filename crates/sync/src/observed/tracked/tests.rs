//! One object, and changes of it in any order.

mod properties;

use super::*;

impl Versioned for u64 {
    fn version(&self) -> u64 {
        *self
    }
}

fn known(version: u64) -> (Tracked<u64>, Lists) {
    let mut lists = Lists::default();
    lists.begin();
    let mut tracked = Tracked::default();
    tracked.listed(version, lists);
    lists.end();
    tracked.list_ended(lists);
    (tracked, lists)
}

#[test]
fn the_newest_event_counts_in_whatever_order_they_come() {
    let (mut tracked, _) = known(5);
    tracked.changed(7);
    tracked.changed(6);
    tracked.gone(4);
    assert_eq!(tracked.get(), Some(&7));
    tracked.gone(8);
    assert_eq!(tracked.get(), None);
}

#[test]
fn a_list_counts_also_after_a_restore_to_an_older_revision() {
    let (mut tracked, mut lists) = known(1_000);
    lists.begin();
    tracked.listed(500, lists);
    lists.end();
    tracked.list_ended(lists);
    assert_eq!(tracked.get(), Some(&500));
}

#[test]
fn the_answer_to_a_write_counts_also_after_a_restore() {
    let (mut tracked, lists) = known(1_000);
    tracked.start_job();
    tracked.written(501, lists);
    assert_eq!(tracked.get(), Some(&501));
}

#[test]
fn an_answer_is_ignored_when_the_watch_has_shown_something_newer_since() {
    let (mut tracked, lists) = known(5);
    tracked.start_job();
    tracked.changed(8);
    tracked.written(7, lists);
    assert_eq!(tracked.get(), Some(&8));
    tracked.start_job();
    tracked.gone(10);
    tracked.written(9, lists);
    assert_eq!(tracked.get(), None);
}

#[test]
fn a_deletion_that_only_a_list_could_show_is_not_missed() {
    // The write was done, then another client deleted the object, then the list was made.
    let (mut tracked, mut lists) = known(5);
    tracked.start_job();
    lists.begin();
    lists.end();
    tracked.list_ended(lists);
    tracked.written(7, lists);
    assert_eq!(tracked.get(), None);
    // The same, but the answer comes while the list is under way.
    let (mut tracked, mut lists) = known(5);
    tracked.start_job();
    lists.begin();
    tracked.written(7, lists);
    assert_eq!(tracked.get(), Some(&7));
    lists.end();
    tracked.list_ended(lists);
    assert_eq!(tracked.get(), None);
}

#[test]
fn an_answer_is_newer_than_the_list_that_shows_the_object_before_it() {
    let (mut tracked, mut lists) = known(5);
    tracked.start_job();
    lists.begin();
    tracked.written(7, lists);
    tracked.listed(5, lists);
    lists.end();
    tracked.list_ended(lists);
    assert_eq!(tracked.get(), Some(&7));
}

#[test]
fn what_was_deleted_is_not_revived_by_a_late_event() {
    let (mut tracked, lists) = known(5);
    tracked.start_job();
    tracked.deleted(5, lists);
    tracked.changed(5);
    assert_eq!(tracked.get(), None);
    tracked.changed(9);
    assert_eq!(tracked.get(), Some(&9));
}

#[test]
fn any_number_of_lists_stay_distinct() {
    let (mut tracked, mut lists) = known(5);
    for _ in 0..1_000 {
        lists.begin();
        lists.end();
    }
    tracked.list_ended(lists);
    assert_eq!(tracked.get(), None);
}

#[test]
fn a_write_after_an_own_deletion_during_the_same_list_counts() {
    for is_answered_first in [true, false] {
        let (mut tracked, mut lists) = known(5);
        lists.begin();
        tracked.start_job();
        tracked.deleted(5, lists);
        // The write is done, then another client deletes the object, then the list is made.
        tracked.start_job();
        if is_answered_first {
            tracked.written(7, lists);
        }
        lists.end();
        tracked.list_ended(lists);
        if !is_answered_first {
            tracked.written(7, lists);
        }
        assert_eq!(tracked.get(), None);
    }
}

#[test]
fn a_write_after_an_own_deletion_is_followed_also_after_a_restore() {
    let (mut tracked, mut lists) = known(1_000);
    tracked.start_job();
    tracked.deleted(1_000, lists);
    tracked.start_job();
    lists.begin();
    tracked.written(501, lists);
    tracked.listed(502, lists);
    lists.end();
    tracked.list_ended(lists);
    assert_eq!(tracked.get(), Some(&502));
    tracked.changed(503);
    assert_eq!(tracked.get(), Some(&503));
}
