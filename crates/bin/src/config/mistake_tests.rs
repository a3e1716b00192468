//! What people write by mistake, and what is said of it.

use ecr_refresher_core::Files;

use super::{
    load,
    tests::{MINIMUM, parse_text, problems, with},
};

#[test]
fn a_key_that_is_there_twice_is_reported_with_both_lines() {
    let twice = "the key `secrets` is there twice, first in line 5; remove one of them";
    let text = format!("{MINIMUM}\nsecrets: []\nrefesh: {{}}\n");
    let message = problems(&text);
    let lines: Vec<_> = message.lines().collect();
    assert_eq!(lines[0], format!("config.yaml:9:1: {twice}"), "{message}");
    assert!(lines[1].starts_with("config.yaml:10:1: unknown key `refesh`"), "{message}");
}

#[test]
fn text_that_is_not_yaml_is_explained_in_plain_words() {
    let list = |namespaces: &str| with("[\"team-*\", payments]", namespaces);
    for (text, place, words) in [
        (list("[*]"), "7:18", "`*` and `&` have a meaning of their own in YAML; put the pattern"),
        (
            list("[*-dev]"),
            "7:18",
            "a text that begins with `*` is an alias in YAML; put the pattern",
        ),
        (list("*-dev"), "7:17", "a text that begins with `*` is an alias"),
        (
            list("[!x]"),
            "7:20",
            "`namespaces[0]` is empty, but must be a text; put a text that begins",
        ),
        (list("[a, @x]"), "7:21", "no text can begin with this character; put the text in quotes"),
        (list("[a, 'b]"), "7:21", "this quote is never closed"),
        (list("[a"), "7:17", "this bracket is never closed"),
        (list("{{ .Values.x }}"), "7:18", "this is a template; render it first"),
        (format!("{MINIMUM}---\na: 1\n"), "9:1", "the file has several documents; keep one"),
        (with("- name: main", "- name: main: a"), "3:15", "there cannot be a `:` here"),
        (with("    ecr: {", "   ecr: {"), "4:4", ""),
        (r#"{ "registries": [] "secrets": [] }"#.to_owned(), "1:20", "a `,` or a closing bracket"),
        ("{ // a comment\n \"registries\": [] }".to_owned(), "1:3", "this is not a comment; begin"),
        (
            "apiVersion: v1\nkind: ConfigMap\ndata: {}\n".to_owned(),
            "2:1",
            "this is a Kubernetes manifest",
        ),
        (
            format!("config:{}", MINIMUM.replace('\n', "\n  ")),
            "1:1",
            "these are values of the chart",
        ),
    ] {
        let message = problems(&text);
        let expected = format!("config.yaml:{place}: {words}");
        assert!(message.lines().any(|line| line.starts_with(&expected)), "{expected}\n{message}");
    }
}

#[test]
fn a_file_that_is_not_utf8_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, b"registries: []\nsecr\xe9ts: []\n").unwrap();
    let error = load(&path, &Files::system(), "ours").unwrap_err().to_string();
    assert!(error.ends_with(":2:5: this is not UTF-8; save the file as UTF-8"), "{error}");
}

#[test]
fn each_problem_is_shown_with_its_line_and_a_mark() {
    let text =
        with("{ region: eu-west-1 }", "{ regoin: hunter2, assumeRole: { externalId: [geheim] } }");
    let error = parse_text(&text.replace("payments", "Payments")).unwrap_err();
    assert_eq!(
        error.text(),
        "config.yaml:4:12: unknown key `regoin`; did you mean `region`?
  |
4 |     ecr: { regoin: *******, assumeRole: { externalId: *******] } }
  |            ^^^^^^
config.yaml:4:29: `roleArn` is missing; write it as `arn:aws:iam::123456789012:role/NAME`
  |
4 |     ecr: { regoin: *******, assumeRole: { externalId: *******] } }
  |                             ^^^^^^^^^^
config.yaml:4:43: `externalId` is a list, but must be a text; use 2 to 1224 letters, digits and `_+=,.@:/-`
  |
4 |     ecr: { regoin: *******, assumeRole: { externalId: *******] } }
  |                                           ^^^^^^^^^^
config.yaml:7:28: invalid pattern \"Payments\": it cannot match any namespace: a name has 1 to 63 lower-case letters, \
         digits and `-`, and `-` is neither its first nor its last character; did you mean `payments`?
  |
7 |     namespaces: [\"team-*\", Payments]
  |                            ^^^^^^^^"
    );
}

#[test]
fn a_value_of_another_kind_is_refused_with_its_remedy() {
    let ecr = |ecr: &str| with("{ region: eu-west-1 }", ecr);
    for (text, expected) in [
        (
            ecr("{ accounts: [1, \"111111111111\", 3] }"),
            "config.yaml:4:23: `accounts[0]` is a number, but must be a text; write its 12 digits, in quotes
  |
4 |     ecr: { accounts: [1, \"111111111111\", 3] }
  |                       ^
config.yaml:4:42: `accounts[2]` is a number, but must be a text; write its 12 digits, in quotes
  |
4 |     ecr: { accounts: [1, \"111111111111\", 3] }
  |                                          ^",
        ),
        (
            format!("{MINIMUM}listen: 8080\n"),
            "config.yaml:8:1: `listen` is a number, but must be a text; write it as `[::]:8080`, which is the default
  |
8 | listen: 8080
  | ^^^^^^",
        ),
        (
            format!("{MINIMUM}refresh: {{ atFraction: \"0.5\", spread: yes }}\n"),
            "config.yaml:8:12: `atFraction` is a text, but must be a number; choose 0.05 to 0.95; the default is 0.5
  |
8 | refresh: { atFraction: \"0.5\", spread: yes }
  |            ^^^^^^^^^^
config.yaml:8:31: `spread` is true or false, but must be a text; choose `0s` to `1h`; the default is `5m`
  |
8 | refresh: { atFraction: \"0.5\", spread: yes }
  |                               ^^^^^^",
        ),
    ] {
        assert_eq!(parse_text(&text).unwrap_err().text(), expected);
    }
}

#[test]
fn what_is_surely_or_probably_wrong_is_said() {
    let ecr = |ecr: &str| with("{ region: eu-west-1 }", ecr);
    let namespaces = |namespaces: &str| with("[\"team-*\", payments]", namespaces);
    for (text, expected) in [
        (
            ecr("{ region: eu-west1 }"),
            "4:12: there is no AWS region `eu-west1`; did you mean `eu-west-1`?",
        ),
        (
            ecr("{ region: us-east-1a }"),
            "4:12: there is no AWS region `us-east-1a`; did you mean `us-east-1`?",
        ),
        (
            ecr("{ region: US_EAST_1 }"),
            "4:12: `US_EAST_1` is not a valid AWS region; did you mean `us-east-1`?",
        ),
        (ecr(""), "3:5: this registry has no kind; `ecr` is empty: write `ecr: {}`"),
        (
            MINIMUM.replace("registries:\n  - ", "registries:\n    "),
            "2:1: `registries` is a mapping, but must be a list; begin each item with `- `",
        ),
        (
            namespaces("team-*"),
            "7:5: `namespaces` is a text, but must be a list of patterns, or a mapping with `allow`; put it in brackets, as `[…]`",
        ),
        (namespaces("[Team-*]"), "7:18: invalid pattern \"Team-*\""),
    ] {
        let message = problems(&text);
        assert!(message.starts_with(&format!("config.yaml:{expected}")), "{message}");
    }
    for (pattern, better) in
        [("Team-*", "team-*"), ("team_x", "team-x"), ("^x$", "x"), ("a,b", "{a,b}"), ("“x”", "x")]
    {
        let message = problems(&namespaces(&format!("[{pattern:?}]")));
        assert!(message.ends_with(&format!("did you mean `{better}`?")), "{message}");
    }
    let hub = "  - name: hub\n    file: { path: /a.json }\nsecrets:";
    let used = with("  - name: ecr-pull", "  - name: ecr-pull\n    registries: [main]");
    for (text, expected) in [
        (
            ecr("{ region: eu-wset-1 }"),
            "4:12: `eu-wset-1` is not a region that this version knows; did you mean `eu-west-1`?",
        ),
        (used.replace("secrets:", hub), "5:5: no pull Secret uses the registry `hub`"),
        (
            namespaces("{ allow: [a-*, b], deny: [\"*\"] }"),
            "7:5: the deny-list denies each namespace",
        ),
        (
            namespaces("{ allow: [a, b], deny: [\"a*\"] }"),
            "7:27: `a` matches only denied namespaces",
        ),
        (namespaces("[a-*, b, a-*]"), "7:26: the pattern `a-*` is there twice"),
    ] {
        let warnings: Vec<_> = parse_text(&text).unwrap().warnings.lines().collect();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with(&format!("config.yaml:{expected}")), "{warnings:?}");
    }
    assert!(parse_text(MINIMUM).unwrap().warnings.list().is_empty());
}

#[test]
fn the_user_of_a_url_is_not_shown() {
    for url in ["https://me:geheim@lab:4566", "https://me:geheim@", "[geheim@]"] {
        let ecr = format!("{{ region: eu-west-1, endpointUrl: {url} }}");
        let error = parse_text(&with("{ region: eu-west-1 }", &ecr)).unwrap_err();
        let texts = [error.text(), error.to_string(), format!("{error:?}")];
        assert!(texts.iter().all(|text| !text.contains("geheim")), "{texts:?}");
    }
}

#[test]
fn a_region_behind_an_own_endpoint_may_have_any_name() {
    let text = with("{ region: eu-west-1 }", "{ region: lab, endpointUrl: \"http://lab:4566\" }");
    assert!(parse_text(&text).unwrap().warnings.list().is_empty());
}
