//! Names whose addresses a test decides.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::*;
use crate::{ClientOptions, Names, Security};

/// Gives these addresses, one answer after the other.
#[derive(Debug)]
struct Script(Mutex<VecDeque<Vec<IpAddr>>>);

impl Names for Script {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let next = self.0.lock().unwrap().pop_front();
        std::future::ready(next.ok_or_else(|| io::Error::other("the name is gone"))).boxed()
    }
}

/// A client that may reach 127.0.0.1 and, apart from that, public addresses.
fn client(answers: &[&[&str]]) -> Client {
    let parsed = answers.iter().map(|it| it.iter().map(|text| text.parse().unwrap()).collect());
    let guard = Guard { private: Private::Deny, allow: vec!["127.0.0.1/32".parse().unwrap()] };
    let names = Arc::new(Script(Mutex::new(parsed.collect())));
    Client::new(ClientOptions { guard: Some(guard), names, ..ClientOptions::default() })
}

#[tokio::test]
async fn a_name_that_changes_to_a_private_address_is_refused_at_the_next_connection() {
    let mut server = server(Some(HELLO)).await;
    let client = client(&[&["127.0.0.1"], &["10.0.0.1"], &["127.0.0.1"], &["169.254.169.254"]]);
    let url = format!("http://receiver.example.org:{}/", server.port);
    for _ in 0..2 {
        assert_eq!(client.deliver(request(&url)).await.unwrap().status, 200);
        let seen = server.requests.recv().await.unwrap();
        assert!(seen.contains(&format!("host: receiver.example.org:{}\r\n", server.port)));
        let refused = client.deliver(request(&url)).await;
        assert!(matches!(refused, Err(Error::Forbidden(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn of_several_addresses_only_the_permitted_ones_are_tried_and_a_dead_one_is_passed_over() {
    let server = server(Some(HELLO)).await;
    // 127.0.0.2 is forbidden here, and where it is allowed nobody listens.
    let answers: [&[&str]; 1] = [&["127.0.0.2", "10.0.0.1", "127.0.0.1"]];
    let url = format!("http://receiver.example.org:{}/", server.port);
    assert_eq!(get(&client(&answers), &url).await.unwrap().status, 200);
    let answers = vec!["127.0.0.2".parse().unwrap(), "127.0.0.1".parse().unwrap()];
    let names = Arc::new(Script(Mutex::new([answers].into())));
    let open = Client::new(ClientOptions { names, ..ClientOptions::default() });
    assert_eq!(get(&open, &url).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_name_without_an_address_is_unreachable() {
    for answers in [&[][..], &[&[][..]]] {
        let failed = get(&client(answers), "http://receiver.example.org/").await;
        assert!(matches!(failed, Err(Error::Unreachable { .. })), "{failed:?}");
    }
}

#[tokio::test]
async fn a_connection_for_other_protocols_meets_the_same_guard() {
    let server = server(None).await;
    let client = client(&[&["10.0.0.1"], &["127.0.0.1"]]);
    for host in ["broker.example.org", "10.0.0.1", "::1", "[::1]", "169.254.169.254"] {
        let refused = client.connect(host, server.port, Security::Plain).await;
        assert!(matches!(refused, Err(Error::Forbidden(_))), "{host}: {refused:?}");
    }
    for host in ["broker.example.org", "127.0.0.1", "0x7f.1"] {
        client.connect(host, server.port, Security::Plain).await.unwrap();
    }
}
