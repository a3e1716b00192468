//! The keys of one control plane: its authority, the API server's certificate, the key that signs
//! service account tokens.

use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Where each file is, within the folder of the control plane.
pub(super) const AUTHORITY: &str = "authority.crt";
pub(super) const SERVING_CERTIFICATE: &str = "api-server.crt";
pub(super) const SERVING_KEY: &str = "api-server.key";
pub(super) const SERVICE_ACCOUNT_KEY: &str = "service-account.key";
pub(super) const SERVICE_ACCOUNT_PUBLIC_KEY: &str = "service-account.pub";

/// All in PEM.
pub(super) struct Certificates {
    authority: String,
    serving: String,
    serving_key: KeyPair,
    service_account_key: KeyPair,
}

impl Certificates {
    /// New elliptic-curve keys each time.
    pub(super) fn generate() -> Result<Self> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority.distinguished_name.push(DnType::CommonName, "control-plane-of-a-test");
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?;

        let serving_key = KeyPair::generate()?;
        let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"];
        let serving = CertificateParams::new(names.map(String::from))?
            .signed_by(&serving_key, &Issuer::new(authority, authority_key))?;
        Ok(Self {
            authority: authority_certificate.pem(),
            serving: serving.pem(),
            serving_key,
            service_account_key: KeyPair::generate()?,
        })
    }

    /// Writes the files into the control plane's folder, which only its owner can read.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let files = [
            (AUTHORITY, self.authority.clone()),
            (SERVING_CERTIFICATE, self.serving.clone()),
            (SERVING_KEY, self.serving_key.serialize_pem()),
            (SERVICE_ACCOUNT_KEY, self.service_account_key.serialize_pem()),
            (SERVICE_ACCOUNT_PUBLIC_KEY, self.service_account_key.public_key_pem()),
        ];
        for (name, text) in files {
            std::fs::write(folder.join(name), text).with_context(|| format!("writing {name}"))?;
        }
        Ok(())
    }
}
