//! TLS in front of a server that has none, under a name and with a certificate of its own authority.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// The name that the certificate is for; everybody finds it on loopback.
pub const NAME: &str = "localhost";

/// A running front. It stops when dropped.
pub struct TlsFront {
    address: SocketAddr,
    authority: String,
    server: JoinHandle<()>,
}

impl TlsFront {
    /// Starts one in front of `behind`, on a free port of loopback.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(behind: SocketAddr) -> Result<Self> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([NAME.to_owned()])?
            .signed_by(&key, &Issuer::new(authority, authority_key))?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), behind));
        Ok(Self { address, authority: authority_certificate.pem(), server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of what is behind it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("https://{NAME}:{}", self.address.port())
    }

    /// The certificate of its authority, in PEM.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, behind: SocketAddr) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    // A client that does not like the certificate goes away: its log says why.
                    let (mut client, mut server) =
                        tokio::try_join!(acceptor.accept(stream), TcpStream::connect(behind))?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            },
            // Finished connections are let go as they finish.
            Some(_) = connections.join_next() => {}
        }
    }
}
