//! Valid and invalid config files.

use ecr_refresher_sync::desired::settings::PerNamespace;

use super::*;

pub(super) const MINIMUM: &str = "
registries:
  - name: main
    ecr: { region: eu-west-1 }
secrets:
  - name: ecr-pull
    namespaces: [\"team-*\", payments]
";

pub(super) fn parse_text(text: &str) -> Result<Config, ConfigError> {
    parse_with_locations(text).map(|(config, _)| config)
}

fn parse_with_locations(text: &str) -> Result<(Config, Locations), ConfigError> {
    parse(Path::new("config.yaml"), text, Environment::empty(), "ours")
}

pub(super) fn problems(text: &str) -> String {
    parse_text(text).expect_err("this config is wrong").to_string()
}

/// The minimum with a line of it changed.
pub(super) fn with(line: &str, instead: &str) -> String {
    assert!(MINIMUM.contains(line), "{line}");
    MINIMUM.replace(line, instead)
}

#[test]
fn the_least_config_has_sane_defaults() {
    let config = parse_text(MINIMUM).unwrap();
    assert_eq!(config.registries.len(), 1);
    assert_eq!(config.sync.secrets[0].name, "ecr-pull");
    assert_eq!(config.sync.secrets[0].registries, ["main".into()]);
    assert_eq!(config.sync.secrets[0].allow_list.patterns(), ["team-*", "payments"]);
    assert_eq!(config.sync.spread.as_secs(), 300);
    assert_eq!(config.sync.concurrency, 32);
    assert!((config.at_fraction - 0.5).abs() < f64::EPSILON);
    assert_eq!(config.listen.to_string(), "[::]:8080");
}

#[test]
fn the_annotated_example_is_valid_without_a_warning_and_has_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/config.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let config = parse_text(&text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.registries.len(), 3);
    assert_eq!(config.warnings.warnings(), "");
    for (key, _) in schema_tests::keys(&schema()) {
        assert!(text.contains(&format!("{key}:")), "{key}");
    }
}

#[test]
fn a_tab_is_reported_where_it_is() {
    let text = with("    ecr: { region: eu-west-1 }", "\tecr: { region: eu-west-1 }");
    assert_eq!(problems(&text), "config.yaml:4:1: a tab indents this line; use spaces");
}

#[test]
fn a_word_that_yaml_reads_as_a_switch_needs_no_quotes() {
    for off in ["off", "false", "'off'", "no"] {
        let config = parse_text(&format!("{MINIMUM}metrics: {{ perNamespace: {off} }}\n")).unwrap();
        assert_eq!(config.sync.per_namespace, PerNamespace::Off, "{off}");
    }
    let problem = problems(&format!("{MINIMUM}metrics: {{ perNamespace: on }}\n"));
    assert!(problem.contains("must be one of off, failing, all"), "{problem}");
}

#[test]
fn a_pull_secret_cannot_have_the_name_of_the_token_cache() {
    let error = problems(&with("name: ecr-pull", "name: ours-tokens"));
    assert!(error.contains("`ours-tokens` is the name of the token cache; choose"), "{error}");
}

#[test]
fn an_unknown_key_is_reported_with_its_location_and_the_nearest_word() {
    assert_eq!(
        problems(&with("{ region: eu-west-1 }", "{ regoin: eu-west-1 }")),
        "config.yaml:4:12: unknown key `regoin`; did you mean `region`?"
    );
    assert_eq!(
        problems(&format!("{MINIMUM}\nrefesh: {{}}\n")),
        "config.yaml:9:1: unknown key `refesh`; did you mean `refresh`?"
    );
    assert_eq!(
        problems(&with(
            "    namespaces: [\"team-*\", payments]",
            "    namespaces: { allow: [a], deney: [b] }"
        )),
        "config.yaml:7:31: unknown key `deney`; did you mean `deny`?"
    );
}

#[test]
fn broken_yaml_is_refused_with_its_location() {
    let message = problems(&with("[\"team-*\", payments]", "[\"team-*\", payments"));
    assert!(
        message.starts_with("config.yaml:8:1: ") || message.starts_with("config.yaml:7:"),
        "{message}"
    );
    assert!(problems("just a text").starts_with("config.yaml:1:1: the file is not a mapping"));
}

#[test]
fn an_empty_config_is_refused() {
    let message = problems("");
    assert!(
        message.contains("there is no registry") && message.contains("there is no pull Secret"),
        "{message}"
    );
}

#[test]
fn an_empty_allow_list_is_refused() {
    for namespaces in ["[]", "{ deny: [a] }", "{ allow: [] }"] {
        let message = problems(&with("[\"team-*\", payments]", namespaces));
        assert!(message.starts_with("config.yaml:7:5: the allow-list is empty"), "{message}");
    }
}

#[test]
fn an_unknown_registry_is_reported_with_the_nearest_name() {
    let text = with("  - name: ecr-pull", "  - name: ecr-pull\n    registries: [mian]");
    assert_eq!(
        problems(&text),
        "config.yaml:7:18: there is no registry named `mian`; did you mean `main`?"
    );
}

#[test]
fn an_invalid_glob_is_reported_with_its_location() {
    let message = problems(&with("payments]", "\"team-[a\"]"));
    assert!(message.starts_with("config.yaml:7:28: invalid pattern \"team-[a\""), "{message}");
    let message = problems(&with("[\"team-*\", payments]", "{ allow: [a], deny: [b, \"{\"] }"));
    assert!(message.starts_with("config.yaml:7:41: invalid pattern \"{\""), "{message}");
}

#[test]
fn names_must_differ() {
    let text = format!("{MINIMUM}  - name: ecr-pull\n    namespaces: [a]\n");
    assert!(problems(&text).starts_with("config.yaml:8:5: there are two pull Secrets"));
    let text = with("secrets:", "  - name: main\n    file: { path: /a.json }\nsecrets:");
    assert!(problems(&text).starts_with("config.yaml:5:5: there are two registries"));
}

#[test]
fn a_number_instead_of_a_text_needs_quotes() {
    let text = with("{ region: eu-west-1 }", "{ accounts: [123456789012] }");
    assert_eq!(
        problems(&text),
        "config.yaml:4:23: `accounts[0]` is a number, but must be a text; write its 12 digits, in quotes"
    );
}

#[test]
fn every_problem_is_found_in_one_go() {
    let text = "
registries:
  - name: main
    ecr: { region: EU, accounts: [\"12\"], endpointUrl: nowhere }
secrets:
  - name: Pull_Secret
    registries: []
    namespaces: { allow: [a], selector: { matchLabels: { tier: \"a b\" } } }
    labels: { app.kubernetes.io/instance: x }
    annotations: { ecr-refresher.io/expires-at: x }
refresh: { atFraction: 1.5, spread: soon }
prune: { after: never }
writer: { concurrency: 0 }
listen: here
";
    let message = problems(text);
    let lines: Vec<_> = message.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let locations = [
        "4:12", "4:24", "4:35", "6:5", "7:5", "8:58", "9:15", "10:20", "11:12", "11:29", "12:10",
        "13:11", "14:1",
    ];
    assert_eq!(lines.len(), locations.len(), "{message}");
    for (line, location) in lines.iter().zip(locations) {
        assert!(
            line.starts_with(&format!("config.yaml:{}:", location.split(':').next().unwrap())),
            "{message}"
        );
    }
}

#[test]
fn the_times_of_the_leader_election_are_kubernetes_own_unless_it_is_off() {
    let times = parse_text(MINIMUM).unwrap().leader_election.unwrap();
    let seconds = [times.lease_duration, times.renew_deadline, times.retry_period];
    assert_eq!(seconds.map(|time| time.as_secs()), [15, 10, 2]);
    let off = format!("{MINIMUM}leaderElection: {{ enabled: false }}\n");
    assert_eq!(parse_text(&off).unwrap().leader_election, None);
}

#[test]
fn invalid_times_of_the_leader_election_are_refused_with_their_location() {
    let with = |times: &str| problems(&format!("{MINIMUM}leaderElection: {{ {times} }}\n"));
    for (times, expected) in [
        ("leaseDuration: 10s", "keep to `retryPeriod` < `renewDeadline` < `leaseDuration`"),
        ("retryPeriod: 10s", "keep to `retryPeriod` < `renewDeadline` < `leaseDuration`"),
        ("retryPeriod: 500ms", "`500ms` is not a valid duration for `leaderElection.retryPeriod`"),
        ("leaseDuration: 2h", "`2h` is not a valid duration for `leaderElection.leaseDuration`"),
        (
            "renewDeadline: soon",
            "`soon` is not a valid duration for `leaderElection.renewDeadline`",
        ),
    ] {
        let problems = with(times);
        assert!(problems.contains(expected) && problems.contains(":8:"), "{times}: {problems}");
    }
}

#[test]
fn service_accounts_are_checked_by_name() {
    let text = format!("{MINIMUM}    serviceAccounts: [Default, builder, builder]\n");
    let problems = problems(&text);
    assert!(
        problems.contains("`Default` is not a valid name of a Kubernetes object"),
        "{problems}"
    );
    assert!(problems.contains("use lower-case letters, digits, `-` and `.`"), "{problems}");
    assert!(problems.contains("the ServiceAccount `builder` is named twice"), "{problems}");
}

#[test]
fn each_pattern_and_selector_has_a_location() {
    let (_, locations) = parse_with_locations(MINIMUM).unwrap();
    assert_eq!(locations.allow(0, 1).to_string(), "config.yaml:7:28");
    let mapping = "{ allow: [a, b], deny: [c], selector: { matchLabels: { tier: prod } } }";
    let text = with("[\"team-*\", payments]", mapping);
    let (_, locations) = parse_with_locations(&text).unwrap();
    assert_eq!(locations.allow(0, 1).to_string(), "config.yaml:7:30");
    assert_eq!(locations.deny(0, 0).to_string(), "config.yaml:7:41");
    assert_eq!(locations.selector(0).to_string(), "config.yaml:7:45");
    let json = serde_json::to_value(locations.deny(0, 0)).unwrap();
    assert_eq!(json, serde_json::json!({ "file": "config.yaml", "line": 7, "column": 41 }));
}

#[test]
fn the_location_of_an_override_is_its_variable() {
    let tree = Tree::parse(MINIMUM, &mut Vec::new()).unwrap();
    let locations = Locations::new(Path::new("config.yaml"), tree, true);
    assert_eq!(locations.allow(0, 0).to_string(), "ECR_REFRESHER__SECRETS");
    let json = serde_json::to_value(locations.allow(0, 0)).unwrap();
    assert_eq!(json, serde_json::json!({ "variable": "ECR_REFRESHER__SECRETS" }));
}

#[test]
fn only_tokens_expire() {
    let text = with("secrets:", "  - name: hub\n    file: { path: /a.json }\nsecrets:");
    let text = format!("{text}  - {{ name: hub-pull, registries: [hub], namespaces: [a] }}\n");
    let config = parse_text(&text).unwrap();
    let expires: Vec<_> = config.sync.secrets.iter().map(|one| config.expires(one)).collect();
    assert_eq!(expires, [true, false]);
}
