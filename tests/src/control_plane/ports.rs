//! Free ports on loopback.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};
use tokio::net::TcpStream;

/// The ports of one control plane, all on 127.0.0.1.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) etcd_client: u16,
    pub(super) etcd_peer: u16,
    pub(super) api_server: u16,
}

impl Ports {
    /// Finds ports that are free at this moment.
    pub(super) fn find() -> Result<Self> {
        let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a free port");
        // All are held until all are found, so that they differ.
        let listeners = [listen()?, listen()?, listen()?];
        let port = |index: usize| listeners[index].local_addr().map(|address| address.port());
        Ok(Self { etcd_client: port(0)?, etcd_peer: port(1)?, api_server: port(2)? })
    }
}

/// Whether a start failed because another process had taken a port meanwhile.
pub(super) fn was_taken(error: &anyhow::Error) -> bool {
    format!("{error:#}").contains("address already in use")
}

/// Whether something listens on `port`.
pub(super) async fn accepts(port: u16) -> Result<()> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    Ok(())
}
