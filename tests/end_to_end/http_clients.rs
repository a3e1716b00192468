//! The daemon among clients of its port that want to wear it down.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use ecr_refresher_tests::{
    control_plane::ControlPlane,
    daemon::{Daemon, Installation},
    fake_aws::FakeAws,
};
use serde_json::json;
use tokio::{net::TcpStream, time::timeout};

use crate::scenario::Scenario;

/// The time in which a probe is answered.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
const WAVES: usize = 10;
/// The clients of a wave.
const CLIENTS: usize = 200;
/// By this much the memory may grow, which is less than 5 KB for each client. In bytes.
const GROWTH: f64 = 8.0 * 1024.0 * 1024.0;

pub(crate) fn tests() -> Vec<Scenario> {
    vec![Scenario::new(
        "probes are answered, and memory is bounded, among clients that never read",
        never_reading,
    )]
}

async fn never_reading(control_plane: Arc<ControlPlane>) -> Result<()> {
    let aws = FakeAws::start().await?;
    let config = json!({
        "registries": [{ "name": "main", "ecr": { "region": "eu-west-1" } }],
        "secrets": [{ "name": "clients-pull", "namespaces": ["clients-?"] }],
    });
    let installation = Installation::new(&control_plane, "clients", config).await?;
    let daemon = installation.start_ready(&aws).await?;
    let requests = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2000);
    // After the first wave all buffers have been in use once.
    wave(&daemon, &requests).await?;
    let before = memory(&daemon).await?;
    for _ in 0..WAVES {
        wave(&daemon, &requests).await?;
    }
    let after = memory(&daemon).await?;
    ensure!(after - before < GROWTH, "the memory has grown from {before} to {after} bytes");
    Ok(())
}

/// Many clients that send requests and never read.
async fn wave(daemon: &Daemon, requests: &str) -> Result<()> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let client = TcpStream::connect(daemon.address()).await?;
        client.writable().await?;
        // It may have been closed already.
        let _ = client.try_write(requests.as_bytes());
        clients.push(client);
    }
    for path in ["/healthz", "/readyz"] {
        let answer = timeout(PROBE_TIMEOUT, daemon.get(path)).await;
        let (status, body) = answer.with_context(|| format!("{path} is not answered"))??;
        ensure!(status == 200, "{path}: {status}: {body}");
    }
    Ok(())
}

async fn memory(daemon: &Daemon) -> Result<f64> {
    daemon.metric("process_resident_memory_bytes").await
}
