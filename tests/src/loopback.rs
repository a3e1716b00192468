//! What listens on the machine's loopback, seen on that of another network namespace.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::process::Guarded;
use crate::wait::eventually;

const OPEN_WITHIN: Duration = Duration::from_secs(30);

/// Passes connections on from one namespace into another, until it is dropped: by a Unix socket, of
/// which network namespaces know nothing.
pub(crate) struct Gate {
    _inside: Guarded,
    outside: JoinHandle<()>,
}

impl Gate {
    /// Has `address` reached from the network namespace of a process, at the same address.
    pub(crate) async fn open(address: SocketAddr, pid: u32, folder: &Path) -> Result<Self> {
        let name = format!("gate-{pid}-{}", address.port());
        let socket = folder.join(&name);
        let converse = move |client| converse(client, address);
        let outside = tokio::spawn(accept(UnixListener::bind(&socket)?, converse));
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{pid}/ns/net"))
            .arg("socat")
            .arg(format!(
                "TCP-LISTEN:{},bind={},reuseaddr,fork,backlog=128",
                address.port(),
                address.ip()
            ))
            .arg(format!("UNIX-CONNECT:{}", socket.display()));
        let inside = Guarded::spawn("socat", &command, &folder.join(format!("{name}.log")))?;
        let gate = Self { _inside: inside, outside };
        gate.is_open(address, pid).await?;
        Ok(gate)
    }

    /// Waits until a program listens inside.
    async fn is_open(&self, address: SocketAddr, pid: u32) -> Result<()> {
        let listening = format!(":{:04X} 00000000:0000 0A ", address.port());
        eventually(&format!("{address} to be reached"), OPEN_WITHIN, async || {
            let sockets = std::fs::read_to_string(format!("/proc/{pid}/net/tcp"))?;
            ensure!(sockets.contains(&listening), "no program listens");
            Ok(())
        })
        .await
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.outside.abort();
    }
}

/// Converses with each client of a Unix socket. The conversations end with this future.
pub(crate) async fn accept<F>(listener: UnixListener, converse: impl Fn(UnixStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(converse(stream));
            },
            // Finished connections are let go as they finish.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(mut inside: UnixStream, address: SocketAddr) {
    if let Ok(mut outside) = TcpStream::connect(address).await {
        // Either may go away at any time: the other then sees that too.
        let _ = copy_bidirectional(&mut inside, &mut outside).await;
    }
}
