//! The sensors, and the subscription that each of them has.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;

use crate::Failure;
use crate::delivery::{CONNECTIONS, ENDPOINTS, SUBSCRIPTIONS};
use crate::generator::Connection;

/// The name of the subscription to an entity.
pub(crate) fn subscription_id(number: u64) -> String {
    format!("urn:ngsi-ld:Subscription:{number:05}")
}

/// The endpoint of a subscription.
pub(crate) fn endpoint(subscription: u64) -> usize {
    usize::try_from(subscription).unwrap_or_default() % ENDPOINTS
}

/// Creates the entities and the subscriptions, each to one of them.
///
/// # Errors
///
/// If one of them is not created.
pub(crate) async fn fill(server: SocketAddr, ports: &[u16]) -> Result<(), Failure> {
    let ports: Arc<[u16]> = ports.into();
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (next, ports) = (Arc::clone(&next), Arc::clone(&ports));
        workers.spawn(async move {
            let mut connection = Connection::open(server).await?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= SUBSCRIPTIONS {
                    return Ok::<(), Failure>(());
                }
                let port = ports.get(endpoint(number)).ok_or("too few receivers")?;
                let entity = format!(
                    "{{\"id\":\"{id}\",\"type\":\"Sensor\",\
                     \"sent\":{{\"type\":\"Property\",\"value\":0}}}}",
                    id = entity_id(number)
                );
                let subscription = format!(
                    "{{\"id\":\"{name}\",\"type\":\"Subscription\",\
                     \"entities\":[{{\"id\":\"{id}\",\"type\":\"Sensor\"}}],\
                     \"notification\":{{\"endpoint\":{{\
                     \"uri\":\"http://127.0.0.1:{port}/notify\"}}}}}}",
                    name = subscription_id(number),
                    id = entity_id(number)
                );
                for (path, body) in [("entities", entity), ("subscriptions", subscription)] {
                    let head = request(server, ("POST", path), &body);
                    let status = connection.ask(head.as_bytes()).await?.status;
                    if status != 201 {
                        return Err(format!("POST /{path} was answered {status}").into());
                    }
                }
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    Ok(())
}

/// The name of an entity.
pub(crate) fn entity_id(number: u64) -> String {
    format!("urn:ngsi-ld:Sensor:{number:05}")
}

/// A request with a body.
pub(crate) fn request(server: SocketAddr, (method, path): (&str, &str), body: &str) -> String {
    format!(
        "{method} /ngsi-ld/v1/{path} HTTP/1.1\r\nHost: {server}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
