//! Waiting for something to become so.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::process::PATIENCE;

/// Asks again and again until the answer is there.
///
/// # Panics
///
/// If it never is.
pub async fn until<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    let Ok(answer) = tokio::time::timeout(PATIENCE, asking).await else {
        panic!("{what} did not happen");
    };
    answer
}

/// A port that is free at this moment, for a program that cannot pick one itself.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn free_port() -> u16 {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    TcpListener::bind(address).and_then(|listener| listener.local_addr()).expect("a port").port()
}
