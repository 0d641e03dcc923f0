//! Connections that wait for the next request.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::connection::Connection;
use crate::connector::Security;

/// The most that wait per host.
const MAX_IDLE_PER_HOST: usize = 16;
/// The most that wait together. Beyond that a connection is closed after its request.
const MAX_IDLE: usize = 1024;
/// Below the shortest idle time that servers commonly allow, so that we close first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Idle connections by where they lead to.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: Mutex<Idle>,
    /// The task that closes what has waited too long; there is one while anything waits.
    sweeper: Mutex<JoinSet<()>>,
}

#[derive(Debug, Default)]
struct Idle {
    plain: HashMap<Box<str>, Vec<Waiting>>,
    tls: HashMap<Box<str>, Vec<Waiting>>,
    count: usize,
}

#[derive(Debug)]
struct Waiting {
    connection: Box<Connection>,
    since: Instant,
}

impl Pool {
    /// A connection to this host and port that is still open, the one that was used last.
    pub(crate) fn take(&self, security: Security, host: &str) -> Option<Box<Connection>> {
        loop {
            let mut waiting = {
                let mut idle = self.idle.lock();
                let waiting = idle.of(security).get_mut(host)?.pop()?;
                idle.count = idle.count.saturating_sub(1);
                waiting
            };
            if waiting.since.elapsed() < IDLE_TIMEOUT && waiting.connection.is_usable() {
                return Some(waiting.connection);
            }
        }
    }

    /// Keeps a connection for the next request, if it can serve one and there is room.
    pub(crate) fn put(
        self: &Arc<Self>,
        security: Security,
        host: &str,
        mut connection: Box<Connection>,
    ) {
        if !connection.is_usable() {
            return;
        }
        let mut idle = self.idle.lock();
        if idle.count >= MAX_IDLE {
            return;
        }
        let hosts = idle.of(security);
        if !hosts.contains_key(host) {
            hosts.insert(host.into(), Vec::new());
        }
        let Some(all) = hosts.get_mut(host) else { return };
        if all.len() >= MAX_IDLE_PER_HOST {
            return;
        }
        all.push(Waiting { connection, since: Instant::now() });
        idle.count += 1;
        let is_first = idle.count == 1;
        drop(idle);
        if is_first {
            self.start_sweeper();
        }
    }

    fn start_sweeper(self: &Arc<Self>) {
        let mut sweeper = self.sweeper.lock();
        // One that ended, or whose runtime did, makes room.
        while sweeper.try_join_next().is_some() {}
        if sweeper.is_empty() {
            sweeper.spawn(sweep(Arc::downgrade(self)));
        }
    }
}

impl Idle {
    fn of(&mut self, security: Security) -> &mut HashMap<Box<str>, Vec<Waiting>> {
        match security {
            Security::Plain => &mut self.plain,
            Security::Tls => &mut self.tls,
        }
    }

    /// Forgets what has waited too long.
    fn sweep(&mut self) {
        for hosts in [&mut self.plain, &mut self.tls] {
            hosts.retain(|_, all| {
                all.retain(|waiting| waiting.since.elapsed() < IDLE_TIMEOUT);
                !all.is_empty()
            });
        }
        let hosts = self.plain.values().chain(self.tls.values());
        self.count = hosts.map(Vec::len).sum();
    }
}

/// Closes what has waited too long, for as long as the pool is there.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(IDLE_TIMEOUT / 2).await;
        let Some(pool) = pool.upgrade() else { return };
        pool.idle.lock().sweep();
    }
}
