//! However much happens, an operator can read the log of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::time::Duration;

use ecr_refresher_simulation::{
    api::{Kind, Webhook},
    aws::{Fault, FaultRule},
    history::simulate,
    plan::Plan,
    world::{Mode, Setting, World},
};
use tokio::time::sleep;

const MINUTE: Duration = Duration::from_mins(1);
/// The most lines at INFO and above.
const MOST: usize = 40;

fn plan() -> Plan {
    Plan { spread: 30, ..Plan::default() }
}

/// The lines that are logged from the start, or from the point on that the scenario returns.
fn logged(
    namespaces: usize,
    scenario: impl AsyncFnOnce(&mut World) -> usize + Send + 'static,
) -> Vec<String> {
    let setting = Setting {
        seed: 1,
        mode: Mode::Daemon(1),
        token_life: Duration::from_hours(12),
        namespaces,
        plan: plan(),
        log_level: "info",
        bug: None,
        has_neighbour: false,
    };
    let (sender, from) = std::sync::mpsc::channel();
    let ran = simulate(setting, async move |world: &mut World| {
        sleep(10 * MINUTE).await;
        let from = scenario(world).await;
        sender.send(from).unwrap();
    });
    assert!(ran.violations.is_empty(), "{}", ran.violations.join("\n"));
    let lines = ran.logged[from.recv().unwrap()..].to_vec();
    assert!(lines.len() < MOST, "{} lines:\n{}", lines.len(), lines.join("\n"));
    lines
}

fn ensure_line(lines: &[String], words: &[&str]) {
    let is_there = lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(is_there, "no line with {words:?}:\n{}", lines.join("\n"));
}

#[test]
fn a_rollout_of_ten_thousand_namespaces_is_a_few_lines() {
    let lines = logged(10_000, async |_: &mut World| 0);
    ensure_line(
        &lines,
        &["first sync done", "copies=10000", "written=10000", "conflicts=0", "took="],
    );
}

#[test]
fn an_outage_of_an_hour_is_a_few_lines_with_its_end() {
    let lines = logged(500, async |world: &mut World| {
        let from = world.trace.logged().len();
        {
            let mut server = world.surroundings.api.lock();
            server.faults.down = true;
            server.cut_watches();
        }
        world.surroundings.aws.lock().faults.push(FaultRule::always(Fault::Down));
        sleep(60 * MINUTE).await;
        world.heal().await;
        world.check_calm().await;
        from
    });
    ensure_line(&lines, &["WARN", "watches failed and are resumed"]);
    ensure_line(&lines, &["WARN", "could not acquire or renew the Lease"]);
    ensure_line(&lines, &["INFO", "the API server answers again"]);
}

#[test]
fn an_outage_of_aws_says_how_long_the_last_token_lives_and_when_it_is_dead() {
    let lines = logged(50, async |world: &mut World| {
        let from = world.trace.logged().len();
        world.surroundings.aws.lock().faults.push(FaultRule::always(Fault::Down));
        sleep(13 * 60 * MINUTE).await;
        world.heal().await;
        sleep(10 * MINUTE).await;
        world.check_calm().await;
        from
    });
    ensure_line(&lines, &["WARN", "no new credentials", "the last token lives until"]);
    ensure_line(&lines, &["ERROR", "no new credentials", "the last token expired at"]);
    ensure_line(&lines, &["INFO", "recovered after"]);
}

#[test]
fn a_right_that_is_missing_everywhere_is_one_line_with_examples() {
    let lines = logged(2_000, async |world: &mut World| {
        let from = world.trace.logged().len();
        {
            let mut server = world.surroundings.api.lock();
            for number in 0..2_000 {
                let name = format!("team-{number}");
                server.faults.webhooks.insert(name.clone(), Webhook::Deny(403));
                server.remove(Kind::Secret, &name, "ecr-pull");
            }
        }
        sleep(60 * MINUTE).await;
        let told = world.trace.logged().len();
        world.heal().await;
        world.check_calm().await;
        let lines = world.trace.logged()[from..told].to_vec();
        let about: Vec<_> =
            lines.iter().filter(|it| it.contains("could not write copies")).collect();
        assert!((1..=2).contains(&about.len()), "{}", lines.join("\n"));
        from
    });
    ensure_line(&lines, &["WARN", "could not write copies", "count=2000", "forbidden", "team-"]);
    ensure_line(&lines, &["INFO", "wrote copies that had failed before"]);
}

#[test]
fn a_prune_of_two_thousand_is_announced_and_reported() {
    let lines = logged(6_000, async |world: &mut World| {
        let from = world.trace.logged().len();
        let mut edited = plan();
        // A third of the namespaces has no such label.
        edited.secrets[0].selects = true;
        world.write_config(edited);
        sleep(5 * MINUTE).await;
        world.check_calm().await;
        from
    });
    ensure_line(&lines, &["INFO", "2000 copies are no longer wanted; deleting from"]);
    ensure_line(&lines, &["INFO", "deleted copies that are no longer wanted", "count="]);
}

#[test]
fn a_prune_of_most_copies_is_held_back_until_the_edit_is_undone() {
    let lines = logged(100, async |world: &mut World| {
        let from = world.trace.logged().len();
        let mut edited = plan();
        edited.secrets[0].patterns = 3;
        world.write_config(edited);
        sleep(30 * MINUTE).await;
        let copies = |world: &World| {
            let server = world.surroundings.api.lock();
            (0..100)
                .filter(|it| server.get(Kind::Secret, &format!("team-{it}"), "ecr-pull").is_some())
                .count()
        };
        assert_eq!(copies(world), 100, "none is deleted");
        world.write_config(plan());
        world.check_calm().await;
        assert_eq!(copies(world), 100);
        from
    });
    ensure_line(&lines, &["WARN", "which is more than `prune.limit` (0.5) allows at once"]);
}
