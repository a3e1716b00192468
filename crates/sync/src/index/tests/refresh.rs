//! A new token: when the copies of the old one are replaced, and in which order.

use super::{super::copy::spread_position, *};

fn many() -> Vec<String> {
    (0..200).map(|number| format!("team-{number}")).collect()
}

fn with_many() -> Fixture {
    let names = many();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    Fixture::with_copies(&names)
}

/// The seconds from `start` to the writes.
fn seconds(writes: &[(String, Duration)], start: Now) -> Vec<f64> {
    let since = |(_, at): &(String, Duration)| at.saturating_sub(start.uptime).as_secs_f64();
    writes.iter().map(since).collect()
}

#[test]
fn each_copy_is_refreshed_once_at_its_position_in_the_spread() {
    let mut fixture = with_many();
    let start = fixture.now;
    fixture.token("two", LIFE);
    let mut writes = fixture.write_as_due();
    let mut last = 0.0_f64;
    for ((name, _), second) in writes.iter().zip(seconds(&writes, start)) {
        let place = spread_position(name.trim_end_matches('~')) * 300.0;
        assert!((second - place).abs() < 0.001, "{name} {second} {place}");
        assert!(name.ends_with('~') && second < 300.0);
        last = last.max(second);
    }
    assert!(last > 270.0, "the spread is used: {last}");
    writes.sort_unstable();
    writes.dedup_by(|one, other| one.0 == other.0);
    assert_eq!(writes.len(), 200);
}

#[test]
fn the_spread_is_even() {
    let mut quarters = [0; 4];
    for name in many() {
        quarters[[0.25, 0.5, 0.75].partition_point(|&end| end <= spread_position(&name))] += 1;
    }
    assert!(quarters.iter().all(|&count| count > 25), "{quarters:?}");
}

#[test]
fn a_token_that_has_little_life_left_shortens_the_spread_to_a_quarter_of_it() {
    let mut fixture = with_many();
    fixture.pass(LIFE - 80);
    let start = fixture.now;
    fixture.token("two", LIFE);
    let writes = fixture.write_as_due();
    let last = seconds(&writes, start).into_iter().fold(0.0, f64::max);
    assert_eq!(writes.len(), 200);
    assert!((18.0..20.0).contains(&last), "{last}");
}

#[test]
fn the_copy_that_expires_first_goes_first() {
    let mut fixture = Fixture::ready();
    let late = fixture.token("late", LIFE);
    let early = fixture.token("early", 3600);
    let middle = fixture.token("middle", 7200);
    for (name, copy) in [("team-a", late), ("team-b", middle), ("team-c", early)] {
        fixture.copy(name, copy);
        fixture.namespace(name);
    }
    fixture.token("new", LIFE);
    fixture.pass(SPREAD.cast_signed());
    assert_eq!(names_of(&fixture.writes()), ["team-c~", "team-b~", "team-a~"]);
}

#[test]
fn missing_and_damaged_copies_are_written_before_a_refresh() {
    let mut fixture = with_many();
    let copy = fixture.token("two", LIFE);
    fixture.pass(SPREAD.cast_signed());
    fixture.namespace("team-new");
    fixture.copy("team-7", edited(copy));
    let writes = fixture.writes();
    let mut first = names_of(&writes[..2]);
    first.sort_unstable();
    assert_eq!(first, ["team-7!", "team-new"]);
    assert_eq!(writes.len(), 201);
}

#[test]
fn what_has_expired_goes_before_a_refresh_and_is_not_spread() {
    let mut fixture = with_many();
    let expired = copy_of(&manifest("short", fixture.now.wall, 60));
    fixture.copy("team-7", expired);
    fixture.pass(60);
    fixture.token("two", LIFE);
    let writes = fixture.writes();
    assert_eq!(name_of(&writes[0]), "team-7~");
    assert!(writes.len() < 10, "the others are spread: {}", writes.len());
}

#[test]
fn expired_copies_are_as_urgent_as_missing_ones() {
    let mut fixture = with_many();
    let expired = copy_of(&manifest("short", fixture.now.wall, 60));
    fixture.copy("team-7", expired);
    fixture.pass(60);
    fixture.namespace("team-new");
    fixture.token("two", LIFE);
    // Among equals, the namespace that is known for longer goes first.
    assert_eq!(names_of(&fixture.writes())[..2], ["team-7~", "team-new"]);
}

#[test]
fn a_new_namespace_does_not_wait_for_a_spread() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    fixture.token("two", LIFE);
    fixture.namespace("team-new");
    assert_eq!(fixture.write_all(), ["team-new"]);
}

#[test]
fn a_token_replaces_the_last_one_before_it_was_written() {
    let mut fixture = with_many();
    fixture.token("two", LIFE);
    let last = fixture.token("three", LIFE);
    let mut contents = Vec::new();
    while let Some(due) = fixture.index.next() {
        fixture.pass_until(due);
        for write in fixture.writes() {
            contents.push(copy_of(&write.manifest));
            fixture.finish(write);
        }
    }
    assert_eq!(contents, vec![last; 200]);
}

#[test]
fn a_token_that_has_expired_is_not_written_again() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    fixture.pass(2 * LIFE);
    fixture.namespace("team-a");
    assert_eq!(fixture.index.next(), None);
    assert_eq!(fixture.state("team-a"), CopyState::Expired);
}

#[test]
fn a_copy_that_never_expires_is_refreshed_like_any_other() {
    let mut fixture = Fixture::ready();
    let forever = Ownership::Ours {
        content: Some(ContentHash::new(1 << 8, FIELDS)),
        expires_at: None,
        owned_fields: Some(FIELDS),
    };
    fixture.copy("team-a", forever);
    fixture.namespace("team-a");
    assert_eq!(fixture.state("team-a"), CopyState::Stale);
    fixture.pass(SPREAD.cast_signed());
    assert_eq!(fixture.write_all(), ["team-a~"]);
}

#[test]
fn content_that_changes_all_the_time_postpones_no_copy() {
    let names = many();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut fixture = Fixture::with_copies(&names);
    let spread = Duration::from_secs(30);
    let shorter = Settings { spread, ..fixture.settings.clone() };
    fixture.configure_all(shorter);
    let start = fixture.now.uptime;
    let mut last_writes: BTreeMap<_, _> = names.iter().map(|&name| (name, start)).collect();
    for number in 0..24 {
        fixture.token(&format!("{number}"), LIFE);
        let next = fixture.now.uptime + Duration::from_secs(5);
        while let Some(due) = fixture.index.next().filter(|&due| due < next) {
            fixture.pass_until(due);
            for name in fixture.write_all() {
                *last_writes.get_mut(name.trim_end_matches('~')).unwrap() = fixture.now.uptime;
            }
        }
        fixture.pass_until(next);
        for (name, last_write) in &last_writes {
            let age = next.saturating_sub(*last_write);
            assert!(age <= Duration::from_secs(35), "{name}: {age:?}");
        }
    }
}

/// A copy that waits for its turn, and how long it takes from the token to its turn.
fn waiting() -> (Fixture, Duration) {
    let mut fixture = Fixture::labelled();
    fixture.token("two", LIFE);
    let wait = fixture.index.next().unwrap().saturating_sub(fixture.now.uptime);
    assert!(wait > Duration::from_mins(1), "{wait:?}");
    (fixture, wait)
}

#[test]
fn content_that_comes_during_a_write_has_a_turn_of_its_own() {
    let (mut fixture, wait) = waiting();
    fixture.pass_until(fixture.index.next().unwrap());
    let write = fixture.write();
    fixture.token("three", LIFE);
    fixture.finish(write);
    assert_eq!(fixture.index.next(), Some(fixture.now.uptime + wait));
}

#[test]
fn a_process_that_leads_again_spreads_its_writes_anew() {
    let (mut fixture, wait) = waiting();
    fixture.index.end_term(fixture.now);
    assert_eq!(fixture.index.next(), None);
    fixture.pass(3600);
    fixture.token("three", LIFE);
    assert_eq!(fixture.index.next(), Some(fixture.now.uptime + wait));
}

#[test]
fn a_copy_that_was_not_wanted_for_a_while_has_a_turn_of_its_own() {
    let leave: [fn(&mut Fixture); 2] =
        [|it| it.namespace("team-a"), |it| it.namespace_gone("team-a")];
    for leave in leave {
        let (mut fixture, wait) = waiting();
        leave(&mut fixture);
        fixture.pass(60);
        fixture.labelled_namespace("team-a", "prod");
        assert_eq!(fixture.index.next(), Some(fixture.now.uptime + wait));
    }
}

/// How long a copy that works for `LIFE` waits for content without all registries.
fn wait_for_incomplete(fixture: &mut Fixture) -> Duration {
    let manifest = Manifest { is_complete: false, ..manifest("fewer", fixture.now.wall, LIFE) };
    fixture.manifest(first(), Arc::new(manifest));
    fixture.index.next().unwrap().saturating_sub(fixture.now.uptime)
}

#[test]
fn a_copy_that_might_lose_entries_waits_for_most_of_its_life() {
    let patience = Duration::from_secs(LIFE.unsigned_abs()) * 3 / 4;
    // It may hold those of a registry that has left the config and is back.
    let mut fixture = Fixture::with_copies(&["team-a"]);
    assert_eq!(wait_for_incomplete(&mut fixture), patience);

    // Another process may have written it since.
    let mut fixture = Fixture::with_copies(&["team-a"]);
    fixture.index.end_term(fixture.now);
    assert_eq!(wait_for_incomplete(&mut fixture), patience);

    let mut fixture = Fixture::ready();
    let copy = fixture.token("former", LIFE);
    fixture.copy("team-a", copy);
    fixture.namespace("team-a");
    assert_eq!(wait_for_incomplete(&mut fixture), patience);
}
