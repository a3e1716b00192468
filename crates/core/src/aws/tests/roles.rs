//! Roles, and the region in which STS is asked for them.

use std::fs;

use super::{KEYS, Server, case, ecr, fetch, role};
use crate::Reason;

const HUB: &str = "arn:aws:iam::111111111111:role/hub";
const PULLER: &str = "arn:aws:iam::222222222222:role/team/puller";
const OTHER: &str = "arn:aws:iam::333333333333:role/other";

/// The variables of a process with keys, and of the endpoint of all services.
fn keys<'a>(server: &'a Server, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&KEYS[..], &[("AWS_ENDPOINT_URL", server.url())], more].concat()
}

#[test]
fn sts_is_asked_in_the_region_of_the_environment_and_ecr_in_that_of_the_registry() {
    let server = Server::start();
    let variables = keys(&server, &[("AWS_REGION", "eu-central-1")]);
    let is_test = case(&variables, async |aws| {
        let source = ecr(Some("eu-west-1"), &[role(PULLER, None)]);
        fetch(&aws, &source).await.unwrap();
        aws.caller(&source).await.unwrap().unwrap();
    });
    let expected = [
        "AssumeRole puller eu-central-1 AKIABASE",
        "GetAuthorizationToken - eu-west-1 ASIA1",
        "GetCallerIdentity - eu-central-1 ASIA1",
    ];
    assert!(!is_test || server.calls() == expected, "{:#?}", server.calls());
}

#[test]
fn without_a_region_in_the_environment_sts_is_asked_in_that_of_the_registry() {
    let server = Server::start();
    let is_test = case(&keys(&server, &[]), async |aws| {
        let source = ecr(Some("ap-east-1"), &[role(PULLER, None)]);
        fetch(&aws, &source).await.unwrap();
    });
    let expected =
        ["AssumeRole puller ap-east-1 AKIABASE", "GetAuthorizationToken - ap-east-1 ASIA1"];
    assert!(!is_test || server.calls() == expected, "{:#?}", server.calls());
}

#[test]
fn a_role_may_name_the_region_of_sts() {
    let server = Server::start();
    let variables = keys(&server, &[("AWS_REGION", "eu-central-1")]);
    let is_test = case(&variables, async |aws| {
        let source = ecr(Some("eu-west-1"), &[role(PULLER, Some("eu-north-1"))]);
        fetch(&aws, &source).await.unwrap();
        aws.caller(&source).await.unwrap().unwrap();
    });
    let expected = [
        "AssumeRole puller eu-north-1 AKIABASE",
        "GetAuthorizationToken - eu-west-1 ASIA1",
        "GetCallerIdentity - eu-north-1 ASIA1",
    ];
    assert!(!is_test || server.calls() == expected, "{:#?}", server.calls());
}

#[test]
fn each_role_of_a_chain_is_assumed_once_with_the_session_of_the_one_before() {
    let server = Server::start();
    let variables = keys(&server, &[("AWS_REGION", "eu-central-1")]);
    let is_test = case(&variables, async |aws| {
        let chain = |last| [role(HUB, Some("us-east-1")), role(last, None)];
        let one = ecr(Some("eu-west-1"), &chain(PULLER));
        fetch(&aws, &one).await.unwrap();
        fetch(&aws, &one).await.unwrap();
        // Another chain by the same first role uses its session.
        fetch(&aws, &ecr(Some("us-east-2"), &chain(OTHER))).await.unwrap();
    });
    let expected = [
        "AssumeRole hub us-east-1 AKIABASE",
        "AssumeRole puller eu-central-1 ASIA1",
        "GetAuthorizationToken - eu-west-1 ASIA2",
        "GetAuthorizationToken - eu-west-1 ASIA2",
        "AssumeRole other eu-central-1 ASIA1",
        "GetAuthorizationToken - us-east-2 ASIA3",
    ];
    assert!(!is_test || server.calls() == expected, "{:#?}", server.calls());
}

#[test]
fn a_refused_session_in_the_middle_of_a_chain_is_replaced_at_once() {
    let server = Server::start();
    server.refuse(3, "ExpiredTokenException");
    server.refuse(4, "ExpiredToken");
    let is_test = case(&keys(&server, &[]), async |aws| {
        let source = ecr(Some("eu-west-1"), &[role(HUB, None), role(PULLER, None)]);
        fetch(&aws, &source).await.unwrap();
        fetch(&aws, &source).await.unwrap();
    });
    let expected = [
        "AssumeRole hub eu-west-1 AKIABASE",
        "AssumeRole puller eu-west-1 ASIA1",
        "GetAuthorizationToken - eu-west-1 ASIA2",
        "GetAuthorizationToken - eu-west-1 ASIA2",
        "AssumeRole puller eu-west-1 ASIA1",
        "AssumeRole hub eu-west-1 AKIABASE",
        "AssumeRole puller eu-west-1 ASIA3",
        "GetAuthorizationToken - eu-west-1 ASIA4",
    ];
    assert!(!is_test || server.calls() == expected, "{:#?}", server.calls());
}

#[test]
fn a_region_that_is_not_enabled_has_a_reason_and_a_remedy_of_its_own() {
    let server = Server::start();
    server.refuse(0, "RegionDisabledException");
    case(&keys(&server, &[]), async |aws| {
        let source = ecr(Some("ap-east-1"), &[role(PULLER, None)]);
        let error = fetch(&aws, &source).await.unwrap_err();
        assert_eq!(error.reason, Reason::RegionDisabled);
        assert!(error.message.contains("enable ap-east-1 for the account"), "{error}");
    });
}

/// Runs a case with a web identity, and without a region in the environment.
fn web_identity_case(server: &Server, body: impl AsyncFnOnce(super::Aws)) -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "header.claims.signature").unwrap();
    let path = file.path().to_str().unwrap();
    let variables = [
        ("AWS_ROLE_ARN", HUB),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", path),
        ("AWS_ENDPOINT_URL", server.url()),
    ];
    case(&variables, body)
}

#[test]
fn a_web_identity_needs_no_region_but_that_of_the_registry() {
    let server = Server::start();
    let is_test = web_identity_case(&server, async |aws| {
        let source = ecr(Some("eu-west-1"), &[role(PULLER, None)]);
        fetch(&aws, &source).await.unwrap();
    });
    let expected = [
        "AssumeRoleWithWebIdentity hub - -",
        "AssumeRole puller eu-west-1 ASIA1",
        "GetAuthorizationToken - eu-west-1 ASIA2",
    ];
    assert!(!is_test || server.calls() == expected, "{:#?}", server.calls());
}

#[test]
fn a_web_identity_in_a_region_that_is_not_enabled_has_the_same_reason() {
    let server = Server::start();
    server.refuse(0, "RegionDisabledException");
    web_identity_case(&server, async |aws| {
        let error = fetch(&aws, &ecr(Some("ap-east-1"), &[])).await.unwrap_err();
        assert_eq!(error.reason, Reason::RegionDisabled);
        assert!(error.message.contains("enable ap-east-1 for the account"), "{error}");
    });
}

#[test]
fn a_web_identity_without_any_region_is_told_to_name_one() {
    let server = Server::start();
    web_identity_case(&server, async |aws| {
        let source = ecr(None, &[]);
        let of_token = fetch(&aws, &source).await.unwrap_err();
        let of_caller = aws.caller(&source).await.unwrap().unwrap_err();
        for error in [of_token, of_caller] {
            assert_eq!(error.reason, Reason::NoRegion, "{error}");
            assert!(error.message.contains("or AWS_REGION in the environment"), "{error}");
        }
    });
}
