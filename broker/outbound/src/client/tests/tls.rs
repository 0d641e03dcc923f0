//! Certificates: those that are trusted, and all others.

use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, crypto};
use tokio_rustls::TlsAcceptor;

use super::delivery::{Serving, heard, serve};
use super::*;
use crate::{Authorities, ClientOptions, InvalidAuthorities, Security};

/// A server that shows a certificate for this name, which it signed itself, and the certificate.
async fn secure(name: &str) -> (Serving, String) {
    let signed: CertifiedKey<KeyPair> =
        rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let serving = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            while heard(&mut stream).await {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n";
                stream.write_all(answer).await.unwrap();
                stream.write_all(&vec![b'x'; 200_000]).await.unwrap();
                stream.flush().await.unwrap();
            }
        }
    })
    .await;
    (serving, signed.cert.pem())
}

fn trusting(pem: &str) -> Client {
    let authorities = Authorities::from_pem(pem.as_bytes()).unwrap();
    let guard = Some(Guard::default());
    Client::new(ClientOptions { guard, authorities, ..ClientOptions::default() })
}

#[tokio::test]
async fn a_certificate_is_trusted_if_an_authority_of_the_operator_signed_it() {
    let (server, pem) = secure("localhost").await;
    let client = trusting(&pem);
    let url = format!("https://localhost:{}/", server.port);
    for _ in 0..3 {
        let mut request = request(&url);
        request.max_body = 1 << 20;
        assert_eq!(client.send(request).await.unwrap().body.len(), 200_000);
    }
    assert_eq!(server.connections(), 1);
    client.connect("localhost", server.port, Security::Tls).await.unwrap();
}

#[tokio::test]
async fn every_other_certificate_ends_the_attempt_before_the_request() {
    let (server, _) = secure("localhost").await;
    let (_, other) = secure("localhost").await;
    let (misnamed, its_own) = secure("elsewhere.example.org").await;
    let cases = [
        (guarded(Private::Loopback), &server),
        (trusting(&other), &server),
        (trusting(&its_own), &misnamed),
    ];
    for (client, server) in cases {
        let url = format!("https://localhost:{}/", server.port);
        let Err(Error::Unreachable { reason, .. }) = client.deliver(request(&url)).await else {
            panic!("it was trusted");
        };
        assert!(reason.contains("certificate"), "{reason}");
    }
}

#[test]
fn what_is_no_certificate_is_refused() {
    let check = |text: &str, wrong: InvalidAuthorities| {
        assert_eq!(Authorities::from_pem(text.as_bytes()).unwrap_err(), wrong);
    };
    check("", InvalidAuthorities::None);
    check("nothing of the kind", InvalidAuthorities::None);
    let damaged = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    check(damaged, InvalidAuthorities::Unreadable(1));
    let cut = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n";
    check(cut, InvalidAuthorities::Unreadable(1));
}
