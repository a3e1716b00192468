//! The token cache: its document, and the tokens after a restart.

use super::*;

#[test]
fn after_a_restart_with_changed_settings_the_old_entries_are_there() {
    let mut before = store(&[registry("main", "eu-west-1")]);
    answer(&mut before, 0, "old");
    let document = cache(&mut before);
    let mut store = TokenStore::new(Random::from_seed(2));
    store.want(vec![registry("main", "us-east-1")], 0.5, now(100));
    store.begin_term(1, &document, now(100));
    fail(&mut store, 100);
    assert_eq!(read(&store, "main", 101), holds("old"));
    // And after the next one too.
    let document = cache(&mut store);
    let mut again = TokenStore::new(Random::from_seed(3));
    again.want(vec![registry("main", "us-east-1")], 0.5, now(200));
    again.begin_term(1, &document, now(200));
    fail(&mut again, 200);
    assert_eq!(read(&again, "main", 201), holds("old"));
}

#[test]
fn a_restart_with_a_fresh_token_cache_asks_nothing() {
    let mut before = store(&[registry("main", "eu-west-1")]);
    answer(&mut before, 0, "one");
    let document = cache(&mut before);
    let mut store = TokenStore::new(Random::from_seed(2));
    store.want(vec![registry("main", "eu-west-1")], 0.5, now(100));
    store.begin_term(1, &document, now(100));
    assert_eq!(store.due(now(101)), []);
    assert_eq!(read(&store, "main", 101), holds("one"));
    assert_eq!(store.cache_document().0, document);
}

#[test]
fn a_token_that_is_overdue_is_not_used_before_its_source_was_asked() {
    let mut before = store(&[registry("main", "eu-west-1")]);
    answer(&mut before, 0, "one");
    let document = cache(&mut before);
    let restarted = |seconds| {
        let mut store = TokenStore::new(Random::from_seed(2));
        store.want(vec![registry("main", "eu-west-1")], 0.5, now(seconds));
        store.begin_term(1, &document, now(seconds));
        store
    };
    let mut store = restarted(30_000);
    assert_eq!(read(&store, "main", 30_000), Err(Reading::NotYet));
    fail(&mut store, 30_000);
    assert_eq!(read(&store, "main", 30_001), holds("one"));
    let mut store = restarted(30_000);
    answer(&mut store, 30_000, "two");
    assert_eq!(read(&store, "main", 30_000), Err(Reading::NotYet));
    cache(&mut store);
    assert_eq!(read(&store, "main", 30_001), holds("two"));
}

#[test]
fn of_two_replicas_the_newer_token_counts() {
    let main = registry("main", "eu-west-1");
    let mut one = store(std::slice::from_ref(&main));
    answer(&mut one, 0, "first");
    let document = cache(&mut one);
    let mut other = TokenStore::new(Random::from_seed(2));
    other.want(vec![main], 0.5, now(100));
    other.begin_term(1, &document, now(100));
    other.renew_all(now(200));
    answer(&mut other, 200, "second");
    let document = cache(&mut other);
    one.begin_term(2, &document, now(300));
    assert_eq!(read(&one, "main", 300), holds("second"));
    // The token of the first one is not newer, whatever its clock shows.
    other.begin_term(3, &cache(&mut one), now(400));
    assert_eq!(read(&other, "main", 400), holds("second"));
}

#[test]
fn a_damaged_document_is_refused_without_showing_its_content() {
    for text in [
        "",
        "hunter2",
        r#"{"version": 1}"#,
        r#"{"version": 2, "tokens": [{"source": {"file": "/a"}, "generation": 1, "entries": {"a b": "QVdTOmh1bnRlcjI="}}]}"#,
        r#"{"version": 2, "tokens": [{"source": {"file": "/a"}, "generation": 1, "entries": {"a": "hunter2"}}]}"#,
    ] {
        let error = CacheDocument::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_document_panic(text in ".*") {
        let _ = CacheDocument::parse(text.as_bytes());
    }
}
