//! The requests to AWS in one environment or another. Each case runs in a process of its own, with its
//! variables, against an AWS on loopback.

mod endpoints;
mod replies;
mod roles;
mod server;

use std::{any::type_name_of_val, env, process::Command, sync::Arc};

use self::server::Server;
use super::{Aws, IdentitySettings, InUse, RoleArn, RoleSettings};
use crate::{
    FetchError, Files,
    clock::Clock,
    tokens::{Api, AwsSource, Token, TokenSource},
};

/// Set in the process of a case.
const IN_CASE: &str = "ECR_REFRESHER_TEST_CASE";

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIABASE"), ("AWS_SECRET_ACCESS_KEY", "s")];

/// Runs a case with these variables and no others of AWS: the test that calls this once more, alone, which
/// then only runs `body`. Returns whether this is the process of the test itself.
fn case(variables: &[(&str, &str)], body: impl AsyncFnOnce(Aws)) -> bool {
    if env::var_os(IN_CASE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            body(Aws::load(Clock::system(), Files::system()).await.unwrap()).await;
        });
        return false;
    }
    // The path of the closure, between the crate and its own name.
    let path = type_name_of_val(&body);
    let test = path.split_once("::").unwrap().1.split("::{{closure}}").next().unwrap();
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", "--nocapture", test]).env(IN_CASE, "1");
    for (name, _) in env::vars_os() {
        let upper = name.to_string_lossy().to_ascii_uppercase();
        if upper.starts_with("AWS_") || upper.ends_with("_PROXY") {
            child.env_remove(name);
        }
    }
    child.env("HOME", "/nonexistent").env("AWS_EC2_METADATA_DISABLED", "true");
    let output = child.envs(variables.iter().copied()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{variables:?}: {said}");
    true
}

fn role(arn: &str, region: Option<&str>) -> RoleSettings {
    RoleSettings {
        arn: RoleArn::parse(arn).unwrap(),
        external_id: None,
        session_name: "test".to_owned(),
        region: region.map(str::to_owned),
    }
}

/// ECR in a region, called as the last of these roles.
fn ecr(region: Option<&str>, roles: &[RoleSettings]) -> TokenSource {
    TokenSource::Aws(AwsSource {
        api: Api::Ecr,
        identity: IdentitySettings { roles: roles.to_vec(), credentials_directory: None },
        region: region.map(str::to_owned),
        endpoint_url: None,
    })
}

async fn fetch(aws: &Aws, source: &TokenSource) -> Result<(), FetchError> {
    aws.fetch(source).await.map(|token| assert!(matches!(token, Token::Ecr { .. })))
}

#[test]
fn a_value_is_shared_and_dropped_with_its_last_user() {
    let in_use = InUse::default();
    let one = in_use.get_or("key", || 1);
    assert!(Arc::ptr_eq(&one, &in_use.get_or("key", || 2)));
    assert_eq!(*in_use.get_or("other", || 3), 3);
    drop(one);
    assert_eq!(*in_use.get_or("key", || 4), 4);
}
