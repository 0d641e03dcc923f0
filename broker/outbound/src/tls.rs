//! The one TLS configuration of outgoing connections.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Certificates of authorities that are trusted beside those that browsers trust, as in
/// organisations that sign their own.
#[derive(Clone, Default)]
pub struct Authorities(Vec<CertificateDer<'static>>);

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} certificates", self.0.len())
    }
}

/// Why a text holds no certificates of authorities.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthorities {
    /// No certificate stands in it.
    #[error("one or more certificates in PEM are needed")]
    None,
    /// The certificate at this place, counted from 1, cannot be used.
    #[error("the certificate number {0} cannot be read")]
    Unreadable(usize),
}

impl Authorities {
    /// The certificates in a PEM file.
    ///
    /// # Errors
    ///
    /// [`InvalidAuthorities`] if there is none, or one that is no certificate.
    pub fn from_pem(text: &[u8]) -> Result<Self, InvalidAuthorities> {
        let mut certificates = Vec::new();
        for (place, certificate) in (1..).zip(CertificateDer::pem_slice_iter(text)) {
            let unreadable = InvalidAuthorities::Unreadable(place);
            let certificate = certificate.map_err(|_| unreadable.clone())?;
            RootCertStore::empty().add(certificate.clone()).map_err(|_| unreadable)?;
            certificates.push(certificate);
        }
        if certificates.is_empty() {
            return Err(InvalidAuthorities::None);
        }
        Ok(Self(certificates))
    }
}

/// A configuration that needs nothing of the machine or of the process: the roots are part of the
/// program, and so is the provider.
#[expect(clippy::expect_used, reason = "it fails only on constants of this crate, which tests use")]
pub(crate) fn client_config(authorities: Authorities) -> ClientConfig {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    // Each of them has been checked to be acceptable.
    roots.add_parsable_certificates(authorities.0);
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
