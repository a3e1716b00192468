//! Docker config files as tools write them: what kubelet's keyring finds with the file, it finds with the
//! copy.

use std::{collections::BTreeMap, fs, slice::from_ref, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use ecr_refresher_tests::{
    cluster::{create_namespace, eventually_secret},
    control_plane::ControlPlane,
    daemon::Installation,
    fake_aws::FakeAws,
    keyring,
};
use fastrand::Rng;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use serde_json::{Map, Value, json};

use crate::{process::FILE_PASSWORD, scenario::Scenario};

const FILES: usize = 60;
const TIMEOUT: Duration = Duration::from_mins(1);
/// How many keyrings may run at once.
const AT_ONCE: usize = 4;

/// Hosts, with and without ports, of which some are parts of others.
const HOSTS: [&str; 9] = [
    "quay.io",
    "registry.example.com",
    "registry.example.com:5000",
    "a.example.com",
    "example.com",
    "localhost:5000",
    "docker.io",
    "index.docker.io",
    "registry-1.docker.io",
];
const PATHS: [&str; 6] = ["", "/", "/org-a", "/org-a/team", "/org-b", "/v2"];
/// What docker and its relatives write as keys, beside hosts and paths.
const ODD_KEYS: [&str; 9] = [
    "https://index.docker.io/v1/",
    "https://index.docker.io/v1/access-token",
    "https://index.docker.io/v1/refresh-token",
    "*.example.com",
    "*.example.com:5000",
    "*.*.io",
    "REGISTRY.example.com",
    "exa mple.com",
    "",
];
const IMAGES: [&str; 16] = [
    "nginx",
    "library/nginx:1.29",
    "org-a/app",
    "docker.io/library/nginx",
    "docker.io/org-a/app",
    "index.docker.io/org-a/app",
    "quay.io/org-a/app",
    "quay.io/org-a/team/app:1",
    "quay.io/org-ab/app",
    "quay.io/org-b/app",
    "registry.example.com/app",
    "registry.example.com/org-a/app",
    "registry.example.com:5000/app",
    "a.example.com/org-b/app",
    "example.com/app",
    "localhost:5000/org-a/team/app",
];

pub(crate) fn tests() -> Vec<Scenario> {
    vec![Scenario::new("kubelet finds with a copy what it finds with the docker file", agree)]
}

/// A docker config file.
struct Generated {
    /// What is in the file.
    file: Value,
    /// The same without the entries because of which kubelet would refuse all of them, and without those that
    /// hold nothing: kubelet takes one of `docker.io` for an answer, and does not look for `index.docker.io`.
    readable: Value,
}

fn generate(random: &mut Rng, number: usize) -> Generated {
    let mut entries = Map::new();
    let mut readable = Map::new();
    for entry in 0..random.usize(1..9) {
        let password = format!("{FILE_PASSWORD}-{number}-{entry}");
        let key = key(random);
        // The first entry stays, so that each file has a usable one.
        if entries.contains_key(&key) {
            continue;
        }
        let (value, is_readable) = if entry == 0 {
            (json!({ "auth": STANDARD.encode(format!("me:{password}")) }), true)
        } else {
            self::entry(random, &password)
        };
        if is_readable {
            readable.insert(key.clone(), value.clone());
        }
        entries.insert(key, value);
    }
    let file = if random.u8(0..5) == 0 && entries.values().all(is_legacy) {
        Value::Object(entries)
    } else {
        json!({ "auths": entries, "credsStore": "desktop", "HttpHeaders": { "a": "b" } })
    };
    Generated { file, readable: json!({ "auths": readable }) }
}

fn is_legacy(entry: &Value) -> bool {
    entry.get("auth").is_some() || entry.get("username").is_some()
}

fn key(random: &mut Rng) -> String {
    if random.u8(0..3) == 0 {
        return ODD_KEYS[random.usize(..ODD_KEYS.len())].to_owned();
    }
    let scheme = ["", "", "https://", "http://"][random.usize(..4)];
    let (host, path) = (HOSTS[random.usize(..HOSTS.len())], PATHS[random.usize(..PATHS.len())]);
    format!("{scheme}{host}{path}")
}

/// An entry, and whether kubelet can pull with it.
fn entry(random: &mut Rng, password: &str) -> (Value, bool) {
    let plain = format!("me:{password}");
    let padded = STANDARD.encode(&plain);
    let wrapped = format!("{}\n{}", &padded[..8], &padded[8..]);
    match random.u8(0..12) {
        0..=3 => (json!({ "auth": padded, "email": "me@example.com" }), true),
        4 => (json!({ "auth": STANDARD_NO_PAD.encode(&plain) }), true),
        5 => (json!({ "auth": wrapped }), true),
        6 => (json!({ "username": "me", "password": password }), true),
        7 => (json!({ "auth": "", "username": "me", "password": password }), true),
        8 => (json!({ "auth": padded, "identitytoken": "x", "username": "not-me" }), true),
        9 => (json!({}), false),
        10 => (json!({ "identitytoken": password }), false),
        _ => (json!({ "auth": format!("%{password}") }), false),
    }
}

/// A Secret with this docker config.
fn secret(name: &str, config: &Value) -> Result<Secret> {
    let data = ByteString(config.to_string().into_bytes());
    let metadata = json!({ "name": name, "namespace": "dockerfile-a" });
    Ok(Secret {
        metadata: serde_json::from_value(metadata)?,
        type_: Some("kubernetes.io/dockerconfigjson".to_owned()),
        data: Some([(".dockerconfigjson".to_owned(), data)].into()),
        ..Secret::default()
    })
}

/// The users and passwords that kubelet would send for each image.
async fn found(
    secret: &Secret,
    images: &[String],
) -> Result<BTreeMap<String, Vec<(String, String)>>> {
    let found = keyring::credentials(from_ref(secret), images).await?;
    let plain = found.into_iter().map(|(image, credentials)| {
        let pairs = credentials.into_iter().map(|it| (it.username, it.password));
        // An entry without a password is none.
        let mut pairs: Vec<_> = pairs.filter(|(_, password)| !password.is_empty()).collect();
        // Two keys of one meaning come in any order.
        pairs.sort();
        (image, pairs)
    });
    Ok(plain.collect())
}

async fn agree(control_plane: Arc<ControlPlane>) -> Result<()> {
    let client = control_plane.admin_client();
    create_namespace(&client, "dockerfile-a", &[]).await?;
    let seed = fastrand::u64(..);
    let mut random = Rng::with_seed(seed);
    let folder = tempfile::tempdir()?;
    let (mut files, mut registries, mut secrets) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..FILES {
        let generated = generate(&mut random, number);
        let path = folder.path().join(format!("{number}.json"));
        fs::write(&path, generated.file.to_string())?;
        let (registry, name) = (format!("file-{number}"), format!("dockerfile-{number}"));
        registries.push(json!({ "name": registry, "file": { "path": path } }));
        secrets.push(
            json!({ "name": name, "registries": [registry], "namespaces": ["dockerfile-a"] }),
        );
        files.push((name, generated));
    }
    let config = json!({ "registries": registries, "secrets": secrets });
    let installation = Installation::new(&control_plane, "dockerfile", config).await?;
    let aws = FakeAws::start().await?;
    let _daemon = installation.start_ready(&aws).await?;
    let images: Vec<_> = IMAGES.map(str::to_owned).into();
    let cases = files.iter().map(|(name, Generated { readable, .. })| {
        let (client, images) = (client.clone(), &images);
        async move {
            let copy =
                eventually_secret(&client, "dockerfile-a", name, TIMEOUT, |_| Ok(())).await?;
            let context = || format!("seed {seed}: {name}");
            let of_copy = found(&copy, images).await.with_context(context)?;
            let of_file = found(&secret(name, readable)?, images).await.with_context(context)?;
            // Neither is shown: they hold passwords.
            ensure!(of_copy == of_file, "{} differs from its file", context());
            anyhow::Ok(of_copy.values().filter(|found| !found.is_empty()).count())
        }
    });
    let found: Vec<_> = stream::iter(cases).buffer_unordered(AT_ONCE).try_collect().await?;
    ensure!(found.iter().sum::<usize>() > FILES, "hardly any image has credentials");
    Ok(())
}
