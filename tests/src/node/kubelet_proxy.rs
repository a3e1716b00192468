//! The proxy through which the API server reaches the kubelets, which are in networks of their own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::connect_proxy::read_head;
use crate::loopback::accept;

/// The socket of each kubelet, by its host and port.
pub(super) type Kubelets = HashMap<String, PathBuf>;

/// A running proxy. It stops when dropped.
pub(super) struct KubeletProxy(JoinHandle<()>);

impl KubeletProxy {
    /// Starts one that listens on the Unix socket `socket`. Whatever is no kubelet's, such as the
    /// address of a webhook, is reached on the machine itself.
    pub(super) fn start(socket: &Path, kubelets: Kubelets) -> Result<Self> {
        let listener = UnixListener::bind(socket).context("listening for the API server")?;
        let kubelets = Arc::new(kubelets);
        let converse = move |client| {
            let kubelets = Arc::clone(&kubelets);
            // Either side may go away at any time: the other then sees that too.
            async move { drop(pass_on(client, &kubelets).await) }
        };
        Ok(Self(tokio::spawn(accept(listener, converse))))
    }
}

impl Drop for KubeletProxy {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn pass_on(mut client: UnixStream, kubelets: &Kubelets) -> Result<()> {
    let head = read_head(&mut client).await?;
    let target = head.split_whitespace().nth(1).context("it is no CONNECT")?;
    match kubelets.get(target) {
        Some(socket) => converse(client, UnixStream::connect(socket).await?).await,
        None => converse(client, TcpStream::connect(target).await?).await,
    }
}

async fn converse(
    mut client: UnixStream,
    mut server: impl AsyncRead + AsyncWrite + Unpin,
) -> Result<()> {
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
