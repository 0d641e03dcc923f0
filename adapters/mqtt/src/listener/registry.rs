//! Which client is connected, so that a second connection of it ends the first.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// Who a connection is: the user, if there are any, and the client identifier. The user is part
/// of it so that nobody can end the connection of somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    pub(crate) user: Option<Box<str>>,
    pub(crate) id: Box<str>,
}

/// The clients that are connected.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    connected: Mutex<HashMap<Client, CancellationToken>>,
}

/// The place of a connection among the clients; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    clients: Arc<Clients>,
    client: Client,
    taken_over: CancellationToken,
}

impl Clients {
    /// Gives the place of this client to a new connection, and tells the one that had it.
    pub(crate) fn take(self: &Arc<Self>, client: Client) -> Seat {
        let taken_over = CancellationToken::new();
        {
            // Under the lock, so that whoever leaves sees either both or none of it.
            let mut connected = self.connected.lock();
            if let Some(before) = connected.insert(client.clone(), taken_over.clone()) {
                before.cancel();
            }
        }
        Seat { clients: self.clone(), client, taken_over }
    }
}

impl Seat {
    /// Waits until another connection has taken the place.
    pub(crate) async fn taken_over(&self) {
        self.taken_over.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // Whoever took the place over has left a mark on this token, and the entry is theirs.
        let mut connected = self.clients.connected.lock();
        if !self.taken_over.is_cancelled() {
            connected.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(user: Option<&str>, id: &str) -> Client {
        Client { user: user.map(Into::into), id: id.into() }
    }

    #[test]
    fn a_second_connection_takes_the_place_of_the_first() {
        let clients = Arc::new(Clients::default());
        let first = clients.take(client(None, "a"));
        let second = clients.take(client(None, "a"));
        assert!(first.taken_over.is_cancelled());
        drop(first);
        assert_eq!(clients.connected.lock().len(), 1);
        assert!(!second.taken_over.is_cancelled());
        drop(second);
        assert!(clients.connected.lock().is_empty());
    }

    #[test]
    fn nobody_takes_the_place_of_another_user() {
        let clients = Arc::new(Clients::default());
        let first = clients.take(client(Some("u"), "a"));
        let _second = clients.take(client(Some("v"), "a"));
        assert!(!first.taken_over.is_cancelled());
    }
}
