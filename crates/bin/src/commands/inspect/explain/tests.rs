//! The explanations of namespaces of all kinds.

use serde_json::{Value, json};

use super::{
    super::fixture::{config, copy, edited, foreign, inspect, of_another_release, restored},
    *,
};

const CONFIG: &str = "\
namespaces:
  allow: [\"team-*\", payments]
  deny: [team-sandbox]
  selector: { matchLabels: { tier: prod } }";

/// The explanation of a namespace, without the folder of the config file; and whether all is up to date.
fn explain_with(config: &str, name: &str, seen: &[&str], copies: &[Value]) -> (String, bool) {
    let explanation = Explanation::of(&inspect(config, seen, copies), name, None);
    let text = explanation.text();
    let mut parts = text.split('(').map(|part| match part.split_once("/config.yaml:") {
        Some((_, location)) if part.starts_with('/') => format!("config.yaml:{location}"),
        _ => part.to_owned(),
    });
    let first = parts.next().unwrap_or_default();
    (parts.fold(first, |text, part| text + "(" + &part), explanation.good)
}

fn explain(name: &str, seen: &[&str], copies: &[Value]) -> (String, bool) {
    explain_with(&config(CONFIG), name, seen, copies)
}

/// The line on the copy.
fn copy_line((text, _): (String, bool)) -> String {
    text.lines().find_map(|line| line.strip_prefix("  copy     ")).unwrap_or_default().to_owned()
}

#[test]
fn the_allowing_pattern_has_its_location_and_the_copy_its_expiry() {
    let said = explain("team-a", &["team-a tier=prod"], &[copy("team-a", 312)]);
    let expected = "\
team-a: the namespace exists, with tier=prod

ecr-pull
  config   allowed by `team-*` (config.yaml:5:15)
  copy     fresh, ours, 5h 12m left (2026-11-23T16:12:00Z)
";
    assert_eq!(said, (expected.to_owned(), true));
}

#[test]
fn a_refusal_has_its_location() {
    for (namespace, seen, line) in [
        ("team-sandbox", "team-sandbox tier=prod", "denied by `team-sandbox` (config.yaml:6:14)"),
        (
            "payments",
            "payments tier=dev",
            "`payments` (config.yaml:5:25) matches, but the selector (config.yaml:7:7) asks for \
             tier=prod",
        ),
        ("other", "other", "no pattern matches"),
        ("paymets", "paymets", "no pattern matches; the nearest is `payments` (config.yaml:5:25)"),
        ("taem-a", "taem-a", "no pattern matches; the nearest is `team-*` (config.yaml:5:15)"),
    ] {
        let (text, good) = explain(namespace, &[seen], &[]);
        assert!(text.contains(&format!("  config   {line}\n")), "{text}");
        assert!(text.ends_with("  copy     none\n"), "{text}");
        assert!(good, "no copy is wanted");
    }
}

#[test]
fn an_existing_secret_is_shown_with_its_owner() {
    let prod = ["team-a tier=prod"];
    for (copies, line) in [
        (vec![], "missing"),
        (vec![copy("team-a", -3)], "expired 3m ago, ours (2026-11-23T10:57:00Z)"),
        (
            vec![edited("team-a", 60)],
            "stale, ours, 1h left (2026-11-23T12:00:00Z): it was changed by kubectl-edit",
        ),
        (
            vec![foreign("team-a")],
            "conflict: a foreign Secret, written by kubectl-create; it is not changed \
             (`onConflict: skip`)",
        ),
    ] {
        let said = explain("team-a", &prod, &copies);
        assert!(!said.1, "{line}");
        assert_eq!(copy_line(said), line);
    }
    let other = [of_another_release("team-a", 60)];
    let said = explain("team-a", &prod, &other);
    assert!(!said.1);
    assert_eq!(
        copy_line(said),
        "conflict: another_release: kept by other/refresher; it is not changed; \
         `takeOver: [other/refresher]` would take it over"
    );
    let take = config(&format!("{CONFIG}\ntakeOver: [other/refresher]"));
    let said = explain_with(&take, "team-a", &prod, &other);
    assert!(copy_line(said).ends_with("it will be taken over (`takeOver: [other/refresher]`)"));
    let adopt = config(&format!("{CONFIG}\nonConflict: adopt"));
    let said = explain_with(&adopt, "team-a", &prod, &[foreign("team-a")]);
    assert!(copy_line(said).ends_with("it will be adopted (`onConflict: adopt`)"));
}

#[test]
fn an_unwanted_copy_is_shown_with_its_end() {
    let off = format!("{}prune: {{ enabled: false }}\n", config(CONFIG));
    let left = "1h left (2026-11-23T12:00:00Z)";
    for (config, copy, line) in [
        (
            config(CONFIG),
            copy("x", 60),
            format!("unwanted, ours, {left}: it is deleted once it has been unwanted for 10m"),
        ),
        (off, copy("x", 60), format!("unwanted, ours, {left}: it is kept, because `prune` is off")),
        (
            config(CONFIG),
            restored("x", 60),
            format!(
                "unwanted, ours, {left}: it is kept, because this release did not apply it: somebody restored or copied it"
            ),
        ),
        (
            config(CONFIG),
            foreign("x"),
            "foreign: a foreign Secret, written by kubectl-create".to_owned(),
        ),
    ] {
        let said = explain_with(&config, "x", &["x"], &[copy]);
        assert!(said.1, "all wanted copies exist");
        assert_eq!(copy_line(said), line);
    }
}

#[test]
fn a_namespace_that_is_not_there_or_is_going_is_not_good() {
    let (text, good) = explain("team-a", &[], &[]);
    assert!(text.starts_with("team-a: there is no such namespace\n"), "{text}");
    assert!(!text.contains("  copy ") && !good, "{text}");
    let (text, good) = explain("team-a", &["team-a tier=prod!"], &[copy("team-a", 60)]);
    assert!(text.starts_with("team-a: the namespace is being deleted"), "{text}");
    assert!(!good);
}

#[test]
fn scripts_get_the_same_as_json() {
    let inspection = inspect(&config(CONFIG), &["team-a tier=prod"], &[copy("team-a", 60)]);
    let mut json =
        serde_json::to_value(Explanation::of(&inspection, "team-a", Some("ecr-pull"))).unwrap();
    let file = json["secrets"][0]["config"]["by"]["file"].take();
    assert!(file.as_str().unwrap().ends_with("config.yaml"));
    let expected = json!({
        "at": "2026-11-23T11:00:00Z", "namespace": "team-a",
        "exists": true, "terminating": false, "labels": { "tier": "prod" }, "good": true,
        "secrets": [{
            "secret": "ecr-pull",
            "wanted": true,
            "config": {
                "decision": "allowed",
                "by": { "pattern": "team-*", "file": null, "line": 5, "column": 15 },
            },
            "copy": {
                "state": "fresh", "ours": true, "managers": [],
                "expiresAt": "2026-11-23T12:00:00Z", "secondsLeft": 3600,
            },
            "lastEvent": null,
        }],
    });
    assert_eq!(json, expected);
}

#[test]
fn an_unknown_pull_secret_is_an_error_that_names_the_others() {
    let inspection = inspect(&config(CONFIG), &["team-a"], &[]);
    assert!(
        inspection.check_secret(None).is_ok() && inspection.check_secret(Some("ecr-pull")).is_ok()
    );
    let error = inspection.check_secret(Some("ecr-pul")).unwrap_err().message();
    assert_eq!(error, "the config has no pull Secret `ecr-pul`; it has ecr-pull");
}
