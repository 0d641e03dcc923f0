//! Names to addresses.

use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

/// Turns names into addresses. It is asked for every new connection, and the guard looks at what
/// it answers, so a name that changes its address between two attempts gains nothing.
pub trait Names: fmt::Debug + Send + Sync {
    /// The addresses of a name, the best first.
    ///
    /// # Errors
    ///
    /// Those of the machine's resolver, or of whatever stands in its place.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The names as the machine knows them.
///
/// The machine's resolver blocks a thread for as long as it likes, and nothing can stop it. The
/// threads are those on which a store reads, too; so only so many names are looked up at a time,
/// and a look-up counts until it has ended, whether anybody still waits for it or not.
#[derive(Clone)]
pub struct SystemNames {
    turns: Arc<Semaphore>,
    look_up: Arc<LookUp>,
}

type LookUp = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// The most names that are looked up at a time.
const MAX_LOOK_UPS: usize = 64;

impl SystemNames {
    fn with(look_up: Arc<LookUp>, most: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(most)), look_up }
    }
}

impl Default for SystemNames {
    fn default() -> Self {
        let look_up =
            |name: &str| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect());
        Self::with(Arc::new(look_up), MAX_LOOK_UPS)
    }
}

impl fmt::Debug for SystemNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemNames").finish_non_exhaustive()
    }
}

impl Names for SystemNames {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let turns = Arc::clone(&self.turns);
            let turn = turns.acquire_owned().await.map_err(io::Error::other)?;
            let (look_up, name) = (Arc::clone(&self.look_up), name.to_owned());
            let looking = tokio::task::spawn_blocking(move || {
                let found = look_up(&name);
                drop(turn);
                found
            });
            looking.await.map_err(io::Error::other)?
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use parking_lot::Mutex;

    use super::*;

    #[tokio::test]
    async fn a_look_up_that_nobody_waits_for_any_more_counts_until_it_has_ended() {
        let (end, ended) = mpsc::channel::<()>();
        let (ended, begun) = (Mutex::new(ended), Arc::new(Semaphore::new(0)));
        let counted = Arc::clone(&begun);
        let look_up = move |name: &str| {
            counted.add_permits(1);
            if name.starts_with("slow") {
                let _ = ended.lock().recv();
            }
            Ok(vec![IpAddr::from([127, 0, 0, 1])])
        };
        let names = SystemNames::with(Arc::new(look_up), 2);
        let moment = Duration::from_millis(50);
        for name in ["slow1", "slow2", "quick"] {
            let given_up = tokio::time::timeout(moment, names.resolve(name)).await;
            assert!(given_up.is_err(), "{name}");
        }
        assert_eq!(begun.available_permits(), 2, "the third did not take a thread");
        end.send(()).unwrap();
        assert_eq!(names.resolve("quick").await.unwrap(), [IpAddr::from([127, 0, 0, 1])]);
        drop(end);
    }

    #[tokio::test]
    async fn the_machine_knows_itself() {
        let found = SystemNames::default().resolve("localhost").await.unwrap();
        assert!(found.iter().any(IpAddr::is_loopback), "{found:?}");
    }
}
