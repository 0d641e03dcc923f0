//! Dead notifications, sent once more because a person says so.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use musubi_model::{Clock, Tenant};
use musubi_outbound::Client;
use musubi_store::{RecordKind, RecordQuery, Store};
use serde::Deserialize as _;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::engine::applied::{Applied, CompiledContexts};
use crate::transport::transports::Transports;
use crate::{DeadNotification, NotifierOptions};

/// Sends dead notifications once more, to where their subscription points now.
///
/// A replay is not a delivery: the ledger counts what was given up as dead, whatever a person
/// does with the letter.
#[derive(Debug)]
pub struct Replayer {
    store: Arc<dyn Store>,
    transports: Transports,
    /// The longest time that an endpoint is given.
    timeout: Duration,
}

impl Replayer {
    /// A replayer that gives an endpoint as long as the notifier does.
    pub fn new(
        options: &NotifierOptions,
        store: Arc<dyn Store>,
        client: Client,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, transports: Transports::new(client, clock), timeout: options.timeout }
    }

    /// Sends the notification of a dead letter: what is known of it beside its body, and the body.
    /// Answers once the endpoint has accepted it.
    ///
    /// # Errors
    ///
    /// A sentence: the letter holds no notification, its subscription is gone, or the endpoint did
    /// not accept it.
    pub async fn replay(
        &self,
        tenant: &Tenant,
        letter: &Value,
        payload: Option<&RawValue>,
    ) -> Result<(), String> {
        let letter = DeadNotification::deserialize(letter)
            .map_err(|error| format!("the letter is no notification: {error}"))?;
        let Some(payload) = payload.filter(|payload| payload.get() != "null") else {
            return Err(format!("{}, so there is nothing to send", letter.reason));
        };
        let applied = self.subscription(tenant, &letter).await?;
        let body = Bytes::copy_from_slice(payload.get().as_bytes());
        let sent = self.transports.send(&applied, &letter.id, body, self.timeout).await;
        sent.map_err(|failure| failure.reason)
    }

    async fn subscription(
        &self,
        tenant: &Tenant,
        letter: &DeadNotification,
    ) -> Result<Applied, String> {
        let id = letter.subscription.to_string();
        let query = RecordQuery {
            kind: RecordKind::Subscription,
            tenant: Some(tenant.clone()),
            prefix: id.clone(),
            after: None,
            limit: 1,
        };
        let found = self.store.records(&query).await.map_err(|error| error.to_string())?;
        // With this prefix the id itself comes first.
        let record = found.into_iter().find(|record| record.key.key == id);
        let record = record.ok_or_else(|| format!("the subscription {id} is gone"))?;
        Applied::new(tenant.clone(), record.value, &mut CompiledContexts::default())
            .map_err(|error| error.to_string())
    }
}
