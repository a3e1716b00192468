//! Proxies in front of the API server, and authorities of AWS.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    cluster::{create_namespace, eventually_secret},
    connect_proxy::ConnectProxy,
    control_plane::ControlPlane,
    daemon::Installation,
    fake_aws::FakeAws,
    tls_front::TlsFront,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    identities::{REGION, install},
    scenario::Scenario,
};

const PATIENCE: Duration = Duration::from_secs(30);
/// Only the proxy finds the API server by this name.
const NAME: &str = "kubernetes.invalid";
const POD: &str = "viaproxy-0";

pub(crate) fn tests() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "every command asks the API server through the proxy of the kubeconfig or the environment",
            every_command,
        ),
        Scenario::new("AWS is trusted by the authorities of AWS_CA_BUNDLE alone", authorities),
    ]
}

/// A kubeconfig for a server that only a proxy finds.
struct Proxied {
    folder: TempDir,
    kubeconfig: Value,
    server: String,
}

impl Proxied {
    fn new(installation: &Installation) -> Result<Self> {
        let text = fs::read_to_string(installation.kubeconfig())?;
        let kubeconfig: Value = serde_json::from_str(&text)?;
        let server = kubeconfig.pointer("/clusters/0/cluster/server").and_then(Value::as_str);
        let server = server.context("there is no server")?.to_owned();
        Ok(Self { folder: TempDir::new()?, kubeconfig, server })
    }

    /// The address of the API server.
    fn address(&self) -> Result<std::net::SocketAddr> {
        let url: http::Uri = self.server.parse()?;
        Ok(url.authority().context("no authority")?.as_str().parse()?)
    }

    /// Writes the kubeconfig, with this `proxy-url`.
    fn write(&self, proxy: Option<&str>) -> Result<PathBuf> {
        let mut kubeconfig = self.kubeconfig.clone();
        let address = self.address()?;
        let cluster = &mut kubeconfig["clusters"][0]["cluster"];
        cluster["server"] = format!("https://{NAME}:{}", address.port()).into();
        cluster["tls-server-name"] = address.ip().to_string().into();
        if let Some(proxy) = proxy {
            cluster["proxy-url"] = proxy.into();
        }
        let path = self.folder.path().join("kubeconfig");
        fs::write(&path, kubeconfig.to_string())?;
        Ok(path)
    }
}

async fn output(mut command: Command) -> Result<Output> {
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

async fn every_command(control_plane: Arc<ControlPlane>) -> Result<()> {
    create_namespace(&control_plane.admin_client(), "viaproxy-a", &[]).await?;
    let registries = json!([{ "name": "main", "ecr": { "region": REGION } }]);
    let installation =
        install(&control_plane, "viaproxy", registries).await?.with_log_level("info");
    let aws = FakeAws::start().await?;
    let proxied = Proxied::new(&installation)?;
    let proxy = ConnectProxy::start(proxied.address()?).await?;
    let [http, socks] = ["http", "socks5"].map(|scheme| format!("{scheme}://{}", proxy.address()));

    let plain = proxied.write(None)?;
    let commands: [&[&str]; 5] = [
        &["run", "--once"],
        &["status"],
        &["plan"],
        &["explain", "viaproxy-a"],
        &["check", "--cluster"],
    ];
    for arguments in commands {
        let before = proxy.connections();
        let mut through = installation.subcommand(arguments, POD, &aws, &plain)?;
        through.env("HTTPS_PROXY", format!("http://me:secret@{}", proxy.address()));
        through.env("NO_PROXY", ",odd entry, ,example.com");
        let ended = output(through).await?;
        let errors = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.success(), "{arguments:?}: {errors}");
        ensure!(proxy.connections() > before, "{arguments:?} did not use the proxy");
        ensure!(!errors.contains("secret"), "{arguments:?} shows the proxy's password");
    }
    let heads = proxy.heads();
    ensure!(heads.iter().all(|head| head.contains(NAME)), "{heads:?}");
    ensure!(heads.iter().all(|head| head.contains("bWU6c2VjcmV0")), "there is no authorization");

    for url in [&http, &socks] {
        let kubeconfig = proxied.write(Some(url))?;
        let before = proxy.connections();
        let mut through = installation.subcommand(&["status"], POD, &aws, &kubeconfig)?;
        // The environment does not count, nor do its exceptions.
        through.env("HTTPS_PROXY", "http://127.0.0.1:9").env("NO_PROXY", "*");
        let ended = output(through).await?;
        ensure!(ended.status.success(), "{url}: {}", String::from_utf8_lossy(&ended.stderr));
        ensure!(proxy.connections() > before, "{url} was not used");
    }

    // Without the proxy nobody finds the name.
    let before = proxy.connections();
    let plain = proxied.write(None)?;
    let mut direct = installation.subcommand(&["status"], POD, &aws, &plain)?;
    direct.env("HTTPS_PROXY", &http).env("NO_PROXY", "example.com,.invalid");
    ensure!(!output(direct).await?.status.success(), "it found the name");
    ensure!(proxy.connections() == before, "NO_PROXY did not count");

    let mut invalid = installation.subcommand(&["status"], POD, &aws, &plain)?;
    invalid.env("https_proxy", "hunter2@ proxy");
    let ended = output(invalid).await?;
    let errors = String::from_utf8_lossy(&ended.stderr);
    ensure!(errors.contains("https_proxy is not the URL of a proxy"), "{errors}");
    ensure!(!errors.contains("hunter2"), "it shows the value");

    // The daemon too, for as long as it runs.
    let kubeconfig = proxied.write(Some(&http))?;
    let mut run = installation.subcommand(&["run"], POD, &aws, &kubeconfig)?;
    run.arg("--log-format=json");
    let daemon = installation.start_command(&run).await?;
    daemon.ready().await
}

async fn authorities(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let front = TlsFront::start(aws.address()).await?;
    let folder = TempDir::new()?;
    let [bundle, empty] = ["bundle.pem", "empty.pem"].map(|name| folder.path().join(name));
    fs::write(&bundle, front.authority())?;
    fs::write(&empty, "")?;
    let client = control_plane.admin_client();
    create_namespace(&client, "bundle-a", &[]).await?;
    let registries = json!([{ "name": "main", "ecr": { "region": REGION } }]);
    let installation = install(&control_plane, "bundle", registries).await?;
    let with = |bundle: &Path| -> Result<Command> {
        let mut command = installation.command(&aws)?;
        command.env("AWS_ENDPOINT_URL", front.endpoint()).env("AWS_CA_BUNDLE", bundle);
        Ok(command)
    };

    let ended = output(with(&empty)?).await?;
    let errors = String::from_utf8_lossy(&ended.stderr);
    ensure!(!ended.status.success());
    ensure!(errors.contains("AWS_CA_BUNDLE=") && errors.contains("no certificate"), "{errors}");

    let _daemon = installation.start_command(&with(&bundle)?).await?;
    eventually_secret(&client, "bundle-a", "bundle-pull", PATIENCE, |_| Ok(())).await.map(drop)
}
