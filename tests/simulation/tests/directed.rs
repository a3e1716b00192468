//! Faults that the simulation once found, each as a scenario that fails while it is there.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::time::Duration;

use ecr_refresher_simulation::{
    api::Kind,
    aws::Service,
    history::{History, Ran, simulate},
    plan::Plan,
    replica::{HOME, NAME},
    world::{Mode, Setting, World},
};
use jiff::SignedDuration;
use serde_json::json;
use tokio::time::sleep;

const MINUTE: Duration = Duration::from_mins(1);

fn plan() -> Plan {
    Plan { spread: 30, ..Plan::default() }
}

/// How often ECR was called.
fn calls(world: &World) -> u64 {
    world.surroundings.aws.lock().calls.total(Service::Ecr)
}

fn setting(mode: Mode) -> Setting {
    let token_life = Duration::from_hours(12);
    Setting {
        seed: 1,
        mode,
        token_life,
        namespaces: 6,
        plan: plan(),
        log_level: "info",
        bug: None,
        has_neighbour: false,
    }
}

/// Runs a scenario, which must break no invariant.
fn holds(setting: Setting, scenario: impl AsyncFnOnce(&mut World) + Send + 'static) -> Ran {
    let ran = simulate(setting, scenario);
    let shown = ran.lines.iter().rev().take(60).rev().cloned().collect::<Vec<_>>().join("\n");
    assert!(ran.violations.is_empty(), "{}\n{shown}", ran.violations.join("\n"));
    ran
}

#[test]
fn a_registry_that_no_pull_secret_uses_for_one_edit_is_used_again() {
    holds(setting(Mode::Daemon(1)), async |world: &mut World| {
        sleep(5 * MINUTE).await;
        let before = calls(world);
        let mut edited = plan();
        edited.secrets[0].registries = [true, false, false, false, false];
        world.write_config(edited);
        sleep(10 * MINUTE).await;
        world.write_config(plan());
        world.check_calm().await;
        assert_eq!(before, calls(world), "an edit that is undone costs nothing");
    });
}

#[test]
fn a_registry_that_leaves_the_config_for_one_edit_is_used_again() {
    holds(setting(Mode::Daemon(1)), async |world: &mut World| {
        sleep(5 * MINUTE).await;
        let mut edited = plan();
        edited.registries[1] = false;
        world.write_config(edited);
        sleep(10 * MINUTE).await;
        world.write_config(plan());
        world.check_calm().await;
    });
}

#[test]
fn a_wall_clock_that_steps_forward_takes_no_token_away() {
    holds(setting(Mode::Daemon(1)), async |world: &mut World| {
        sleep(5 * MINUTE).await;
        for _ in 0..3 {
            let clock = &world.replicas[0].clock;
            clock.set_offset(clock.offset() + SignedDuration::from_secs(60));
            // A probe has the engine check its term before the Lease is renewed.
            let engine = world.replicas[0].handle().unwrap().engine.clone();
            engine.health().await.unwrap();
            sleep(Duration::from_secs(20)).await;
        }
        world.surroundings.api.lock().put(Kind::Namespace, "", "team-8", json!({}), "kubectl");
        sleep(Duration::from_secs(10)).await;
        let copy = world.surroundings.api.lock().get(Kind::Secret, "team-8", "ecr-pull");
        assert!(copy.is_some(), "a new namespace has its copy at once");
        world.check_calm().await;
    });
}

#[test]
fn an_earlier_wall_clock_keeps_no_lease_from_a_new_leader() {
    holds(setting(Mode::Daemon(2)), async |world: &mut World| {
        sleep(5 * MINUTE).await;
        for replica in &world.replicas {
            replica.clock.set_offset(SignedDuration::from_secs(-3_600));
        }
        let leads = |world: &World, replica: usize| {
            world.replicas[replica].handle().is_some_and(|it| it.leadership.is_held())
        };
        let leader = usize::from(leads(world, 1));
        world.replicas[leader].kill().await;
        sleep(Duration::from_secs(30)).await;
        assert!(leads(world, 1 - leader), "the other replica leads once the Lease is over");
        world.replicas[leader].start();
        world.check_calm().await;
    });
}

#[test]
fn a_foreign_secret_that_replaces_a_copy_within_the_lag_of_the_watch_is_not_overwritten() {
    holds(setting(Mode::Daemon(1)), async |world: &mut World| {
        sleep(5 * MINUTE).await;
        {
            let mut server = world.surroundings.api.lock();
            server.faults.watches.lag = 60_000;
            server.remove(Kind::Secret, "team-1", "ecr-pull");
            let data = json!({ ".dockerconfigjson": "e30=", "foreign": "eA==" });
            let foreign = json!({ "type": "kubernetes.io/dockerconfigjson", "data": data });
            server.put(Kind::Secret, "team-1", "ecr-pull", foreign, "helm");
            // New tokens for all, before the watch has shown it.
            server.remove(Kind::Secret, HOME, &format!("{NAME}-tokens"));
        }
        sleep(5 * MINUTE).await;
        world.heal().await;
        world.check_calm().await;
        let there = world.surroundings.api.lock().get(Kind::Secret, "team-1", "ecr-pull").unwrap();
        assert_eq!(there["data"]["foreign"], "eA==");
    });
}

#[test]
fn three_days_of_rotations_need_one_call_and_one_write_each() {
    let ran = holds(setting(Mode::Daemon(1)), async |world: &mut World| {
        world.check_calm().await;
        for _ in 0..3 {
            sleep((24 * 60 - 15) * MINUTE).await;
            world.check_calm().await;
        }
        let writes = world.truth.lock().writes();
        let calls = calls(world);
        // Two registries, at half of each token's life, or up to a twentieth of that earlier.
        assert!((24..=30).contains(&calls), "{calls} calls");
        // Each token is one write of six copies, and one of the token cache.
        assert!(writes <= calls * 7, "{writes} writes for {calls} calls");
    });
    assert!(ran.simulated >= Duration::from_hours(72));
}

#[test]
fn two_runs_of_one_seed_are_the_same() {
    if !cfg!(tokio_unstable) {
        eprintln!("skipped: `make test-simulation` builds tokio with a seed, which this needs");
        return;
    }
    for seed in 0..20 {
        let (one, other) = (History::of_seed(seed).run(), History::of_seed(seed).run());
        let apart = one.lines.iter().zip(&other.lines).find(|(one, other)| one != other);
        assert_eq!((one.hash, apart), (other.hash, None), "seed {seed}");
    }
}
