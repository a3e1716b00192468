//! A real Prometheus that scrapes one daemon each second.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http_client;
use crate::process::Guarded;
use crate::tools::Tool;
use crate::wait::eventually;

const READY_WITHIN: Duration = Duration::from_mins(1);

/// Between finding a free port and using it, another process may take it.
const ATTEMPTS: usize = 3;

/// A running Prometheus, which dies with this value.
pub struct Prometheus {
    _process: Guarded,
    address: SocketAddr,
    _folder: TempDir,
}

/// What is scraped, as the Prometheus operator would have it scraped.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Where it serves its metrics: `127.0.0.1:PORT`.
    pub address: &'a str,
    /// The label `job`.
    pub job: &'a str,
    /// The label `namespace`, where its own metrics have none of that name.
    pub namespace: &'a str,
}

impl Prometheus {
    /// Starts one with the rules of a `PrometheusRule`. Blocks while it is installed, where it is
    /// missing.
    ///
    /// # Errors
    /// When it is not available, refuses the rules or is not ready in time.
    pub async fn start(target: Target<'_>, rules: &Value) -> Result<Self> {
        let program = tokio::task::spawn_blocking(|| Tool::Prometheus.path()).await??;
        let mut attempt = 1;
        loop {
            match Self::start_on_free_port(&program, target, rules).await {
                Err(error) if attempt < ATTEMPTS && was_taken(&error) => attempt += 1,
                result => return result,
            }
        }
    }

    async fn start_on_free_port(program: &Path, target: Target<'_>, rules: &Value) -> Result<Self> {
        let folder = TempDir::new()?;
        let config = folder.path().join("prometheus.yaml");
        fs::write(folder.path().join("rules.yaml"), rules.to_string())?;
        fs::write(&config, config_file(target).to_string())?;
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a free port")?;
        let address = listener.local_addr()?;
        drop(listener);
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"));
        let log = folder.path().join("log");
        let mut process = Guarded::spawn("prometheus", &command, &log)?;
        let ready = eventually("Prometheus to be ready", READY_WITHIN, async || {
            let (status, body) = http_client::get(&address.to_string(), "/-/ready").await?;
            ensure!(status == 200, "{body}");
            Ok(())
        });
        tokio::select! {
            ready = ready => ready.with_context(|| process.log_tail())?,
            status = process.ended() => bail!("it ended with {}: {}", status?, process.log_tail()),
        }
        Ok(Self { _process: process, address, _folder: folder })
    }

    /// The samples that an expression has now.
    ///
    /// # Errors
    /// When it is not valid, in Prometheus' words.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let query: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", expression)
            .finish();
        let answer = self.get(&format!("/api/v1/query?{query}")).await?;
        let samples = answer["data"]["result"].as_array();
        samples.cloned().with_context(|| format!("{expression}: {}", answer["error"]))
    }

    /// All alerts that are pending or firing: their names and states.
    ///
    /// # Errors
    /// When Prometheus does not answer.
    pub async fn alerts(&self) -> Result<Vec<(String, String)>> {
        let answer = self.get("/api/v1/alerts").await?;
        let alerts = answer["data"]["alerts"].as_array().context("it returns no alerts")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let state = |alert: &Value| (text(&alert["labels"]["alertname"]), text(&alert["state"]));
        Ok(alerts.iter().map(state).collect())
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let (_, body) = http_client::get(&self.address.to_string(), path).await?;
        serde_json::from_str(&body).with_context(|| format!("Prometheus' answer: {body}"))
    }
}

/// JSON is YAML.
fn config_file(target: Target<'_>) -> Value {
    let labels = json!({ "namespace": target.namespace, "pod": "a" });
    json!({
        "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{
            "job_name": target.job,
            "honor_labels": true,
            "static_configs": [{ "targets": [target.address], "labels": labels }],
        }],
    })
}

fn was_taken(error: &anyhow::Error) -> bool {
    format!("{error:#}").contains("address already in use")
}
