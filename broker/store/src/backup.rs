//! What the broker asks of whatever can be copied while it serves.

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use crate::StoreError;

/// The bytes of a backup, as they are made. They are whole only if the stream ends by itself,
/// without an error; a part of them is recognized as such by whoever reads it.
pub type BackupStream = BoxStream<'static, Result<Vec<u8>, StoreError>>;

/// Copies everything there is, of all tenants, as of one moment, while it serves.
///
/// - **Complete.** The copy holds every write that was acknowledged before it was asked for.
/// - **Of one moment.** It holds what one prefix of the log has led to, and nothing of what came
///   after.
/// - **Patient.** It is made as fast as the stream is read, and writes go on meanwhile. To drop the
///   stream gives it up.
pub trait Backups: Send + Sync + std::fmt::Debug {
    /// Begins one.
    fn begin(&self) -> BoxFuture<'_, Result<BackupStream, BackupError>>;
}

/// Why no backup was begun.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Another one is being made.
    #[error("a backup is being made already, and there is one at a time")]
    Busy,
    /// The store cannot be read now.
    #[error(transparent)]
    Store(#[from] StoreError),
}
