//! New connections, under guard: the only place of this crate that opens one.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Host;

use crate::{Guard, Names, Stream};

/// How long a new connection may take, TLS included.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// After so long the next address of a name is tried beside the one that has not answered yet
/// (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// The most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 8;

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Security {
    /// It is not.
    Plain,
    /// By TLS; the other side shows a certificate for the name that is connected to.
    Tls,
}

/// Opens connections.
pub(crate) struct Connector {
    pub(crate) guard: Option<Guard>,
    pub(crate) names: Arc<dyn Names>,
    pub(crate) tls: TlsConnector,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("guard", &self.guard).finish_non_exhaustive()
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoConnection {
    #[error("the guard does not allow the address")]
    Forbidden,
    #[error("it took too long")]
    TimedOut,
    #[error(transparent)]
    Broken(#[from] io::Error),
}

impl Connector {
    /// A connection to this host. The name is resolved and every address of it checked here, each
    /// time.
    pub(crate) async fn connect(
        &self,
        host: &str,
        port: u16,
        security: Security,
    ) -> Result<Stream, NoConnection> {
        let opened = tokio::time::timeout(CONNECT_TIMEOUT, self.open(host, port, security)).await;
        opened.unwrap_or(Err(NoConnection::TimedOut))
    }

    async fn open(
        &self,
        host: &str,
        port: u16,
        security: Security,
    ) -> Result<Stream, NoConnection> {
        // An address of version 6 may come with brackets or without.
        let host = match host.parse() {
            Ok(address) => Host::Ipv6(address),
            Err(_) => Host::parse(host).map_err(io::Error::other)?,
        };
        let addresses = self.permitted(&host).await?;
        let stream = dial(addresses.into_iter().map(|address| (address, port).into())).await?;
        stream.set_nodelay(true)?;
        match security {
            Security::Plain => Ok(stream.into()),
            Security::Tls => {
                let name = match host {
                    Host::Domain(name) => ServerName::try_from(name).map_err(io::Error::other)?,
                    Host::Ipv4(address) => ServerName::from(IpAddr::V4(address)),
                    Host::Ipv6(address) => ServerName::from(IpAddr::V6(address)),
                };
                Ok(self.tls.connect(name, stream).await?.into())
            }
        }
    }

    /// The addresses of a host that may be reached.
    async fn permitted(&self, host: &Host<String>) -> Result<Vec<IpAddr>, NoConnection> {
        let mut addresses = match host {
            Host::Domain(name) => self.names.resolve(name).await?,
            Host::Ipv4(address) => vec![IpAddr::V4(*address)],
            Host::Ipv6(address) => vec![IpAddr::V6(*address)],
        };
        let was_found = !addresses.is_empty();
        if let Some(guard) = &self.guard {
            addresses.retain(|address| guard.permits(*address));
        }
        if was_found && addresses.is_empty() {
            return Err(NoConnection::Forbidden);
        }
        addresses.truncate(MAX_ADDRESSES);
        Ok(addresses)
    }
}

/// The first connection that comes about, while each address has a head start before the next.
async fn dial(mut waiting: impl ExactSizeIterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut attempts = FuturesUnordered::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        if let Some(address) = waiting.next() {
            attempts.push(TcpStream::connect(address));
        }
        let ended = if waiting.len() == 0 {
            attempts.next().await
        } else {
            match tokio::time::timeout(HEAD_START, attempts.next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            }
        };
        match ended {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => failure = error,
            None if waiting.len() == 0 => return Err(failure),
            None => {}
        }
    }
}
