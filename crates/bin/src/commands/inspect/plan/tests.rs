//! What would be done about what is there.

use serde_json::Value;

use super::{
    super::{
        fixture::{
            below_header, config, copy, edited, foreign, inspect, of_another_release, plan_args,
            restored,
        },
        header::Header,
    },
    *,
};

const TEAMS: &str = "namespaces: { allow: [\"team-*\"], deny: [team-sandbox] }";

fn table(config: &str, namespaces: &[&str], copies: &[Value]) -> String {
    render(&Plan::of(&inspect(config, namespaces, copies)), &["--all"])
}

/// The output with these arguments.
fn render(plan: &Plan, arguments: &[&str]) -> String {
    let text = plan.render(&Header::default(), &plan_args(arguments), Screen::default());
    below_header(&text).to_owned()
}

#[test]
fn every_copy_has_its_action_and_the_reason() {
    let namespaces = [
        "other",
        "team-deleted!",
        "team-edited",
        "team-expired",
        "team-foreign",
        "team-fresh",
        "team-missing",
        "team-sandbox",
        "team-stripped",
    ];
    let copies = [
        copy("other", 312),
        edited("team-edited", 312),
        copy("team-expired", -3),
        foreign("team-foreign"),
        copy("team-fresh", 312),
        copy("team-sandbox", 312),
        restored("team-stripped", 312),
    ];
    assert_eq!(
        table(&config(TEAMS), &namespaces, &copies),
        "\
SECRET     NAMESPACE       ACTION    WHY
ecr-pull   other           prune     no pattern matches it; after 10m
ecr-pull   team-sandbox    prune     `team-sandbox` denies it; after 10m
ecr-pull   team-missing    create    it is missing
ecr-pull   team-edited     replace   it was changed by kubectl-edit
ecr-pull   team-expired    replace   expired 3m ago
ecr-pull   team-stripped   replace   it was changed by velero-server
ecr-pull   team-deleted    skip      the namespace is being deleted
ecr-pull   team-foreign    skip      a foreign Secret, written by kubectl-create
ecr-pull   team-fresh      keep      5h 12m left
9 copies: 2 prune, 1 create, 3 replace, 2 skip, 1 keep
"
    );
}

#[test]
fn a_foreign_secret_is_adopted_where_the_config_says_so() {
    let config = config("namespaces: [\"team-*\"]\nonConflict: adopt");
    let table = table(&config, &["team-a"], &[foreign("team-a")]);
    assert!(table.contains("team-a      adopt    a foreign Secret, written by kubectl-create"));
}

#[test]
fn a_copy_of_another_release_is_left_to_it_unless_the_config_takes_it_over() {
    let copies = [of_another_release("team-a", 60), of_another_release("other", 60)];
    let plan = |config: &str| table(config, &["team-a", "other"], &copies);
    let row = "ecr-pull   team-a      skip     another_release: kept by other/refresher\n";
    assert!(plan(&config(TEAMS)).contains(row), "{}", plan(&config(TEAMS)));
    let adopting = plan(&config("namespaces: [\"team-*\"]\nonConflict: adopt"));
    assert!(adopting.contains("skip     another_release: kept by other/refresher"), "{adopting}");
    let taking = plan(&config("namespaces: [\"team-*\"]\ntakeOver: [other/refresher]"));
    assert!(taking.contains("adopt    another_release: kept by other/refresher"), "{taking}");
    assert!(taking.ends_with("1 copy: 1 adopt\n"), "{taking}");
}

#[test]
fn an_unwanted_copy_that_is_not_deletable_is_kept() {
    let namespaces = ["other", "another tier=dev"];
    let copies = [restored("other", 60), copy("another", 60)];
    let selected = config(
        "namespaces:\n  allow: [\"*\"]\n  deny: [other]\n  selector: { matchLabels: { tier: prod } }",
    );
    let off = format!("{selected}prune: {{ enabled: false }}\n");
    let table = |config: &str| table(config, &namespaces, &copies);
    assert!(
        table(&selected)
            .contains("other       leave    `other` denies it; this release did not apply it: somebody restored or copied it"),
        "{}",
        table(&selected)
    );
    assert!(
        table(&off).contains(
            "another     leave    its labels are not as selected: tier=prod; `prune` is off"
        ),
        "{}",
        table(&off)
    );
}

#[test]
fn an_edit_of_the_registries_replaces_every_copy() {
    let mut other_forms = copy("team-b", 312);
    // The environment of the daemon adds forms of hosts.
    other_forms["annotations"]["ecr-refresher.io/registries"] =
        "123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com, \
        123456789012.dkr.ecr.eu-west-1.amazonaws.com"
            .into();
    let copies = [copy("team-a", 312), other_forms];
    let plan = |ecr: &str| {
        let config = config("namespaces: [\"team-*\"]").replace("{ region: eu-west-1 }", ecr);
        table(&config, &["team-a", "team-b"], &copies)
    };
    for (ecr, reason) in [
        ("{ region: eu-west-1 }", None),
        ("{ region: eu-west-1, accounts: [\"123456789012\"] }", None),
        ("{}", None),
        ("{ region: us-east-1 }", Some("*.dkr.ecr.us-east-1.amazonaws.com is added")),
        (
            "{ region: eu-west-1, accounts: [\"123456789012\", \"210987654321\"] }",
            Some("210987654321.dkr.ecr.eu-west-1.amazonaws.com is added"),
        ),
        (
            "{ region: eu-west-1, accounts: [\"210987654321\"] }",
            Some("210987654321.dkr.ecr.eu-west-1.amazonaws.com is added"),
        ),
    ] {
        let table = plan(ecr);
        match reason {
            None => assert!(table.ends_with("2 copies: 2 keep\n"), "{ecr}: {table}"),
            Some(reason) => {
                let row = format!("replace   its registries change: {reason}\n");
                assert!(table.contains(&row), "{ecr}: {table}");
            }
        }
    }
}

#[test]
fn foreign_secrets_are_not_shown() {
    let namespaces = ["other", "leaving!"];
    let table = table(&config(TEAMS), &namespaces, &[foreign("other"), copy("leaving", 60)]);
    assert_eq!(table, "0 copies\n");
}

#[test]
fn unchanged_copies_are_only_counted_unless_all_is_set() {
    let plan = Plan::of(&inspect(&config(TEAMS), &["team-a"], &[copy("team-a", 60)]));
    assert_eq!(render(&plan, &[]), "1 copy: 1 keep\n");
    let json: Value = serde_json::from_str(&render(&plan, &["-o", "json"])).unwrap();
    assert_eq!(json["counts"]["keep"], 1);
    assert_eq!(json["copies"], serde_json::json!([]));
    let json: Value = serde_json::from_str(&render(&plan, &["-o", "json", "--all"])).unwrap();
    let expected = serde_json::json!([{
        "secret": "ecr-pull", "namespace": "team-a", "action": "keep", "reason": "1h left",
        "expiresAt": "2026-11-23T12:00:00Z", "secondsLeft": 3600,
    }]);
    assert_eq!(json["copies"], expected);
}

#[test]
fn patterns_that_match_nothing_are_named_with_their_place() {
    let config = config("namespaces: [\"team-*\", paymets, \"x-*\"]");
    let plan = Plan::of(&inspect(&config, &["team-a", "payments"], &[]));
    let warnings = plan.warnings();
    let lines: Vec<_> = warnings.lines().collect();
    assert!(lines[0].ends_with(
        "config.yaml:4:28: no namespace matches `paymets` of ecr-pull; did you mean `payments`?"
    ));
    assert!(lines[1].ends_with("config.yaml:4:37: no namespace matches `x-*` of ecr-pull"));
    let json: Value = serde_json::from_str(&render(&plan, &["-o", "json"])).unwrap();
    let first = &json["unmatchedPatterns"][0];
    assert_eq!((&first["pattern"], &first["line"]), (&"paymets".into(), &4.into()));
}

#[test]
fn a_selector_that_selects_nothing_is_named_with_its_place() {
    let config = |tier: &str| {
        let selector = format!("{{ matchLabels: {{ tier: {tier} }} }}");
        config(&format!("namespaces: {{ allow: [\"team-*\"], selector: {selector} }}"))
    };
    let warnings =
        |config: &str| unselected(&inspect(config, &["team-a tier=prod", "team-b", "other"], &[]));
    let warning = warnings(&config("prd"));
    let expected = "config.yaml:4:38: the label selector of ecr-pull selects none of the 2 namespaces that \
                    its patterns match\n";
    assert!(warning.starts_with("warning: ") && warning.ends_with(expected), "{warning}");
    assert_eq!(warnings(&config("prod")), "");
    assert_eq!(warnings(&self::config("namespaces: [\"x-*\"]")), "");
}
