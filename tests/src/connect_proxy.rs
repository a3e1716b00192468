//! A proxy that passes every connection on to one server, whatever the client asks for: for HTTP
//! (`CONNECT`) and SOCKS 5 (RFC 1928), told apart by the first byte.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Result, ensure};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// The first byte of SOCKS 5.
const SOCKS: u8 = 5;

/// A running proxy. It stops when dropped.
pub struct ConnectProxy {
    address: SocketAddr,
    seen: Arc<Seen>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    heads: Mutex<Vec<String>>,
}

impl ConnectProxy {
    /// Starts one on a free port of loopback.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen::default());
        let accepting = accept(listener, server, Arc::clone(&seen));
        Ok(Self { address, seen, server: tokio::spawn(accepting) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has passed on.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// The heads of the `CONNECT` requests.
    #[must_use]
    pub fn heads(&self) -> Vec<String> {
        self.seen.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, seen: Arc<Seen>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let seen = Arc::clone(&seen);
        connections.spawn(async move { drop(pass_on(client, server, &seen).await) });
    }
}

async fn pass_on(mut client: TcpStream, server: SocketAddr, seen: &Seen) -> Result<()> {
    let mut first = [0];
    client.peek(&mut first).await?;
    if first[0] == SOCKS {
        accept_socks(&mut client).await?;
    } else {
        let head = read_head(&mut client).await?;
        ensure!(head.starts_with("CONNECT "), "it is no CONNECT");
        seen.heads.lock().unwrap_or_else(PoisonError::into_inner).push(head);
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    }
    seen.connections.fetch_add(1, Ordering::Relaxed);
    let mut server = TcpStream::connect(server).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Reads the head of a request, and nothing beyond it.
pub(crate) async fn read_head(client: &mut (impl AsyncRead + Unpin)) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    Ok(String::from_utf8(head)?)
}

/// Takes any method and any address.
async fn accept_socks(client: &mut TcpStream) -> Result<()> {
    let [_, methods] = read::<2>(client).await?;
    let mut offered = vec![0; methods.into()];
    client.read_exact(&mut offered).await?;
    client.write_all(&[SOCKS, 0]).await?;
    let [_, _, _, kind] = read::<4>(client).await?;
    let length = match kind {
        1 => 4,
        4 => 16,
        _ => client.read_u8().await?.into(),
    };
    let mut address = vec![0; length + 2];
    client.read_exact(&mut address).await?;
    client.write_all(&[SOCKS, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    Ok(())
}

async fn read<const N: usize>(client: &mut TcpStream) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}
