//! Gets a page over plain HTTP.

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Empty};
use hyper::{Request, body::Bytes, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Gets `path` from `address` (`HOST:PORT`): the status and the text.
///
/// # Errors
/// When nobody answers there.
pub async fn get(address: &str, path: &str) -> Result<(u16, String)> {
    let stream =
        TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path).header(HOST, address).body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8(body.to_vec())?))
    };
    tokio::select! {
        answer = answer => answer,
        // Only a connection that ends before its answer has ended comes here.
        ended = connection => {
            ended?;
            anyhow::bail!("{address} closed the connection before it answered")
        }
    }
}
