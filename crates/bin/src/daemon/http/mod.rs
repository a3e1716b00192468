//! Metrics and probes over HTTP.
//!
//! The port has no authentication, so its clients may send anything, at any pace, and read nothing.
//! The kubelet restarts a Pod whose probes fail, so probes are answered all the same: a connection has
//! one request and a limited life, and where there are too many connections, the oldest is closed.

mod latest;
mod listener;
mod pages;
#[cfg(test)]
mod tests;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use ecr_refresher_sync::engine::handle::EngineHandle;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::yield_now,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use self::{latest::Latest, pages::Pages};
use crate::metrics::Metrics;

/// The kubelet and Prometheus have a handful at once, each for milliseconds.
const MOST_CONNECTIONS: usize = 64;
/// The time from the accept of a connection to the end of its answer.
const LIFE: Duration = Duration::from_secs(30);
/// The pause after a connection could not be accepted: short, as the next one may be a probe's.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The size in bytes of the largest head of a request, and of what is buffered of an answer.
const BUFFER: usize = 16 * 1024;

/// A server that is bound to its address.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
}

impl Server {
    /// Binds the address, so that one in use is an error at start. `[::]` includes IPv4.
    ///
    /// Must be called within a tokio runtime.
    pub(crate) fn bind(address: SocketAddr) -> Result<Self> {
        let listener = listener::bind(address).with_context(|| {
            format!("could not listen at {address}: change `listen` in the config")
        })?;
        info!(address = %listener.local_addr()?, "serving metrics and probes");
        Ok(Self { listener })
    }

    /// Serves for ever, as a task.
    pub(crate) async fn serve(self, metrics: Metrics, engine: EngineHandle) -> Result<()> {
        let pages = Arc::new(Pages::new(metrics, engine));
        let connections = Latest::new(MOST_CONNECTIONS);
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let connection = CancellationToken::new();
                    connections.add(&connection);
                    tokio::spawn(serve_connection(stream, Arc::clone(&pages), connection));
                    // Each connection has a turn before the next one, which may close it.
                    yield_now().await;
                }
                Err(error) => {
                    // Out of file descriptors, most likely: that passes.
                    warn!("could not accept a connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Answers one request. `connection` is cancelled at the end; cancelled by others, it is the end.
async fn serve_connection(stream: TcpStream, pages: Arc<Pages>, connection: CancellationToken) {
    let _ended = connection.clone().drop_guard();
    let service = service_fn(|request| {
        let (pages, connection) = (Arc::clone(&pages), connection.clone());
        async move { Ok::<_, Infallible>(pages.answer(&request, &connection).await) }
    });
    let answered = http1::Builder::new()
        .keep_alive(false)
        .half_close(true)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        result = answered => if let Err(error) = result {
            debug!("a connection ended with an error: {error}");
        },
        () = connection.cancelled() => debug!("closed a connection: there are newer ones"),
        () = sleep(LIFE) => debug!("closed a connection after {} s", LIFE.as_secs()),
    }
}
