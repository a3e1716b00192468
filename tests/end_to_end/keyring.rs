//! What kubelet would send with a copy, by kubelet's own keyring.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    slice::from_ref,
    sync::Arc,
};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use ecr_refresher_tests::{
    cluster::{document, eventually_secret},
    control_plane::ControlPlane,
    fake_aws::{DEFAULT_ACCOUNT, FakeAws, Service},
    keyring,
};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::{
    identities::{PATIENCE, REGION, host, start},
    process::FILE_PASSWORD,
    scenario::Scenario,
};

const ONE: &str = "111111111111";
const TWO: &str = "222222222222";
const THREE: &str = "333333333333";
/// The port is part of the host.
const OWN_REGISTRY: &str = "registry.example.com:5000";
const DOCKER_HUB: &str = "index.docker.io";
const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The user and the password of each host that a copy is to hold.
type Expected = BTreeMap<String, (String, String)>;

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "kubelet sends each host of a merged copy its own token, and no other host any",
            merged,
        ),
        Scenario::new("kubelet sends the token to the hosts of every partition", partitions),
    ]
}

async fn merged(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("config.json");
    let passwords = ["own", "hub"].map(|name| format!("{FILE_PASSWORD}-{name}"));
    let hub = STANDARD.encode(format!("whale:{}", passwords[1]));
    let entries = json!({
        OWN_REGISTRY: { "username": "me", "password": passwords[0] },
        "https://index.docker.io/v1/": { "auth": hub },
    });
    fs::write(&file, json!({ "auths": entries }).to_string())?;
    let variants = ["standard", "fips", "dualStack"];
    let role = |account: &str| json!({ "roleArn": format!("arn:aws:iam::{account}:role/puller") });
    let registries = json!([
        { "name": "one", "ecr": {
            "region": REGION, "variants": variants, "assumeRole": role(ONE) } },
        { "name": "two", "ecr": {
            "region": REGION, "variants": variants, "assumeRole": role(TWO), "accounts": [TWO, THREE] } },
        { "name": "gallery", "ecrPublic": {} },
        { "name": "other", "file": { "path": file } },
    ]);
    let _running = start(&control_plane, &aws, "keyring", registries).await?;

    let mut expected = Expected::new();
    for (account, issued_to) in [(ONE, ONE), (TWO, TWO), (THREE, TWO)] {
        let password = issued(&aws, Service::Ecr, issued_to, REGION)?;
        for host in hosts(account, REGION, "amazonaws.com", Some("on.aws")) {
            expected.insert(host, ("AWS".to_owned(), password.clone()));
        }
    }
    let password = issued(&aws, Service::EcrPublic, DEFAULT_ACCOUNT, "us-east-1")?;
    for host in ["public.ecr.aws", "ecr-public.aws.com"] {
        expected.insert(host.to_owned(), ("AWS".to_owned(), password.clone()));
    }
    let [own, hub] = passwords;
    expected.insert(OWN_REGISTRY.to_owned(), ("me".to_owned(), own));
    expected.insert(DOCKER_HUB.to_owned(), ("whale".to_owned(), hub));

    let copy = copy(&control_plane, "keyring", &expected).await?;
    exactly_these_are_sent(&copy, &expected).await?;
    let of_docker_hub = ["nginx", "team/app:1", "docker.io/library/nginx:1.29"].map(str::to_owned);
    for (image, sent) in keyring::credentials(from_ref(&copy), &of_docker_hub).await? {
        let users: Vec<_> = sent.iter().map(|one| one.username.as_str()).collect();
        ensure!(users == ["whale"], "{image} gets {users:?}");
    }

    let one = host(ONE);
    let strangers = [
        "quay.io".to_owned(),
        "444444444444.dkr.ecr.eu-west-1.amazonaws.com".to_owned(),
        format!("{ONE}.dkr.ecr.us-east-1.amazonaws.com"),
        format!("{ONE}.dkr.ecr.eu-west-1.on.aws"),
        format!("{one}.example.com"),
        format!("{one}.cn"),
        format!("{one}:443"),
        format!("{one}:8443"),
        format!("a.{one}"),
        format!("a{one}"),
        format!("a-{one}"),
        format!("example.com/{one}"),
        format!("{OWN_REGISTRY}0"),
        "registry.example.com".to_owned(),
        "registry.example.com:443".to_owned(),
        "a.public.ecr.aws".to_owned(),
        "public.ecr.aws.example.com".to_owned(),
        "index.docker.io.example.com".to_owned(),
    ];
    nothing_is_sent(&copy, &strangers).await?;
    // That nothing is sent would be no proof if a wildcard sent nothing either.
    let image = format!("{}/app", strangers[1]);
    let found = keyring::credentials(&[with_wildcard(copy)?], from_ref(&image)).await?;
    ensure!(found[&image].len() == 1, "a wildcard went unnoticed");
    Ok(())
}

async fn partitions(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let partitions = [
        ("cn-north-1", "amazonaws.com.cn", Some("on.amazonwebservices.com.cn")),
        ("us-gov-west-1", "amazonaws.com", Some("on.aws")),
        ("eusc-de-east-1", "amazonaws.eu", Some("on.amazonwebservices.eu")),
        ("us-iso-east-1", "c2s.ic.gov", None),
        ("us-isob-east-1", "sc2s.sgov.gov", None),
        ("eu-isoe-west-1", "cloud.adc-e.uk", None),
        ("us-isof-south-1", "csp.hci.ic.gov", None),
    ];
    let registries = partitions.map(|(region, _, dual_stack)| {
        let mut variants = vec!["standard", "fips"];
        variants.extend(dual_stack.map(|_| "dualStack"));
        json!({ "name": region, "ecr": { "region": region, "variants": variants } })
    });
    let _running = start(&control_plane, &aws, "partitions", json!(registries)).await?;

    let mut expected = Expected::new();
    let mut strangers = Vec::new();
    for (region, suffix, dual_stack) in partitions {
        let password = issued(&aws, Service::Ecr, DEFAULT_ACCOUNT, region)?;
        for host in hosts(DEFAULT_ACCOUNT, region, suffix, dual_stack) {
            expected.insert(host, ("AWS".to_owned(), password.clone()));
        }
        // The hosts that the region would have in another partition, and those of another account.
        strangers.extend(hosts(ONE, region, suffix, dual_stack));
        for (_, suffix, dual_stack) in partitions {
            strangers.extend(hosts(DEFAULT_ACCOUNT, region, suffix, dual_stack));
        }
    }
    strangers.retain(|host| !expected.contains_key(host));
    let copy = copy(&control_plane, "partitions", &expected).await?;
    exactly_these_are_sent(&copy, &expected).await?;
    nothing_is_sent(&copy, &strangers).await
}

/// The hosts of an account in a region, in all forms.
fn hosts(account: &str, region: &str, suffix: &str, dual_stack: Option<&str>) -> Vec<String> {
    let one_stack =
        ["dkr.ecr", "dkr.ecr-fips"].map(|form| format!("{account}.{form}.{region}.{suffix}"));
    let two_stacks = dual_stack.map(|suffix| {
        ["dkr-ecr", "dkr-ecr-fips"].map(|form| format!("{account}.{form}.{region}.{suffix}"))
    });
    one_stack.into_iter().chain(two_stacks.into_iter().flatten()).collect()
}

/// The password of the only token that was issued to an account in a region.
fn issued(aws: &FakeAws, service: Service, account: &str, region: &str) -> Result<String> {
    let issued = aws.issued().into_iter();
    let mut issued = issued.filter(|token| {
        token.service == service && token.account == account && token.region == region
    });
    let token = issued.next().with_context(|| format!("no token for {account} in {region}"))?;
    ensure!(issued.next().is_none(), "several tokens for {account} in {region}");
    Ok(token.password)
}

/// Waits for the copy that holds exactly the hosts.
async fn copy(control_plane: &ControlPlane, name: &str, expected: &Expected) -> Result<Secret> {
    let has_all = |copy: &Secret| {
        let document = document(copy)?;
        let hosts = document["auths"].as_object().context("no auths")?;
        // Docker Hub's key is as it is written in the file.
        let host =
            |key: &str| key.trim_start_matches("https://").trim_end_matches("/v1/").to_owned();
        let held: BTreeSet<_> = hosts.keys().map(|key| host(key)).collect();
        ensure!(held.iter().eq(expected.keys()), "it has {held:?}");
        Ok(())
    };
    let client = control_plane.admin_client();
    let (namespace, secret) = (format!("{name}-a"), format!("{name}-pull"));
    eventually_secret(&client, &namespace, &secret, PATIENCE, has_all).await
}

async fn exactly_these_are_sent(copy: &Secret, expected: &Expected) -> Result<()> {
    let source = format!("{}/{}", copy.namespace().context("no namespace")?, copy.name_any());
    for path in ["app", "team/app:1.0", &format!("team/a/b/app@{DIGEST}")] {
        let image = |host: &String| format!("{host}/{path}");
        let images: Vec<_> = expected.keys().map(image).collect();
        let sent = keyring::credentials(from_ref(copy), &images).await?;
        for (host, (user, password)) in expected {
            let sent = sent.get(&image(host)).map(Vec::as_slice);
            let Some([sent]) = sent else { bail!("{host}/{path} gets {sent:?}") };
            ensure!(sent.username == *user, "{host}/{path} gets the user of another");
            ensure!(sent.password == *password, "{host}/{path} gets the password of another");
            ensure!(sent.source == source, "{host}/{path} gets that of {}", sent.source);
        }
    }
    Ok(())
}

async fn nothing_is_sent(copy: &Secret, strangers: &[String]) -> Result<()> {
    let images: Vec<_> = strangers.iter().map(|host| format!("{host}/team/app:1.0")).collect();
    for (image, sent) in keyring::credentials(from_ref(copy), &images).await? {
        ensure!(sent.is_empty(), "{image} gets {sent:?}");
    }
    Ok(())
}

/// The copy with a pattern as a key, instead of a host.
fn with_wildcard(mut copy: Secret) -> Result<Secret> {
    let mut document: Value = document(&copy)?;
    document["auths"]["*.dkr.ecr.eu-west-1.amazonaws.com"] =
        json!({ "auth": STANDARD.encode("AWS:any") });
    let data = copy.data.as_mut().context("no data")?;
    data.insert(".dockerconfigjson".to_owned(), ByteString(document.to_string().into_bytes()));
    Ok(copy)
}
