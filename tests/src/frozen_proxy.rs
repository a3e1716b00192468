//! A TCP proxy whose connections can fall silent, as those through a firewall that has forgotten them.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::{
    io::{AsyncRead, copy, copy_bidirectional, sink},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// A proxy on loopback. It and its connections end with this value.
pub struct FrozenProxy {
    address: SocketAddr,
    freeze: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl FrozenProxy {
    /// Passes on what comes in to `upstream`.
    ///
    /// # Errors
    /// When no port is to be had.
    pub async fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let freeze = watch::Sender::new(());
        let task = tokio::spawn(serve(listener, upstream, freeze.clone()));
        Ok(Self { address, freeze, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on all connections that there are take what is sent and pass nothing on, without an
    /// end. New ones are as they should be.
    pub fn freeze(&self) {
        self.freeze.send_replace(());
    }
}

impl Drop for FrozenProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, upstream: SocketAddr, freeze: watch::Sender<()>) {
    // They end when this is dropped.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // One that has broken already is of no concern.
                let Ok((client, _)) = accepted else { continue };
                let frozen = freeze.subscribe();
                connections.spawn(async move { pass(client, upstream, frozen).await.ok() });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn pass(
    mut client: TcpStream,
    upstream: SocketAddr,
    mut frozen: watch::Receiver<()>,
) -> Result<()> {
    let mut server = TcpStream::connect(upstream).await?;
    tokio::select! {
        ended = copy_bidirectional(&mut client, &mut server) => {
            ended?;
            return Ok(());
        }
        Ok(()) = frozen.changed() => {}
    }
    let from_server = async {
        swallow(&mut server).await;
        // The client is not to see that the server has hung up.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = swallow(&mut client) => {}
        () = from_server => {}
    }
    Ok(())
}

async fn swallow(source: &mut (impl AsyncRead + Unpin)) {
    // However it ends, nobody is to know.
    let _ = copy(source, &mut sink()).await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::timeout,
    };

    use super::*;

    async fn echo(listener: TcpListener) {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                copy(&mut reader, &mut writer).await
            });
        }
    }

    async fn ping(stream: &mut TcpStream) {
        stream.write_all(b"ping").await.unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"ping");
    }

    #[tokio::test]
    async fn what_is_frozen_stays_open_and_says_nothing_and_what_is_new_is_passed_on() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap();
        tokio::spawn(echo(listener));
        let proxy = FrozenProxy::start(upstream).await.unwrap();
        let mut old = TcpStream::connect(proxy.address()).await.unwrap();
        ping(&mut old).await;
        proxy.freeze();
        let mut new = TcpStream::connect(proxy.address()).await.unwrap();
        ping(&mut new).await;
        old.write_all(b"ping").await.unwrap();
        let answer = timeout(Duration::from_millis(200), old.read_u8()).await;
        assert!(answer.is_err(), "it answered {answer:?}");
    }
}
