//! A client that follows a stream, and counts the changes that it is told of.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::receivers::times;
use crate::{Failure, streams};

/// What has come.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The times that the changes had.
    pub(super) times: Vec<u64>,
    /// Events that were no change: a gap, or an end.
    pub(super) other: u32,
    /// Whether the connection has ended.
    pub(super) is_over: bool,
}

/// A client of a stream; it goes when the value goes.
#[derive(Debug)]
pub(super) struct Follower {
    told: Arc<Mutex<Told>>,
    _task: JoinSet<()>,
}

impl Follower {
    /// Follows a subscription from now on.
    ///
    /// # Errors
    ///
    /// If it is refused.
    pub(super) async fn start(server: SocketAddr, subscription: &str) -> Result<Self, Failure> {
        let stream = streams::follow(server, subscription).await?;
        let told = Arc::<Mutex<Told>>::default();
        let mut task = JoinSet::new();
        task.spawn(listen(stream, Arc::clone(&told)));
        Ok(Self { told, _task: task })
    }

    /// Looks at what has come.
    pub(super) fn look<T>(&self, at: impl FnOnce(&Told) -> T) -> T {
        at(&self.told.lock())
    }
}

async fn listen(mut stream: TcpStream, told: Arc<Mutex<Told>>) {
    let mut bytes: Vec<u8> = Vec::with_capacity(64 * 1024);
    while let Ok(read) = stream.read_buf(&mut bytes).await {
        if read == 0 {
            break;
        }
        let mut rest = bytes.as_slice();
        let mut told = told.lock();
        while let Some(end) = rest.windows(2).position(|two| two == b"\n\n") {
            let (event, behind) = rest.split_at(end + 2);
            rest = behind;
            let before = told.times.len();
            told.times.extend(times(event));
            if told.times.len() == before && event.windows(6).any(|six| six == b"event:") {
                told.other += 1;
            }
        }
        let done = bytes.len() - rest.len();
        bytes.drain(..done);
    }
    told.lock().is_over = true;
}
