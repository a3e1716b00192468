//! Access to the API server: certificates, tokens and kubeconfigs.

use std::fs::File;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;
use tempfile::NamedTempFile;

use super::certificates::AUTHORITY;

/// Where the API server reads the tokens of the administrator and the nodes, in the control plane's folder.
pub(super) const TOKENS: &str = "tokens.csv";

/// The names of the nodes that there can be.
pub const NODES: [&str; 2] = ["node-a", "node-b"];

const KUBECONFIGS: &str = "kubeconfigs";
const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;

/// The address of the API server, and the folder of kubeconfigs for it.
#[derive(Debug)]
pub(super) struct Access {
    server: String,
    authority: PathBuf,
    kubeconfigs: PathBuf,
    admin: PathBuf,
}

impl Access {
    /// Makes an administrator and the nodes, each with its kubeconfig.
    pub(super) fn new(folder: &Path, port: u16) -> Result<Self> {
        let kubeconfigs = folder.join(KUBECONFIGS);
        std::fs::create_dir(&kubeconfigs).context("making the folder of kubeconfigs")?;
        let access = Self {
            server: format!("https://127.0.0.1:{port}"),
            authority: folder.join(AUTHORITY),
            admin: kubeconfigs.join("admin.yaml"),
            kubeconfigs,
        };
        let token = random_token()?;
        let mut tokens = vec![format!("{token},admin,admin,system:masters")];
        access.write(&access.admin, "default", "admin", &token)?;
        for node in NODES {
            let token = random_token()?;
            tokens.push(format!("{token},system:node:{node},{node},system:nodes"));
            access.write(&access.node_kubeconfig(node), "default", node, &token)?;
        }
        std::fs::write(folder.join(TOKENS), tokens.join("\n")).context("writing tokens")?;
        Ok(access)
    }

    pub(super) fn admin_kubeconfig(&self) -> &Path {
        &self.admin
    }

    pub(super) fn node_kubeconfig(&self, node: &str) -> PathBuf {
        self.kubeconfigs.join(format!("{node}.yaml"))
    }

    /// Where the API server listens.
    pub(super) fn address(&self) -> Result<SocketAddr> {
        Ok(self.server.trim_start_matches("https://").parse()?)
    }

    /// Asks for a token of the ServiceAccount and writes a kubeconfig with it.
    pub(super) async fn kubeconfig_for(
        &self,
        admin: &Client,
        namespace: &str,
        name: &str,
    ) -> Result<PathBuf> {
        let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), namespace);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                expiration_seconds: Some(SECONDS_OF_A_DAY),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let token = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .with_context(|| format!("asking for a token of {namespace}/{name}"))?
            .status
            .and_then(|status| status.token)
            .context("a token request without an answer")?;
        // A dot cannot be part of a namespace, so no two accounts share a file.
        let path = self.kubeconfigs.join(format!("{namespace}.{name}.yaml"));
        self.write(&path, namespace, name, &token)?;
        Ok(path)
    }

    /// Replaces the file in one step: someone may be reading the old one.
    fn write(&self, path: &Path, namespace: &str, user: &str, token: &str) -> Result<()> {
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "control-plane",
            "clusters": [{
                "name": "control-plane",
                "cluster": { "server": self.server, "certificate-authority": self.authority },
            }],
            "users": [{ "name": user, "user": { "token": token } }],
            "contexts": [{
                "name": "control-plane",
                "context": { "cluster": "control-plane", "user": user, "namespace": namespace },
            }],
        });
        // A temporary file has mode 0600.
        let mut file = NamedTempFile::new_in(&self.kubeconfigs).context("making a kubeconfig")?;
        // JSON is YAML.
        writeln!(file, "{kubeconfig:#}").context("writing a kubeconfig")?;
        file.persist(path).context("naming a kubeconfig")?;
        Ok(())
    }
}

/// A password for one run; other users of the machine can reach the port too.
fn random_token() -> Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("reading /dev/urandom")?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

/// The user name that the API server gives to a ServiceAccount.
#[must_use]
pub fn user_name(namespace: &str, service_account: &str) -> String {
    format!("system:serviceaccount:{namespace}:{service_account}")
}

/// A client of the identity in a kubeconfig.
pub(super) async fn client(kubeconfig: &Path) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    Ok(Client::try_from(config)?)
}

/// Whether the API server says that it is ready.
pub(super) async fn ready(client: &Client) -> Result<()> {
    let request = http::Request::get("/readyz").body(Vec::new())?;
    let answer = client.request_text(request).await?;
    ensure!(answer == "ok", "{answer}");
    Ok(())
}
