//! Copies of everything, while it is used.

use std::sync::Arc;

use musubi_store::{BackupError, BackupStream, Backups};

use crate::{Broker, Error, Right, Session};

impl Broker {
    /// Has backups of this broker made there. To be called once, before the first request; a later
    /// call changes nothing. Without it, backups are refused.
    pub fn backs_up_by(&self, backups: Arc<dyn Backups>) {
        let _ = self.shared().backups.set(backups);
    }
}

impl Session {
    /// Begins a backup of the whole broker, all tenants, whichever this session is of. It holds
    /// every write that has been acknowledged by now, and its stream ends with an error if it did not
    /// become whole.
    ///
    /// # Errors
    ///
    /// [`Error::Exhausted`] while another one is being made; [`Error::NotSupported`] if this broker
    /// makes none; [`Error::Store`].
    pub async fn back_up(&self) -> Result<BackupStream, Error> {
        self.caller.require(Right::BackUp)?;
        let Some(backups) = self.broker.shared().backups.get() else {
            return Err(Error::NotSupported("this broker makes no backups".to_owned()));
        };
        backups.begin().await.map_err(|error| match error {
            BackupError::Busy => Error::Exhausted(error.to_string()),
            BackupError::Store(error) => error.into(),
        })
    }
}
