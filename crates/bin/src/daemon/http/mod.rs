//! Metrics, probes and a page for people over HTTP.
//!
//! The port has no authentication, so its clients may send anything, at any pace, and read nothing.
//! The kubelet restarts a Pod whose probes fail, so probes are answered all the same: a connection has
//! a limited life and small buffers, and where there are too many connections, the oldest is closed.

mod latest;
mod listener;
mod pages;
mod status;
#[cfg(test)]
mod tests;

use std::{cell::Cell, convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use ecr_refresher_sync::engine::handle::EngineHandle;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    pin,
    task::yield_now,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

pub(crate) use self::status::About;
use self::{
    latest::{Latest, Place},
    pages::Pages,
};
use crate::metrics::Metrics;

/// The kubelet and Prometheus have a handful at once, each for milliseconds.
const MOST_CONNECTIONS: usize = 64;
/// So many connections are accepted before those that are open have a turn: few of them, so that a new
/// one is not closed before it is heard, and not one by one, so that a probe is not last of hundreds.
const ACCEPTED_AT_ONCE: usize = 8;
/// The pause of a connection between an answer and its next request: pipelined requests cost no more
/// than others.
const REQUEST_PAUSE: Duration = Duration::from_millis(100);
/// How long a client may take to send the head of a request, the pause before it included.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// After this time a connection ends with the answer at hand, and after as much again without it.
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
    pub(crate) async fn serve(
        self,
        metrics: Metrics,
        engine: EngineHandle,
        about: About,
    ) -> Result<()> {
        let pages = Arc::new(Pages::new(metrics, engine, about));
        let connections = Latest::new(MOST_CONNECTIONS);
        for accepted in 1_usize.. {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let connection = CancellationToken::new();
                    let place = connections.add(&connection);
                    let pages = Arc::clone(&pages);
                    tokio::spawn(serve_connection(stream, pages, connection, place));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: that passes.
                    warn!("could not accept a connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
            if accepted % ACCEPTED_AT_ONCE == 0 {
                yield_now().await;
            }
        }
        Ok(())
    }
}

/// Serves a connection until it ends, or is cancelled because others need its place.
async fn serve_connection(
    stream: TcpStream,
    pages: Arc<Pages>,
    connection: CancellationToken,
    _place: Place,
) {
    let cancelled = connection.clone();
    let is_first = Cell::new(true);
    let service = service_fn(move |request| {
        let (pages, connection) = (Arc::clone(&pages), connection.clone());
        let is_first = is_first.replace(false);
        async move {
            if !is_first {
                sleep(REQUEST_PAUSE).await;
            }
            Ok::<_, Infallible>(pages.answer(&request, &connection).await)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .half_close(true)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    pin!(served);
    for _ in 0..2 {
        tokio::select! {
            biased;
            () = cancelled.cancelled() => {
                debug!("closed a connection: there are newer ones");
                return;
            }
            result = &mut served => {
                if let Err(error) = result {
                    debug!("a connection ended with an error: {error}");
                }
                return;
            }
            () = sleep(LIFE) => served.as_mut().graceful_shutdown(),
        }
    }
    debug!("closed a connection that did not end");
}
