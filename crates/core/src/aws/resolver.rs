//! Looks up the names of hosts.

use std::{io, net::IpAddr, time::Duration};

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use tokio::{net::lookup_host, time::timeout};

/// How long a lookup may take: less than a connection may, so that a silent DNS server is not taken for a
/// silent host.
const LIMIT: Duration = Duration::from_secs(4);

/// Asks the resolver of the system.
#[derive(Debug, Clone)]
pub(super) struct Resolver;

impl ResolveDns for Resolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(limited(name, async move {
            let addresses = lookup_host((name, 0)).await?;
            Ok(addresses.map(|address| address.ip()).collect())
        }))
    }
}

async fn limited(
    name: &str,
    lookup: impl Future<Output = io::Result<Vec<IpAddr>>>,
) -> Result<Vec<IpAddr>, ResolveDnsError> {
    let silent = || Err(io::Error::other(format!("no answer within {LIMIT:?}")));
    let answer = timeout(LIMIT, lookup).await.unwrap_or_else(|_| silent());
    answer.map_err(|error| ResolveDnsError::new(format!("{name}: {error}")))
}

#[cfg(test)]
mod tests {
    use std::{error::Error, future::pending};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_dns_server_that_does_not_answer_is_an_error_that_names_the_host() {
        let error = limited("api.ecr.eu-west-1.amazonaws.com", pending()).await.unwrap_err();
        let cause = error.source().unwrap().to_string();
        assert_eq!(cause, "api.ecr.eu-west-1.amazonaws.com: no answer within 4s");
    }
}
