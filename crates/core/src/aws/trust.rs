//! The certificate authorities that AWS calls trust.

use std::{env, io, path::PathBuf};

use aws_smithy_http_client::tls::TrustStore;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::Files;

/// The variable of the AWS tools that names a file of authorities, which replaces all others.
const VARIABLE: &str = "AWS_CA_BUNDLE";

/// Why `AWS_CA_BUNDLE` cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{VARIABLE}={}: {problem}", path.display())]
pub struct BundleError {
    path: PathBuf,
    problem: BundleProblem,
}

#[derive(Debug, thiserror::Error)]
enum BundleProblem {
    #[error("cannot read it: {0}")]
    Unreadable(#[from] io::Error),
    #[error("it has no certificate: it must be a file of certificates in PEM")]
    Empty,
    #[error("the certificate number {0} in it is invalid")]
    Invalid(usize),
}

/// The authorities of `AWS_CA_BUNDLE`; without it those of the machine, or of `SSL_CERT_FILE` and
/// `SSL_CERT_DIR`.
pub(super) fn store(files: &Files) -> Result<TrustStore, BundleError> {
    match env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from) {
        None => Ok(TrustStore::default()),
        Some(path) => {
            let bytes = files.read(&path).map_err(BundleProblem::from);
            let checked = bytes.and_then(|bytes| check(&bytes).map(|()| bytes));
            checked
                .map(|bytes| TrustStore::empty().with_pem_certificate(bytes))
                .map_err(|problem| BundleError { path, problem })
        }
    }
}

/// The SDK panics at what is not a certificate.
fn check(pem: &[u8]) -> Result<(), BundleProblem> {
    let mut roots = RootCertStore::empty();
    for (certificate, number) in CertificateDer::pem_slice_iter(pem).zip(1..) {
        let added = certificate.ok().and_then(|certificate| roots.add(certificate).ok());
        added.ok_or(BundleProblem::Invalid(number))?;
    }
    if roots.is_empty() { Err(BundleProblem::Empty) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_valid_certificate_is_refused() {
        for (pem, words) in [
            ("", "has no certificate"),
            ("hello", "has no certificate"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "number 1"),
            ("-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n", "number 1"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", "number 1"),
        ] {
            let error = check(pem.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words), "{pem:?}: {error}");
        }
    }
}
