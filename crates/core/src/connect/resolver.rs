//! Looks up the names of hosts.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
    vec,
};

use hyper_util::client::legacy::connect::dns::Name;
use tokio::{net::lookup_host, time::timeout};
use tower::Service;

/// How long a lookup may take: less than a connection may, so that a silent DNS server is not taken for a
/// silent host.
const LIMIT: Duration = Duration::from_secs(4);

/// Asks the resolver of the system.
#[derive(Debug, Clone)]
pub(super) struct Resolver;

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            let lookup = async { Ok(lookup_host((name.as_str(), 0)).await?.collect()) };
            limited(name.as_str(), lookup).await.map(Vec::into_iter)
        })
    }
}

/// No error has the kind of a timeout, as a name that is not found is a fault of the network.
async fn limited(
    name: &str,
    lookup: impl Future<Output = io::Result<Vec<SocketAddr>>>,
) -> io::Result<Vec<SocketAddr>> {
    let silent = || Err(io::Error::other(format!("no answer within {LIMIT:?}")));
    let answer = timeout(LIMIT, lookup).await.unwrap_or_else(|_| silent());
    answer.map_err(|error| io::Error::other(format!("{name}: {error}")))
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_dns_server_that_does_not_answer_is_an_error_that_names_the_host() {
        let error = limited("api.ecr.eu-west-1.amazonaws.com", pending()).await.unwrap_err();
        assert_eq!(error.to_string(), "api.ecr.eu-west-1.amazonaws.com: no answer within 4s");
    }
}
