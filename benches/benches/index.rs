//! The time that the index takes for a cluster of 10,000 namespaces, without I/O.

#![expect(clippy::expect_used, reason = "a benchmark may stop at what it does not expect")]

use std::{collections::BTreeMap, hint::black_box, sync::Arc, time::Duration};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ecr_refresher_core::{
    Auth, Credentials, Entry, Lifetime, clock::Now, dockerconfig::DockerConfig,
};
use ecr_refresher_sync::{
    desired::{
        allow_list::AllowList,
        manifest::Manifest,
        settings::{OnConflict, PerNamespace, PullSecret, Settings},
    },
    index::{Index, event::Event},
    job::{Action, Apply, JobClass, Written, slot::SecretSlot},
    observed::{
        change::Watched,
        copy::{ObservedCopy, Ownership},
        namespace::Namespace,
    },
    release::Release,
};
use jiff::{SignedDuration, Timestamp};
use kube::core::Selector;

const NAMESPACES: u64 = 10_000;

fn now() -> Now {
    Now { wall: Timestamp::UNIX_EPOCH, uptime: Duration::ZERO }
}

fn settings() -> Settings {
    let patterns = ["team-*", "payments", "app-[a-c]", "{red,blue}"];
    let patterns = patterns.into_iter().map(str::to_owned).collect();
    let allow_list = AllowList::new(patterns, vec![], Selector::default());
    Settings {
        secrets: vec![PullSecret {
            name: "ecr-pull".to_owned(),
            registries: vec!["main".into()],
            allow_list: allow_list.expect("these are globs"),
            service_accounts: Vec::new(),
            on_conflict: OnConflict::Skip,
            take_over: Vec::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        }],
        spread: Duration::ZERO,
        prune_after: None,
        prune_limit: 1.0,
        concurrency: 32,
        per_namespace: PerNamespace::Off,
    }
}

fn manifest(settings: &Settings, password: &str) -> Arc<Manifest> {
    let auth = Auth::from_user_and_password("AWS", password).expect("a good auth");
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com".to_owned();
    let lifetime = Lifetime::starting(now().wall, now().wall + SignedDuration::from_hours(12));
    let config = DockerConfig::merge([&Credentials {
        entries: [(host, Entry::of_auth(&auth))].into(),
        lifetime: Some(lifetime.expect("a life")),
    }]);
    let config = config.expect("one entry");
    let release = Release::new("home", "ecr-refresher");
    let manifest = Manifest::render(&settings.secrets[0], &release, &config);
    Arc::new(manifest.expect("a good Secret"))
}

/// Everything is listed, and nothing is written yet.
fn listed(settings: &Settings, manifest: &Arc<Manifest>) -> Index {
    let mut index = Index::new(settings, 0);
    let secret = slot(&index);
    index.apply(Event::Copy { secret, change: Watched::ListBegun }, now());
    index.apply(Event::Copy { secret, change: Watched::ListEnded }, now());
    index.apply(Event::Namespace(Watched::ListBegun), now());
    for number in 0..NAMESPACES {
        let namespace = Namespace { terminating: false, labels: BTreeMap::new() };
        let change = Watched::Listed(format!("team-{number}"), namespace);
        index.apply(Event::Namespace(change), now());
    }
    index.apply(Event::Namespace(Watched::ListEnded), now());
    index.apply(Event::Manifest { secret, manifest: Arc::clone(manifest) }, now());
    index
}

fn slot(index: &Index) -> SecretSlot {
    index.secrets().next().expect("a pull Secret").0
}

/// Does every write that is due, as an API server that answers at once.
fn write_all(index: &mut Index) -> u64 {
    let mut writes = 0;
    while let Some(job) = index.next_job(now(), JobClass::Apply) {
        let Action::Apply(Apply { manifest, .. }) = &job.action else { continue };
        writes += 1;
        let ownership = Ownership::Ours {
            content: Some(manifest.content),
            expires_at: manifest.expires_at.map(Into::into),
            owned_fields: Some(manifest.owned_fields),
        };
        let copy =
            ObservedCopy { resource_version: writes, uid: None, ownership, changed_by: None };
        index.job_done(&job, Ok(Written::Copy(copy)), now());
    }
    writes
}

fn benchmarks(criterion: &mut Criterion) {
    let settings = settings();
    let (first, second) = (manifest(&settings, "one"), manifest(&settings, "two"));
    let mut group = criterion.benchmark_group("10,000 namespaces");
    group.throughput(Throughput::Elements(NAMESPACES)).sample_size(20);
    group.bench_function("first rollout", |bencher| {
        bencher.iter_batched(
            || listed(&settings, &first),
            |mut index| assert_eq!(write_all(&mut index), NAMESPACES),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("refresh", |bencher| {
        let served = || {
            let mut index = listed(&settings, &first);
            write_all(&mut index);
            index
        };
        let refresh = |mut index: Index| {
            let (secret, manifest) = (slot(&index), Arc::clone(&second));
            index.apply(Event::Manifest { secret, manifest }, now());
            assert_eq!(write_all(&mut index), NAMESPACES);
        };
        bencher.iter_batched(served, refresh, BatchSize::LargeInput);
    });
    group.bench_function("report", |bencher| {
        let index = listed(&settings, &first);
        bencher.iter(|| black_box(index.report(now(), PerNamespace::Off)));
    });
    group.finish();
}

criterion_group!(index, benchmarks);
criterion_main!(index);
