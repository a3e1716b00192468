//! Compares the API server in memory with a real kube-apiserver: both get the same random requests, and
//! must give the same answers and the same watch events.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a comparison that cannot go on has failed"
)]
#![allow(clippy::disallowed_methods, reason = "it runs a real API server, in real time")]

mod normal;
mod operation;
mod random;
mod server;

use std::{collections::BTreeMap, time::Instant};

use ecr_refresher_simulation::{
    api::{ApiServer, Options},
    time::TrueTime,
};
use ecr_refresher_tests::{ci::in_ci, control_plane::ControlPlane};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use self::{operation::Operation, server::Server};

/// How many requests a test run sends, unless `DIFFERENTIAL_REQUESTS` says otherwise.
const REQUESTS: usize = 1_500;

/// After this many requests, new namespaces are used and the watches are compared.
const REQUESTS_OF_A_SEED: usize = 100;

/// More differences than these are not printed.
const MOST_DIFFERENCES: usize = 10;

/// How many requests before a difference are printed.
const HISTORY: usize = 8;

/// The numbers of the closing line.
#[derive(Default)]
struct Summary {
    requests: usize,
    statuses: BTreeMap<u64, usize>,
    events: usize,
    differences: usize,
}

#[test]
fn the_server_in_memory_answers_as_kube_apiserver_does() {
    if let Err(reason) = ControlPlane::obtainable()
        && !in_ci()
    {
        println!("no control plane can run here, so nothing is compared: {reason:#}");
        return;
    }
    let requests = std::env::var("DIFFERENTIAL_REQUESTS")
        .map_or(REQUESTS, |text| text.parse().expect("DIFFERENTIAL_REQUESTS is not a number"));
    let first_seed = std::env::var("DIFFERENTIAL_SEED")
        .map_or(0, |text| text.parse().expect("DIFFERENTIAL_SEED is not a number"));
    let begun = Instant::now();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let control_plane = runtime.block_on(ControlPlane::start()).unwrap();
    // Otherwise it would add objects, and remove namespaces, at moments of its own.
    runtime.block_on(control_plane.stop_controller_manager());

    let mut summary = Summary::default();
    let mut seed = first_seed;
    while summary.requests < requests {
        compare_seed(seed, &runtime, &control_plane, &mut summary);
        seed += 1;
    }
    println!(
        "compared {} requests {:?} and {} watch events with kube-apiserver {} in {} s: {} \
         differences",
        summary.requests,
        summary.statuses,
        summary.events,
        control_plane.version(),
        begun.elapsed().as_secs(),
        summary.differences,
    );
    assert_eq!(summary.differences, 0, "differences, which are printed above");
}

fn compare_seed(seed: u64, runtime: &Runtime, real: &ControlPlane, summary: &mut Summary) {
    let paused = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let client = paused.block_on(async {
        let api = ApiServer::new(seed, TrueTime::begin());
        // No namespace goes while they are compared.
        let never = (u64::MAX >> 30, u64::MAX >> 30);
        api.lock().options = Options { namespace_removal: never, ..Options::default() };
        api.client("test", "default")
    });
    let prefix = format!("s{seed}");
    let servers =
        [Server::new(runtime, real.admin_client(), &prefix), Server::new(&paused, client, &prefix)];
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut history = Vec::new();
    for number in 0..REQUESTS_OF_A_SEED {
        let operation = match number {
            0 | 1 => Operation::create_namespace(&format!("{prefix}-{number}")),
            2..8 => random::first_operation(&mut rng, &prefix, number - 2),
            _ => random::operation(&mut rng, &prefix),
        };
        let [expected, found] = servers.each_ref().map(|server| server.send(&operation));
        summary.requests += 1;
        let status = expected["status"].as_u64().unwrap_or_default();
        *summary.statuses.entry(status).or_default() += 1;
        history.push(format!("{operation} -> {status}"));
        if expected != found {
            summary.differences += 1;
            if summary.differences <= MOST_DIFFERENCES {
                eprintln!("seed {seed}, request {number}:");
                for line in &history[history.len().saturating_sub(HISTORY)..] {
                    eprintln!("   {line}");
                }
                print_difference(&expected, &found);
            }
            return;
        }
    }
    let [expected, found] = servers.each_ref().map(Server::watch_all);
    for ((path, expected), found) in server::WATCHES.into_iter().zip(expected).zip(found) {
        summary.events += expected.len();
        if expected != found {
            summary.differences += 1;
            if summary.differences <= MOST_DIFFERENCES {
                let same = expected.iter().zip(&found).take_while(|(one, two)| one == two).count();
                let (all, other) = (expected.len(), found.len());
                eprintln!("seed {seed}, watch {path}: {all} and {other} events, {same} equal");
                let get = |events: &[Value]| events.get(same).cloned().unwrap_or_default();
                print_difference(&get(&expected), &get(&found));
            }
        }
    }
}

fn print_difference(expected: &Value, found: &Value) {
    let mut lines = Vec::new();
    normal::differences(expected, found, "", &mut lines);
    for line in lines {
        eprintln!("  {line}");
    }
}
