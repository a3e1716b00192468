//! Plain HTTP, one request a connection.

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Gets `path` from `address` (`HOST:PORT`): the status and the text.
///
/// # Errors
/// When there is no answer.
pub async fn get(address: &str, path: &str) -> Result<(u16, String)> {
    send(address, Request::get(path).header(HOST, address).body(Full::default())?).await
}

/// Posts a document to `path` at `address` (`HOST:PORT`). Returns the one that is answered.
///
/// # Errors
/// When there is no answer, or one other than a document with status 200.
pub async fn post(address: &str, path: &str, document: &Value) -> Result<Value> {
    let body = Full::from(document.to_string());
    let (status, text) =
        send(address, Request::post(path).header(HOST, address).body(body)?).await?;
    ensure!(status == 200, "{address}{path} answered {status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

async fn send(address: &str, request: Request<Full<Bytes>>) -> Result<(u16, String)> {
    let stream =
        TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8(body.to_vec())?))
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => return answer,
        ended = connection => ended?,
    }
    // The server has closed the connection after its answer, or before.
    answer.await.with_context(|| format!("{address} closed the connection"))
}
