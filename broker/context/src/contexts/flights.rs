//! One at a time of what many want at once.

use std::collections::HashMap;
use std::sync::Arc;

use musubi_model::Tenant;
use parking_lot::Mutex;

type Key = (Tenant, Box<str>);

/// What is being had, so that those who need the same wait for whoever came first.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>);

impl Flights {
    /// A place among those who want this.
    pub(super) fn join(&self, tenant: &Tenant, text: &str) -> Flight<'_> {
        let key: Key = (tenant.clone(), text.into());
        let lock = Arc::clone(self.0.lock().entry(key.clone()).or_default());
        Flight { flights: self, key, lock }
    }

    /// How many things are being waited for.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

/// A place among those who wait. Given up on every way out, so that nothing is left behind by a
/// request that is dropped.
pub(super) struct Flight<'f> {
    flights: &'f Flights,
    key: Key,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl Flight<'_> {
    /// Waits for its turn.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.lock.lock().await
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flights = self.flights.0.lock();
        // Ours goes under the lock, so that of two who leave at once the second is the last.
        drop(std::mem::take(&mut self.lock));
        if flights.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn nothing_is_left_behind_by_those_who_leave_at_once() {
        let (flights, tenant) = (Flights::default(), Tenant::default());
        let arrived = AtomicUsize::new(0);
        // Each meets the other twice: with a place, and before the next one.
        let meet = |times: usize| {
            arrived.fetch_add(1, Ordering::AcqRel);
            while arrived.load(Ordering::Acquire) < 2 * times {
                std::thread::yield_now();
            }
        };
        let visit = || {
            for round in 0..5_000 {
                let flight = flights.join(&tenant, &round.to_string());
                meet(2 * round + 1);
                drop(flight);
                meet(2 * round + 2);
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(visit);
            visit();
        });
        assert_eq!(flights.len(), 0);
    }
}
