use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::{
    Auth, Credentials, Host, Lifetime,
    aws::{IdentitySettings, RoleArn, RoleSettings},
    clock::Now,
    ecr::{EcrDefaults, EcrPublicSettings, EcrSettings, Variant},
    tokens::{Reading, Token, TokenStore},
};

const ALL: [Variant; 3] = [Variant::Standard, Variant::Fips, Variant::DualStack];
/// The region that the environment names.
const DEFAULT_REGION: &str = "ap-southeast-1";
/// The account that ECR's reply names where no role does.
const ACCOUNT: &str = "999999999999";

fn in_region(region: &str) -> EcrDefaults {
    EcrDefaults { region: Some(region.to_owned()), ..EcrDefaults::default() }
}

fn registry(name: usize, settings: EcrSettings) -> Registry {
    Registry::ecr(name.to_string().into(), settings, &in_region(Registry::ANY_REGION))
}

fn role(account: &str) -> IdentitySettings {
    let arn = RoleArn::parse(&format!("arn:aws:iam::{account}:role/puller")).unwrap();
    let session_name = "ecr-refresher".to_owned();
    let role = RoleSettings { arn, external_id: None, session_name, region: None };
    IdentitySettings { roles: vec![role], ..IdentitySettings::default() }
}

fn accounts(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:012}")).collect()
}

/// The settings of a registry of a generated config.
fn settings() -> impl Strategy<Value = EcrSettings> {
    (
        prop::option::of(prop::sample::select(vec!["eu-west-1", "us-gov-west-1", "cn-north-1"])),
        prop::sample::select(vec![0, 0, 1, 3, 40]),
        prop::sample::subsequence(ALL.to_vec(), 0..=3),
        prop::option::of(prop::sample::select(accounts(3))),
    )
        .prop_map(|(region, count, variants, of_role)| EcrSettings {
            region: region.map(str::to_owned),
            accounts: accounts(count),
            variants,
            identity: of_role.map(|account| role(&account)).unwrap_or_default(),
            endpoint_url: None,
        })
}

/// A store in which each registry has a token of this length.
fn store(settings: &[EcrSettings], with_public: bool, length: usize) -> (TokenStore, Now) {
    let now = Now { wall: Timestamp::UNIX_EPOCH, uptime: std::time::Duration::ZERO };
    let named = settings.iter().enumerate().map(|(index, settings)| {
        Registry::ecr(index.to_string().into(), settings.clone(), &in_region(DEFAULT_REGION))
    });
    let public = Registry::ecr_public("public".into(), EcrPublicSettings::default());
    let registries = named.chain(with_public.then_some(public)).collect();
    let mut store = TokenStore::new(crate::Random::from_seed(1));
    store.want(registries, 0.5, now);
    store.begin_term(1, &CacheDocument::default(), now);
    for ask in store.due(now) {
        let TokenSource::Aws(source) = &ask.source else { panic!("a file") };
        let account = source.identity.roles.last().map_or(ACCOUNT, |it| it.arn.account());
        let region = source.region.as_deref().unwrap();
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let host = format!("{account}.dkr.ecr.{region}.amazonaws.com{suffix}");
        let token = Token::Ecr {
            auth: Auth::from_encoded("QVdT".to_owned() + "OkFB" + &"QUFB".repeat(length / 4 - 2))
                .unwrap(),
            lifetime: Lifetime::starting(now.wall, now.wall + SignedDuration::from_hours(12))
                .unwrap(),
            host: Some(Host::from_endpoint(&host).unwrap()),
        };
        store.answered(ask.id, Ok(token), now);
    }
    store.cached(u64::MAX);
    (store, now)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_expected_size_is_never_below_that_of_the_document_and_hardly_above(
        settings in prop::collection::vec(settings(), 1..6),
        with_public in any::<bool>(),
        quarter in 500_usize..1100,
    ) {
        let length = quarter * 4;
        let (store, now) = store(&settings, with_public, length);
        let readings = store.read(now);
        let held: Vec<Credentials> = readings.into_values().map(|reading| match reading {
            Reading::Held(credentials) => credentials,
            other => panic!("{other:?}"),
        }).collect();
        let document = DockerConfig::merge(&held).unwrap().render();

        let mut registries: Vec<_> =
            settings.into_iter().enumerate().map(|(name, it)| registry(name, it)).collect();
        if with_public {
            let name: Arc<str> = "public".into();
            registries.push(Registry::ecr_public(name, EcrPublicSettings::default()));
        }
        let hosts: BTreeSet<_> = registries.iter().flat_map(Registry::expected_hosts).collect();
        let expected = DockerConfig::expected_size(&hosts, length);
        prop_assert!(expected >= document.len(), "{} < {}", expected, document.len());
        prop_assert!(expected * 100 <= document.len() * 103, "{} > {}", expected, document.len());
        let longer = DockerConfig::expected_size(&hosts, length + 1);
        prop_assert_eq!(longer, expected + hosts.len());

        let (tokens, expected) = CacheDocument::expected_size(&registries, length);
        let cache = store.cache_document().0.render();
        prop_assert_eq!(cache.matches("\"issuedAt\"").count(), tokens);
        prop_assert!(expected >= cache.len(), "{} < {}", expected, cache.len());
        prop_assert!(expected * 100 <= cache.len() * 110, "{} > {}", expected, cache.len());
    }
}

#[test]
fn a_host_that_only_the_reply_names_is_expected_to_be_long() {
    let endpoint_url = Some("http://localhost:4566".to_owned());
    let own = registry(0, EcrSettings { endpoint_url, ..EcrSettings::default() });
    let expected: Vec<_> = own.expected_hosts().iter().map(String::len).collect();
    assert_eq!(expected, [LONGEST_HOST]);
}

#[test]
fn registries_of_one_source_have_one_unknown_account() {
    let of = |name, identity| {
        let hosts = registry(name, EcrSettings { identity, ..EcrSettings::default() });
        hosts.expected_hosts()
    };
    assert_eq!(of(0, role("111111111111")), of(1, role("111111111111")));
    assert_eq!(of(0, IdentitySettings::default()), of(1, IdentitySettings::default()));
    let other = Some("/other".into());
    let other = IdentitySettings { credentials_directory: other, ..IdentitySettings::default() };
    assert_ne!(of(0, IdentitySettings::default()), of(1, other));
    assert!(Registry::file("hub".into(), "/hub.json".into()).expected_hosts().is_empty());
}
