//! Names to addresses, under guard. This runs inside the connector, for every new connection, so
//! a name that changes its address between a check and a connection gains nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::Guard;

/// Why a name that resolves is not connected to.
#[derive(Debug, thiserror::Error)]
#[error("the guard allows none of the name's addresses")]
pub(crate) struct AllForbidden;

/// Resolves as the machine does and keeps what the guard permits.
pub(crate) struct GuardedResolver(pub(crate) Arc<Guard>);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.0);
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let was_found = !found.is_empty();
            let permitted: Vec<SocketAddr> =
                found.into_iter().filter(|address| guard.permits(address.ip())).collect();
            if was_found && permitted.is_empty() {
                return Err(AllForbidden.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}
