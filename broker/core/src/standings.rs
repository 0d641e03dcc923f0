//! How the subscriptions of a tenant stand: what they are, and what became of all that they had to
//! be told.

use musubi_notify::{Standing, Subscription, SubscriptionId};
use musubi_store::{Record, RecordKind, RecordQuery};

use crate::subscriptions::read;
use crate::{Error, Right, Session};

/// A subscription, and how it stands.
#[derive(Clone, Debug)]
pub struct Account {
    /// The subscription as it is kept.
    pub subscription: Subscription,
    /// What the notifier says of it. All zero for one that it has not seen yet.
    pub standing: Standing,
}

/// How some of the subscriptions of a tenant stand.
#[derive(Clone, Debug, Default)]
pub struct AccountPage {
    /// In the order of their ids.
    pub items: Vec<Account>,
    /// After which id to go on, if there are more.
    pub next: Option<String>,
}

impl Session {
    /// How the subscriptions of the tenant stand, in the order of their ids, after the one of the id
    /// `after` (all, if it is empty), at most `limit`.
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`], [`Error::Store`].
    pub async fn accounts(&self, after: &str, limit: usize) -> Result<AccountPage, Error> {
        self.caller.require(Right::ReadSubscriptions)?;
        self.require_tenant().await?;
        let query = RecordQuery {
            kind: RecordKind::Subscription,
            tenant: Some(self.tenant.clone()),
            prefix: String::new(),
            after: (!after.is_empty()).then(|| (self.tenant.clone(), after.to_owned())),
            limit: limit.saturating_add(1),
        };
        let mut records = self.broker.store().records(&query).await?;
        let has_more = records.len() > limit;
        records.truncate(limit);
        let items: Result<Vec<_>, _> =
            records.iter().map(|record| self.account_of(record)).collect();
        let next = records.last().filter(|_| has_more).map(|record| record.key.key.clone());
        Ok(AccountPage { items: items?, next })
    }

    /// How one subscription stands.
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is no such subscription.
    pub async fn account(&self, id: &SubscriptionId) -> Result<Account, Error> {
        self.caller.require(Right::ReadSubscriptions)?;
        self.require_tenant().await?;
        let missing = || Error::ResourceNotFound(format!("subscription {}", id.as_str()));
        let record = self.record(RecordKind::Subscription, id.as_str()).await?;
        self.account_of(&record.ok_or_else(missing)?)
    }

    fn account_of(&self, record: &Record) -> Result<Account, Error> {
        let subscription = read(record)?;
        let notifications = &self.broker.shared().options.notifications;
        let standing = notifications.standing(&self.tenant, subscription.id());
        Ok(Account { subscription, standing: standing.unwrap_or_default() })
    }
}
