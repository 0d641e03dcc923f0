//! A thread that does one thing behind whoever writes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

/// A thread, and the orders that it was given.
#[derive(Debug)]
pub(super) struct Worker<T> {
    orders: Arc<Orders<T>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Orders<T> {
    given: Mutex<Given<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Given<T> {
    orders: VecDeque<T>,
    is_ending: bool,
}

impl<T: Send + 'static> Worker<T> {
    /// Starts the thread, which does this with each order.
    pub(super) fn start(
        name: &str,
        mut work: impl FnMut(T) + Send + 'static,
    ) -> std::io::Result<Self> {
        let given = Mutex::new(Given { orders: VecDeque::new(), is_ending: false });
        let orders = Arc::new(Orders { given, changed: Condvar::new() });
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn({
            let orders = orders.clone();
            move || {
                while let Some(order) = orders.take() {
                    work(order);
                }
            }
        })?;
        Ok(Self { orders, thread: Some(thread) })
    }

    /// Gives an order.
    pub(super) fn order(&self, order: T) {
        self.orders.given.lock().orders.push_back(order);
        self.orders.changed.notify_one();
    }
}

impl<T> Orders<T> {
    /// The next order; none at the end.
    fn take(&self) -> Option<T> {
        let mut given = self.given.lock();
        loop {
            if given.is_ending {
                return None;
            }
            if let Some(order) = given.orders.pop_front() {
                return Some(order);
            }
            self.changed.wait(&mut given);
        }
    }
}

/// Waits for what was begun, unless that is what lets go of the worker; what was not is left.
impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        self.orders.given.lock().is_ending = true;
        self.orders.changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("a thread behind the store panicked");
        }
    }
}
