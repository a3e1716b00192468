//! The certificate authorities that the image trusts: those of Mozilla, in the version of the lock file.

use base64::{Engine, engine::general_purpose::STANDARD};

/// The length of a line of PEM (RFC 7468, section 2).
const LINE: usize = 64;

/// Their certificates, in PEM.
#[must_use]
pub fn pem() -> String {
    let mut text = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        let encoded = STANDARD.encode(certificate);
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in encoded.as_bytes().chunks(LINE) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use rustls::{
        RootCertStore,
        pki_types::{CertificateDer, pem::PemObject},
    };

    use super::*;

    #[test]
    fn each_certificate_is_read_back() {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem().as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        assert_eq!(roots.len(), webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
        assert!(roots.len() > 100);
    }
}
