//! Failures, and tokens of the cache that are no longer usable.

use super::*;

/// Has what is due fail; the failures in a row and the delays that the store reports.
fn failures(store: &mut TokenStore, seconds: i64) -> Vec<(u32, Duration)> {
    let asks = store.due(now(seconds));
    let outcomes = asks.iter().flat_map(|ask| store.answered(ask.id, Err(down()), now(seconds)));
    let failed = outcomes.map(|outcome| outcome.result.unwrap_err());
    failed.map(|failed| (failed.failures, failed.delay)).collect()
}

#[test]
fn a_success_ends_the_count_of_failures() {
    let mut store = store(&[registry("main", "eu-west-1")]);
    for (seconds, expected) in [(0, 1), (100, 2), (200, 3)] {
        assert_eq!(failures(&mut store, seconds)[0].0, expected);
    }
    let ended = |store: &mut TokenStore, seconds, text| {
        let ask = store.due(now(seconds)).remove(0);
        let token = token(text, "eu-west-1", seconds, LIFE);
        let outcome = store.answered(ask.id, Ok(token), now(seconds)).remove(0);
        outcome.result.unwrap().ended.map(|ended| ended.failures)
    };
    assert_eq!(ended(&mut store, 300, "one"), Some(3));
    assert_eq!(ended(&mut store, 300 + LIFE, "two"), None);
    assert_eq!(failures(&mut store, 300 + 2 * LIFE)[0].0, 1);
}

#[test]
fn registries_that_share_a_failure_wait_until_the_same_moment() {
    let (one, two) = (registry("one", "eu-west-1"), registry("two", "eu-west-1"));
    let mut store = store(&[one, two]);
    let failed = failures(&mut store, 0);
    assert_eq!((failed.len(), failed[0]), (2, failed[1]));
    let before = now(0).uptime + failed[0].1.saturating_sub(Duration::from_millis(1));
    assert_eq!(store.due(Now { uptime: before, ..now(0) }), []);
    assert_eq!(store.due(now(3_600)).len(), 1);
}

#[test]
fn an_edit_of_the_fraction_does_not_end_the_wait_after_a_failure() {
    let main = registry("main", "eu-west-1");
    let mut store = store(std::slice::from_ref(&main));
    answer(&mut store, 0, "one");
    assert_eq!(fail(&mut store, 30_000), 1);
    store.want(vec![main], 0.6, now(30_000));
    assert_eq!(store.due(now(30_000)), []);
    assert_eq!(store.due(now(30_001 + LIFE)).len(), 1);
}

#[test]
fn an_expired_token_of_the_cache_is_not_used() {
    let mut before = store(&[registry("main", "eu-west-1")]);
    answer(&mut before, 0, "one");
    let document = cache(&mut before);
    let mut store = TokenStore::new(Random::from_seed(2));
    store.want(vec![registry("main", "eu-west-1")], 0.5, now(LIFE));
    store.begin_term(1, &document, now(LIFE));
    fail(&mut store, LIFE);
    assert_eq!(read(&store, "main", LIFE), Err(Reading::Failed));
}

#[test]
fn a_token_that_is_the_same_again_is_not_worth_a_write_of_the_cache() {
    let mut store = store(&[registry("main", "eu-west-1")]);
    let same = token("one", "eu-west-1", 0, LIFE);
    let version = store.cache_version();
    for (seconds, expected) in [(0, version + 1), (30_000, version + 1)] {
        let asks = store.due(now(seconds));
        store.answered(asks[0].id, Ok(same.clone()), now(seconds));
        assert_eq!(store.cache_version(), expected);
    }
}

/// A replica that led the first term, still holds its token, and leads again after the token cache
/// was deleted.
fn leads_again_without_cache(seconds: i64) -> TokenStore {
    let mut store = store(&[registry("main", "eu-west-1")]);
    answer(&mut store, 0, "former");
    cache(&mut store);
    store.begin_term(3, &CacheDocument::default(), now(seconds));
    store
}

#[test]
fn what_a_former_term_left_and_the_cache_has_lost_is_not_used_before_its_source_has_failed() {
    let mut store = leads_again_without_cache(100);
    assert_eq!(read(&store, "main", 100), Err(Reading::NotYet));
    assert_eq!(fail(&mut store, 100), 1);
    assert_eq!(read(&store, "main", 100), holds("former"));
    let mut store = leads_again_without_cache(100);
    assert_eq!(answer(&mut store, 100, "new"), 1);
    assert_eq!(read(&store, "main", 100), Err(Reading::NotYet));
    cache(&mut store);
    assert_eq!(read(&store, "main", 100), holds("new"));
}

#[test]
fn what_a_former_term_left_and_the_cache_has_lost_is_not_used_once_it_has_expired() {
    let mut store = leads_again_without_cache(LIFE - 5);
    let asks = store.due(now(LIFE - 5));
    store.answered(asks[0].id, Err(down()), now(LIFE + 5));
    assert_eq!(read(&store, "main", LIFE + 5), Err(Reading::Failed));
    let version = store.version();
    store.due(now(LIFE + 5));
    assert_ne!(store.version(), version);
    assert_eq!(read(&store, "main", LIFE + 5), Err(Reading::Failed));
}

#[test]
fn an_edit_of_other_registries_does_not_forget_a_failure() {
    let main = registry("main", "eu-west-1");
    let mut store = store(std::slice::from_ref(&main));
    assert_eq!(fail(&mut store, 0), 1);
    let failure = |store: &TokenStore, name: &str| {
        store.states().find(|it| it.registry == name).and_then(|it| it.failure)
    };
    store.want(vec![main.clone(), registry("other", "eu-west-2")], 0.5, now(1));
    assert_eq!(failure(&store, "main"), Some(Reason::Network));
    assert_eq!(failure(&store, "other"), None);
    let ask = store.due(now(3_000)).into_iter().find(|ask| ask.source == main.source).unwrap();
    let outcomes = store.answered(ask.id, Ok(token("one", "eu-west-1", 3_000, LIFE)), now(3_000));
    let [Outcome { result: Ok(Fetched { ended: Some(ended), .. }), .. }] = &outcomes[..] else {
        panic!("{outcomes:?}")
    };
    assert_eq!(ended.error.reason, Reason::Network);
    assert_eq!(failure(&store, "main"), None);
}

#[test]
fn an_edit_of_a_registry_forgets_its_failure() {
    let mut store = store(&[registry("main", "eu-west-1")]);
    fail(&mut store, 0);
    store.want(vec![registry("main", "eu-west-2")], 0.5, now(1));
    assert!(store.states().all(|it| it.failure.is_none()));
}
