//! Scenarios on a real Kubernetes control plane, which most of them share.

#![allow(clippy::disallowed_methods, reason = "it runs real programs, in real time")]

mod api_server;
mod bad_namespaces;
mod chart_account_policy;
mod chart_flow_schema;
mod chart_manifests;
mod chart_options;
mod chart_packaged;
mod chart_policy;
mod chart_policy_attacks;
mod chart_releases;
mod chart_rights;
mod chart_side_by_side;
mod chart_uninstall;
mod chart_values;
mod check;
mod clock;
mod commands;
mod completions;
mod contested;
mod control_plane;
mod credentials;
mod docker_clients;
mod docker_files;
mod docs;
mod events;
mod few_permissions;
mod http_clients;
mod identities;
mod image;
mod installed;
mod keyring;
mod keys;
mod leaks;
mod monitoring;
mod moto;
mod namespaces;
mod node;
mod once;
mod other_architecture;
mod outage;
mod ownership;
mod page;
mod process;
mod proxies;
mod prune;
mod reader;
mod registry;
mod releases;
mod reload;
mod replicas;
mod restarts;
mod restored;
mod rights;
mod rollout;
mod rotation;
mod scenario;
mod service_accounts;
mod sharing;
mod sizes;
mod soak;
mod stalls;
mod token_cache;
mod watching;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use ecr_refresher_tests::ci::in_ci;
use ecr_refresher_tests::control_plane::ControlPlane;
use libtest_mimic::{Arguments, Trial};

use crate::scenario::{Scenario, Stage};

/// Scenarios mostly wait: more of them than there are cores can do so at once.
const TEST_THREADS: usize = 8;

fn scenarios() -> Vec<Scenario> {
    [
        // They take longest, so they begin first.
        soak::tests(),
        stalls::tests(),
        installed::tests(),
        node::tests(),
        contested::tests(),
        control_plane::tests(),
        rollout::tests(),
        namespaces::tests(),
        rotation::tests(),
        outage::tests(),
        identities::tests(),
        credentials::tests(),
        keys::tests(),
        proxies::tests(),
        docker_clients::tests(),
        docker_files::tests(),
        monitoring::tests(),
        image::tests(),
        docs::tests(),
        other_architecture::tests(),
        chart_options::tests(),
        chart_packaged::tests(),
        chart_values::tests(),
        chart_manifests::tests(),
        chart_rights::tests(),
        chart_releases::tests(),
        chart_uninstall::tests(),
        chart_side_by_side::tests(),
        chart_flow_schema::tests(),
        chart_policy::tests(),
        chart_policy_attacks::tests(),
        chart_account_policy::tests(),
        moto::tests(),
        keyring::tests(),
        completions::tests(),
        registry::tests(),
        releases::tests(),
        sharing::tests(),
        sizes::tests(),
        rights::tests(),
        process::tests(),
        http_clients::tests(),
        reload::tests(),
        token_cache::tests(),
        ownership::tests(),
        page::tests(),
        prune::tests(),
        replicas::tests(),
        once::tests(),
        check::tests(),
        clock::tests(),
        events::tests(),
        service_accounts::tests(),
        restarts::tests(),
        restored::tests(),
        api_server::tests(),
        bad_namespaces::tests(),
        commands::tests(),
        few_permissions::tests(),
        watching::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(TEST_THREADS);

    let stage = match Stage::new() {
        Ok(stage) => Arc::new(stage),
        Err(error) => {
            eprintln!("cannot run asynchronous code: {error}");
            return ExitCode::FAILURE;
        }
    };
    let trials = trials(&stage, arguments.list);
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(version) = stage.end() {
        let ran = conclusion.num_passed + conclusion.num_failed;
        let tests = if ran == 1 { "test" } else { "tests" };
        println!("{ran} {tests} ran, with kube-apiserver {version}");
    }
    match leaks::search(conclusion.has_failed()) {
        Ok(searched) => println!("no password is in the {searched} logs of daemons, at TRACE"),
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    conclusion.exit_code()
}

/// The scenarios as tests. What this machine cannot run is ignored, which a line says; in CI it fails.
fn trials(stage: &Arc<Stage>, all: bool) -> Vec<Trial> {
    let may_ignore = !all && !in_ci();
    let no_control_plane = ControlPlane::obtainable().err().filter(|_| may_ignore);
    if let Some(reason) = &no_control_plane {
        println!("no control plane can run here, so these tests are ignored: {reason:#}");
    }
    let mut reasons = BTreeSet::new();
    let trials = scenarios()
        .into_iter()
        .map(|scenario| {
            let missing = scenario.missing().filter(|_| may_ignore);
            let ignored = no_control_plane.is_some() || missing.is_some();
            reasons.extend(missing);
            scenario.on(stage).with_ignored_flag(ignored)
        })
        .collect();
    if no_control_plane.is_none() {
        for reason in reasons {
            println!("some tests are ignored: {reason}");
        }
    }
    trials
}
