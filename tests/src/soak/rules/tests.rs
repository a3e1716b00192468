//! Each rule can be broken, by made-up observations.

use super::super::{
    config::PULL,
    expectation::{ExpectedHost, GRACE},
};
use super::*;

const HOST: &str = "a.example.com";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn copy() -> CopyId {
    ("team-a".to_owned(), PULL)
}

/// One copy with one host, wanted since 0.
fn expected() -> Expected {
    let (settled, due) = (at(0) + GRACE, at(0) + GRACE);
    let hosts = [(HOST.to_owned(), ExpectedHost { settled, due })].into();
    Expected { settled, due, tampered: false, hosts }
}

fn token(issued: i64) -> Entry {
    Entry::Issued(Token { issued_at: at(issued), expires_at: at(issued + 60) })
}

/// An observation of that copy.
fn seen(second: i64, entry: Entry) -> Observation {
    let hosts = [(HOST.to_owned(), entry)].into();
    let seen = Seen { hosts, ..Seen::default() };
    Observation { at: at(second), secrets: [(copy(), seen)].into() }
}

fn nothing(second: i64) -> Observation {
    Observation { at: at(second), secrets: BTreeMap::new() }
}

/// The problems that the rules find in these observations, each with the second.
fn problems_of(expected: &Expected, observations: &[Observation]) -> Vec<(i64, Problem)> {
    let mut rules = Rules::default();
    let expected = [(copy(), expected.clone())].into();
    let mut found = Vec::new();
    for observation in observations {
        let second = observation.at.duration_since(at(0)).as_secs();
        let violations = rules.check(observation, &expected);
        found.extend(violations.into_iter().map(|violation| (second, violation.problem)));
    }
    found
}

fn problems(observations: &[Observation]) -> Vec<(i64, Problem)> {
    problems_of(&expected(), observations)
}

#[test]
fn a_copy_that_is_renewed_in_time_breaks_no_rule() {
    let history = [nothing(1), seen(9, token(2)), seen(40, token(30)), seen(80, token(61))];
    assert_eq!(problems(&history), []);
}

#[test]
fn a_copy_that_is_due_must_be_there_and_counts_once_while_it_is_not() {
    let history = [nothing(7), nothing(8), nothing(9), seen(10, token(9)), seen(11, token(9))];
    assert_eq!(problems(&history), [(8, Problem::NoCopy)]);
}

#[test]
fn an_entry_that_is_due_must_hold_a_token_of_its_host_that_lives() {
    assert_eq!(problems(&[seen(9, Entry::Unknown)]), [(9, Problem::NoToken)]);
    assert_eq!(problems(&[seen(61, token(2)), seen(62, token(2))]), [(62, Problem::Expired)]);
    let mut empty = seen(9, Entry::Unknown);
    empty.secrets.values_mut().for_each(|seen| seen.hosts.clear());
    assert_eq!(problems(&[empty]), [(9, Problem::NoEntry)]);
}

#[test]
fn a_token_is_never_older_than_one_before() {
    let history = [seen(40, token(30)), seen(41, token(2)), seen(42, token(30))];
    assert_eq!(problems(&history), [(41, Problem::Older)]);
    // Not after the copy was away either.
    let history = [seen(4, token(3)), nothing(5), seen(6, token(2))];
    assert_eq!(problems(&history), [(6, Problem::Older)]);
}

#[test]
fn what_a_tenant_wrote_may_be_anything_until_it_is_due() {
    let tampered = Expected { tampered: true, ..expected() };
    let history = [seen(4, token(3)), seen(5, token(2)), nothing(6), seen(7, Entry::Unknown)];
    assert_eq!(problems_of(&tampered, &history), []);
    // What was there before it counts again from then on.
    let mut rules = Rules::default();
    let mut check = |observation, expected: &Expected| {
        let violations = rules.check(&observation, &[(copy(), expected.clone())].into());
        violations.into_iter().map(|violation| violation.problem).collect::<Vec<_>>()
    };
    assert_eq!(check(seen(3, token(3)), &expected()), []);
    assert_eq!(check(seen(7, token(2)), &tampered), []);
    assert_eq!(check(seen(8, token(2)), &tampered), [Problem::Older]);
}

#[test]
fn an_entry_that_is_valid_and_wanted_does_not_vanish() {
    let mut later = expected();
    // A fault extends the deadline, and does not excuse what was there.
    later.due = at(60);
    later.hosts.values_mut().for_each(|host| host.due = at(60));
    let history = [seen(10, token(9)), nothing(11), nothing(12)];
    assert_eq!(problems_of(&later, &history), [(11, Problem::Vanished)]);
    // What has expired may go.
    assert_eq!(problems_of(&later, &[seen(10, token(-49)), nothing(11)]), []);
    // And what is not settled yet may come and go.
    assert_eq!(problems_of(&later, &[seen(4, token(3)), nothing(5)]), []);
}

#[test]
fn a_foreign_secret_stays_as_it_is_and_a_namespace_on_no_list_gets_none() {
    let outside = ("outside".to_owned(), PULL);
    let foreign = [(copy(), Some("1".to_owned())), (outside.clone(), None)].into();
    let mut rules = Rules::new(foreign);
    let secret = |version: &str| Seen { resource_version: version.to_owned(), ..Seen::default() };
    let mut check = |secrets| {
        let observation = Observation { at: at(0), secrets };
        let violations = rules.check(&observation, &BTreeMap::new()).into_iter();
        violations.map(|violation| violation.problem).collect::<Vec<_>>()
    };
    assert_eq!(check([(copy(), secret("1"))].into()), []);
    assert_eq!(check([(copy(), secret("2"))].into()), [Problem::ForeignChanged]);
    let both = [(copy(), secret("1")), (outside, secret("3"))].into();
    assert_eq!(check(both), [Problem::Intruder]);
    assert_eq!(check([].into()), [Problem::ForeignChanged]);
}

#[test]
fn a_violation_says_where_and_what() {
    let violation = Violation {
        copy: copy(),
        host: HOST.to_owned(),
        problem: Problem::NoEntry,
        seen: "it has []".to_owned(),
    };
    let words = "NoEntry in the copy team-a/soak-pull, host a.example.com: it has []";
    assert_eq!(violation.to_string(), words);
}
