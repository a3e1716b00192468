//! The certificate authorities that AWS calls trust.

use std::{env, io, path::PathBuf};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tracing::warn;

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

/// TLS that trusts the authorities of `AWS_CA_BUNDLE`; without it those of the machine, or of
/// `SSL_CERT_FILE` and `SSL_CERT_DIR`.
pub(super) fn config(files: &Files) -> Result<ClientConfig, BundleError> {
    let roots = match env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from) {
        None => of_machine(),
        Some(path) => {
            let bytes = files.read(&path).map_err(BundleProblem::from);
            let roots = bytes.and_then(|bytes| of_bundle(&bytes));
            roots.map_err(|problem| BundleError { path, problem })?
        }
    };
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

fn of_machine() -> RootCertStore {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(loaded.certs);
    if roots.is_empty() {
        let cause = loaded.errors.first().map_or_else(String::new, |error| format!(": {error}"));
        warn!(
            "this machine has no certificate authorities for AWS: name a file of them by {VARIABLE}{cause}"
        );
    }
    roots
}

fn of_bundle(pem: &[u8]) -> Result<RootCertStore, BundleProblem> {
    let mut roots = RootCertStore::empty();
    for (certificate, number) in CertificateDer::pem_slice_iter(pem).zip(1..) {
        let added = certificate.ok().and_then(|certificate| roots.add(certificate).ok());
        added.ok_or(BundleProblem::Invalid(number))?;
    }
    if roots.is_empty() { Err(BundleProblem::Empty) } else { Ok(roots) }
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
            let error = of_bundle(pem.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words), "{pem:?}: {error}");
        }
    }
}
