mod cache;
mod failures;
mod hosts;
mod together;

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::{
    Auth, Entry, EntryError, FetchError, Host, Lifetime, Random, Reason,
    clock::Now,
    ecr::{EcrDefaults, EcrPublicSettings, EcrSettings},
};

const LIFE: i64 = 43_200;

/// A moment of this many seconds after the start, by both clocks.
fn now(seconds: i64) -> Now {
    Now { wall: at(seconds), uptime: Duration::from_secs(seconds.unsigned_abs()) }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn registry(name: &str, region: &str) -> Registry {
    let settings = EcrSettings { region: Some(region.to_owned()), ..EcrSettings::default() };
    Registry::ecr(name.into(), settings, &EcrDefaults::default())
}

fn accounts(name: &str, region: &str, accounts: &[&str]) -> Registry {
    let accounts = accounts.iter().map(ToString::to_string).collect();
    let region = Some(region.to_owned());
    Registry::ecr(
        name.into(),
        EcrSettings { region, accounts, ..EcrSettings::default() },
        &EcrDefaults::default(),
    )
}

fn host(region: &str) -> Host {
    Host::from_endpoint(&format!("123456789012.dkr.ecr.{region}.amazonaws.com")).unwrap()
}

fn token(password: &str, region: &str, issued: i64, life: i64) -> Token {
    Token::Ecr {
        auth: Auth::from_user_and_password("AWS", password).unwrap(),
        lifetime: Lifetime::starting(at(issued), at(issued + life)).unwrap(),
        host: Some(host(region)),
    }
}

fn file(entries: &[(&str, &str)]) -> Token {
    let entry = |(host, password): &(&str, &str)| {
        let auth = Auth::from_user_and_password("me", password).unwrap();
        ((*host).to_owned(), Entry::of_auth(&auth))
    };
    let usable = entries.iter().map(entry).collect();
    Token::File(FileEntries { usable, ..FileEntries::default() })
}

fn down() -> FetchError {
    FetchError::new(Reason::Network, "unreachable")
}

/// A store in its first term, with no token cache from before.
fn store(registries: &[Registry]) -> TokenStore {
    let mut store = TokenStore::new(Random::from_seed(1));
    store.want(registries.to_vec(), 0.5, now(0));
    store.begin_term(1, &CacheDocument::default(), now(0));
    store
}

/// Answers what is due: by the region of the source, or with a file.
fn answer(store: &mut TokenStore, seconds: i64, password: &str) -> usize {
    let asks = store.due(now(seconds));
    for ask in &asks {
        let token = match &ask.source {
            TokenSource::Aws(source) => {
                token(password, source.region.as_deref().unwrap(), seconds, LIFE)
            }
            TokenSource::File(_) => file(&[("a.example.com", password)]),
        };
        store.answered(ask.id, Ok(token), now(seconds));
    }
    asks.len()
}

fn fail(store: &mut TokenStore, seconds: i64) -> usize {
    let asks = store.due(now(seconds));
    for ask in &asks {
        store.answered(ask.id, Err(down()), now(seconds));
    }
    asks.len()
}

/// Has the token cache hold everything.
fn cache(store: &mut TokenStore) -> CacheDocument {
    let (document, generation) = store.cache_document();
    store.cached(generation);
    CacheDocument::parse(document.render().as_bytes()).unwrap()
}

/// The password of a registry at its first host, and the number of its hosts.
fn read(store: &TokenStore, name: &str, seconds: i64) -> Result<(String, usize), Reading> {
    match store.read(now(seconds)).remove(name).unwrap() {
        Reading::Held(credentials) => {
            let entry = credentials.entries.values().next().unwrap();
            Ok((entry.expose().to_owned(), credentials.entries.len()))
        }
        other => Err(other),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what `read` returns")]
fn holds(password: &str) -> Result<(String, usize), Reading> {
    let auth = Auth::from_user_and_password("AWS", password).unwrap();
    Ok((Entry::of_auth(&auth).expose().to_owned(), 1))
}

#[test]
fn a_token_is_read_once_the_token_cache_holds_it() {
    let mut store = store(&[registry("main", "eu-west-1")]);
    assert_eq!(answer(&mut store, 0, "one"), 1);
    assert_eq!(read(&store, "main", 1), Err(Reading::NotYet));
    let version = store.version();
    cache(&mut store);
    assert_ne!(store.version(), version);
    assert_eq!(read(&store, "main", 1), holds("one"));
}

#[test]
fn a_failure_takes_nothing_away() {
    let mut store = store(&[registry("main", "eu-west-1")]);
    answer(&mut store, 0, "one");
    cache(&mut store);
    assert_eq!(fail(&mut store, 30_000), 1);
    assert_eq!(read(&store, "main", 30_000), holds("one"));
    // Even an expired token stays, as long as there is nothing better.
    assert_eq!(read(&store, "main", LIFE + 1), holds("one"));
}

#[test]
fn a_failed_source_differs_from_one_without_an_attempt() {
    let mut store = store(&[registry("main", "eu-west-1")]);
    assert_eq!(read(&store, "main", 0), Err(Reading::NotYet));
    fail(&mut store, 0);
    assert_eq!(read(&store, "main", 0), Err(Reading::Failed));
}

#[test]
fn registries_of_one_source_share_one_call() {
    let one = accounts("one", "eu-west-1", &["111111111111"]);
    let two = accounts("two", "eu-west-1", &["222222222222", "333333333333"]);
    let mut store = store(&[one, two]);
    assert_eq!(answer(&mut store, 0, "shared"), 1);
    cache(&mut store);
    assert_eq!(read(&store, "one", 1).unwrap().1, 1);
    assert_eq!(read(&store, "two", 1).unwrap().1, 2);
}

#[test]
fn a_registry_that_cannot_use_the_token_makes_no_call_and_harms_no_sibling() {
    let good = registry("good", "eu-west-1");
    let mut role = registry("role", "eu-west-1");
    role = serde_json::from_str(
        &serde_json::to_string(&role)
            .unwrap()
            .replace("\"roleAccount\":null", "\"roleAccount\":\"999999999999\""),
    )
    .unwrap();
    let mut store = store(&[good, role]);
    let asks = store.due(now(0));
    let outcomes = store.answered(asks[0].id, Ok(token("one", "eu-west-1", 0, LIFE)), now(0));
    let failed: Vec<_> = outcomes.iter().filter(|it| it.result.is_err()).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(&*failed[0].registry, "role");
    cache(&mut store);
    assert_eq!(read(&store, "good", 1), holds("one"));
    assert_eq!(read(&store, "role", 1), Err(Reading::Failed));
    for seconds in [2, 60, 600, 6_000] {
        assert_eq!(store.due(now(seconds)), [], "after {seconds} s");
    }
}

#[test]
fn an_edit_that_is_undone_costs_nothing() {
    let (main, hub) = (registry("main", "eu-west-1"), registry("hub", "us-east-1"));
    let mut store = store(&[main.clone(), hub.clone()]);
    answer(&mut store, 0, "one");
    cache(&mut store);
    store.want(vec![main.clone()], 0.5, now(10));
    assert_eq!(store.due(now(11)), []);
    store.want(vec![main, hub], 0.5, now(20));
    assert_eq!(store.due(now(21)), []);
    assert_eq!(read(&store, "hub", 21), holds("one"));
}

#[test]
fn the_entries_of_a_file_outlast_an_edit_that_is_undone_for_twelve_hours() {
    for (returns_at, is_kept) in [(LIFE, true), (LIFE + 11, false)] {
        let hub = Registry::file("hub".into(), "/hub.json".into());
        let mut store = store(&[registry("main", "eu-west-1"), hub.clone()]);
        answer(&mut store, 0, "one");
        cache(&mut store);
        store.want(vec![registry("main", "eu-west-1")], 0.5, now(10));
        answer(&mut store, returns_at, "two");
        store.want(vec![registry("main", "eu-west-1"), hub], 0.5, now(returns_at));
        fail(&mut store, returns_at);
        assert_eq!(read(&store, "hub", returns_at).is_ok(), is_kept);
    }
}

#[test]
fn changed_settings_use_the_old_entries_until_there_is_a_token_by_the_new_ones() {
    let mut store = store(&[registry("main", "eu-west-1")]);
    answer(&mut store, 0, "old");
    cache(&mut store);
    store.want(vec![registry("main", "us-east-1")], 0.5, now(10));
    assert_eq!(read(&store, "main", 10), holds("old"));
    fail(&mut store, 10);
    assert_eq!(read(&store, "main", 20), holds("old"));
    assert_eq!(answer(&mut store, 20, "new"), 1);
    cache(&mut store);
    assert_eq!(read(&store, "main", 21), holds("new"));
}

#[test]
fn old_entries_end_with_their_token() {
    let mut store = store(&[registry("main", "eu-west-1")]);
    answer(&mut store, 0, "old");
    cache(&mut store);
    store.want(vec![registry("main", "us-east-1")], 0.5, now(10));
    fail(&mut store, 10);
    assert_eq!(read(&store, "main", LIFE - 1), holds("old"));
    assert_eq!(read(&store, "main", LIFE), Err(Reading::Failed));
}

#[test]
fn an_answer_of_a_former_term_is_dropped() {
    let mut store = store(&[registry("main", "eu-west-1")]);
    let asks = store.due(now(0));
    store.begin_term(2, &CacheDocument::default(), now(10));
    let outcomes = store.answered(asks[0].id, Ok(token("late", "eu-west-1", 10, LIFE)), now(10));
    assert_eq!(outcomes, []);
    assert_eq!(answer(&mut store, 11, "one"), 1);
}

#[test]
fn a_step_of_the_clock_postpones_no_token() {
    let mut store = store(&[registry("main", "eu-west-1")]);
    answer(&mut store, 0, "one");
    let set_back = Now { wall: at(-3_600), uptime: Duration::from_secs(21_601) };
    assert_eq!(store.due(set_back).len(), 1);
}

#[test]
fn a_file_is_read_again_every_five_seconds_and_is_news_when_it_differs() {
    let mut store = store(&[Registry::file("hub".into(), "/hub.json".into())]);
    answer(&mut store, 0, "one");
    let version = store.cache_version();
    assert_eq!(store.due(now(4)), []);
    assert_eq!(answer(&mut store, 5, "one"), 1);
    assert_eq!(store.cache_version(), version);
    assert_eq!(answer(&mut store, 10, "two"), 1);
    assert_ne!(store.cache_version(), version);
}

#[test]
fn a_files_entry_for_a_host_of_ecr_is_left_out_and_the_others_stay() {
    let hub = Registry::file("hub".into(), "/hub.json".into());
    let gallery = Registry::ecr_public("gallery".into(), EcrPublicSettings::default());
    let mut store = store(&[hub, gallery]);
    let asks = store.due(now(0));
    let ask = asks.iter().find(|ask| matches!(ask.source, TokenSource::File(_))).unwrap();
    let entries = file(&[("public.ecr.aws", "wrong"), ("docker.io", "right")]);
    let outcomes = store.answered(ask.id, Ok(entries), now(0));
    let error = &outcomes[0].result.as_ref().unwrap_err().error;
    assert_eq!(error.reason, Reason::File);
    assert!(
        error.message.contains("\"public.ecr.aws\": the registry gallery serves it too"),
        "{error}"
    );
    cache(&mut store);
    assert_eq!(read(&store, "hub", 1).unwrap().1, 1);
}

#[test]
fn an_entry_of_a_file_without_credentials_is_a_warning_and_no_failure() {
    let mut store = store(&[Registry::file("hub".into(), "/hub.json".into())]);
    let ask = store.due(now(0)).remove(0);
    let Token::File(mut entries) = file(&[("docker.io", "right")]) else { unreachable!() };
    entries.left_out.insert("quay.io".to_owned(), EntryError::Empty);
    let outcomes = store.answered(ask.id, Ok(Token::File(entries)), now(0));
    let warning = outcomes[0].result.as_ref().unwrap().warning.as_ref().unwrap();
    assert!(warning.contains("/hub.json: left out \"quay.io\": it has neither"), "{warning}");
    cache(&mut store);
    assert_eq!(read(&store, "hub", 1).unwrap().1, 1);
}

#[test]
fn debug_shows_nothing_of_a_password() {
    let mut store = store(&[registry("main", "eu-west-1")]);
    answer(&mut store, 0, "hunter2");
    let shown = format!("{store:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyM"), "{shown}");
}

proptest! {
    #[test]
    fn no_two_calls_for_one_source_are_closer_than_a_second(
        answers in prop::collection::vec(0_u8..4, 1..60),
    ) {
        let mut store = store(&[registry("main", "eu-west-1")]);
        let mut last = None::<Duration>;
        let mut time = Duration::ZERO;
        for kind in answers {
            time += Duration::from_millis(300);
            let moment = Now { wall: at(0) + SignedDuration::try_from(time).unwrap(), uptime: time };
            for ask in store.due(moment) {
                prop_assert!(last.is_none_or(|last| time >= last + Duration::from_secs(1)));
                last = Some(time);
                let answer = match kind {
                    0 => Err(down()),
                    life => Ok(token("x", "eu-west-1", 0, i64::from(life) * 30)),
                };
                store.answered(ask.id, answer, moment);
            }
        }
    }
}

#[test]
fn a_registrys_name_is_shared_and_not_copied() {
    let name: Arc<str> = "main".into();
    let registry = Registry::file(Arc::clone(&name), "/a".into());
    assert!(Arc::ptr_eq(&registry.name, &name));
}
