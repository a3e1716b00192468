//! Tokens that are replaced together.

use super::*;

/// Two sources with tokens that were issued this many seconds apart.
fn issued_apart(seconds: i64) -> TokenStore {
    let mut store = store(&[registry("one", "eu-west-1"), registry("two", "us-east-1")]);
    for (ask, issued) in store.due(now(0)).into_iter().zip([0, seconds]) {
        let TokenSource::Aws(source) = &ask.source else { panic!("{ask:?}") };
        let token = token("x", source.region.as_deref().unwrap(), issued, LIFE);
        store.answered(ask.id, Ok(token), now(issued));
    }
    store
}

/// When the first source is due.
fn next(store: &TokenStore) -> i64 {
    i64::try_from(store.next_due().unwrap().as_secs()).unwrap() + 1
}

#[test]
fn tokens_that_are_due_soon_are_replaced_together() {
    let mut store = issued_apart(0);
    for round in 0..20 {
        let due = next(&store);
        assert_eq!(answer(&mut store, due, &format!("token {round}")), 2, "round {round}");
        cache(&mut store);
    }
}

#[test]
fn a_token_that_is_not_due_soon_is_not_replaced_early() {
    let mut store = issued_apart(3 * 3600);
    let due = next(&store);
    assert_eq!(store.due(now(due)).len(), 1);
}

#[test]
fn the_poll_of_a_file_replaces_no_token() {
    let hub = Registry::file("hub".into(), "/hub.json".into());
    let mut store = store(&[registry("main", "eu-west-1"), hub]);
    assert_eq!(answer(&mut store, 0, "x"), 2);
    let due = next(&store);
    assert_eq!(store.due(now(due)).len(), 1);
}
