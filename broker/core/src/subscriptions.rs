//! Subscriptions (CIM 009, clauses 5.8.1 to 5.8.5): kept as records, whose changes are in the log,
//! from which the notifier learns of them.

use musubi_context::{Context, ContextReference};
use musubi_model::{Cause, Node};
use musubi_notify::{DeliveryStatus, Ledger, Subscription, SubscriptionId};
use musubi_store::{Expect, Record, RecordKind, RecordQuery, RecordWrite};

use crate::commit::Plan;
use crate::contexts::gone;
use crate::{Error, Right, Session};

/// A subscription as it is kept, and what became of its notifications.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The subscription.
    pub subscription: Subscription,
    /// What became of its notifications.
    pub delivery: DeliveryStatus,
}

/// Some of the subscriptions of a tenant.
#[derive(Clone, Debug, Default)]
pub struct SubscriptionPage {
    /// In the order of their ids.
    pub items: Vec<Listed>,
    /// How many there are in all, if that was asked.
    pub total: Option<u64>,
    /// Whether there are more after these.
    pub more: bool,
}

/// How many records are read at once.
const SLICE: usize = 1000;

impl Session {
    /// Creates a subscription out of a body (CIM 009, clause 5.8.1).
    ///
    /// # Errors
    ///
    /// [`Error::BadRequestData`] or [`Error::NotSupported`] if the body is no subscription that this
    /// broker can serve; [`Error::Context`] if its `jsonldContext` cannot be had; [`Error::AlreadyExists`] if there
    /// is one of that id.
    pub async fn create_subscription(
        &self,
        body: &Node<'_>,
        context: &Context,
    ) -> Result<SubscriptionId, Error> {
        self.caller.require(Right::WriteSubscriptions)?;
        let named = self.named_context(body).await?;
        // A notification of plain JSON can only name its context, so it needs an address.
        let addressed = self.addressed(named.as_ref().unwrap_or(context)).await?;
        let (fresh, now) = (SubscriptionId::generate(), self.now());
        let subscription = Subscription::parse_with(body, context, &addressed.context, fresh, now)?;
        let id = subscription.id().clone();
        let (value, records) = (Some(&subscription), addressed.records.clone());
        if self.write_subscription(&id, Expect::Absent, value, records).await? {
            self.contexts_gone(&gone(&addressed.records));
            Ok(id)
        } else {
            Err(Error::AlreadyExists(format!("subscription {}", id.as_str())))
        }
    }

    /// The subscription of this id (CIM 009, clause 5.8.3).
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is none.
    pub async fn retrieve_subscription(&self, id: &SubscriptionId) -> Result<Listed, Error> {
        self.caller.require(Right::ReadSubscriptions)?;
        self.require_tenant().await?;
        let record = self.subscription_record(id).await?;
        self.listed(&record)
    }

    /// The subscriptions of the tenant (CIM 009, clause 5.8.4), after so many of them.
    ///
    /// # Errors
    ///
    /// [`Error::NonexistentTenant`], [`Error::Store`].
    pub async fn subscriptions(
        &self,
        offset: usize,
        limit: usize,
        count: bool,
    ) -> Result<SubscriptionPage, Error> {
        self.caller.require(Right::ReadSubscriptions)?;
        self.require_tenant().await?;
        let mut page = SubscriptionPage::default();
        let mut seen = 0_usize;
        let mut after = None;
        let end = offset.saturating_add(limit);
        loop {
            let query = RecordQuery {
                kind: RecordKind::Subscription,
                tenant: Some(self.tenant.clone()),
                prefix: String::new(),
                after,
                limit: SLICE,
            };
            let records = self.broker.store().records(&query).await?;
            for record in &records {
                if (offset..end).contains(&seen) {
                    page.items.push(self.listed(record)?);
                }
                seen = seen.saturating_add(1);
            }
            page.more = seen > end;
            let enough = !count && page.more;
            match records.last() {
                Some(last) if !enough && records.len() == SLICE => {
                    after = Some((last.key.tenant.clone(), last.key.key.clone()));
                }
                Some(_) | None => break,
            }
        }
        page.total = count.then(|| u64::try_from(seen).unwrap_or(u64::MAX));
        Ok(page)
    }

    /// Changes a subscription as a body says (CIM 009, clause 5.8.2).
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is none; [`Error::BadRequestData`] if the body cannot
    /// be a part of a subscription; [`Error::Contended`].
    pub async fn update_subscription(
        &self,
        id: &SubscriptionId,
        body: &Node<'_>,
        context: &Context,
    ) -> Result<(), Error> {
        self.caller.require(Right::WriteSubscriptions)?;
        self.require_tenant().await?;
        let named = self.named_context(body).await?;
        for _ in 0..self.broker.shared().options.attempts.max(1) {
            let record = self.subscription_record(id).await?;
            let changed = read(&record)?.patch_with(body, context, named.as_ref(), self.now())?;
            let expect = Expect::At(record.revision);
            if self.write_subscription(id, expect, Some(&changed), Vec::new()).await? {
                return Ok(());
            }
        }
        Err(Error::Contended(format!("subscription {}", id.as_str())))
    }

    /// Deletes a subscription (CIM 009, clause 5.8.5).
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is none; [`Error::Contended`].
    pub async fn delete_subscription(&self, id: &SubscriptionId) -> Result<(), Error> {
        self.caller.require(Right::WriteSubscriptions)?;
        self.require_tenant().await?;
        for _ in 0..self.broker.shared().options.attempts.max(1) {
            let expect = Expect::At(self.subscription_record(id).await?.revision);
            if self.write_subscription(id, expect, None, Vec::new()).await? {
                return Ok(());
            }
        }
        Err(Error::Contended(format!("subscription {}", id.as_str())))
    }

    /// What has become of all that this subscription had to be told.
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is no such subscription.
    pub async fn ledger(&self, id: &SubscriptionId) -> Result<Ledger, Error> {
        self.caller.require(Right::ReadSubscriptions)?;
        self.require_tenant().await?;
        self.subscription_record(id).await?;
        let notifications = &self.broker.shared().options.notifications;
        // A subscription that the notifier has not seen yet has had nothing to be told.
        Ok(notifications.ledger(&self.tenant, id).unwrap_or_default())
    }

    /// The context that the body wants its notifications in, if it names one.
    async fn named_context(&self, body: &Node<'_>) -> Result<Option<Context>, Error> {
        let Some(url) = Subscription::context_url(body)? else { return Ok(None) };
        Ok(Some(self.broker.contexts().resolve(&self.tenant, ContextReference::Link(url)).await?))
    }

    async fn subscription_record(&self, id: &SubscriptionId) -> Result<Record, Error> {
        let missing = || Error::ResourceNotFound(format!("subscription {}", id.as_str()));
        self.record(RecordKind::Subscription, id.as_str()).await?.ok_or_else(missing)
    }

    /// Whether the write happened, and those of the records beside it.
    async fn write_subscription(
        &self,
        id: &SubscriptionId,
        expect: Expect,
        subscription: Option<&Subscription>,
        mut records: Vec<RecordWrite>,
    ) -> Result<bool, Error> {
        records.push(RecordWrite {
            key: self.record_key(RecordKind::Subscription, id.as_str()),
            expect,
            value: subscription.map(Subscription::to_bytes),
        });
        let plan = Plan { cause: Cause::Request, writes: Vec::new(), records, answer: () };
        Ok(self.commit_one(plan, self.now()).await?.is_some())
    }

    fn listed(&self, record: &Record) -> Result<Listed, Error> {
        let subscription = read(record)?;
        let notifications = &self.broker.shared().options.notifications;
        let delivery = notifications.delivery(&self.tenant, subscription.id());
        Ok(Listed { subscription, delivery })
    }
}

pub(crate) fn read(record: &Record) -> Result<Subscription, Error> {
    Subscription::from_bytes(&record.value)
        .map_err(|error| Error::Internal(format!("subscription {}: {error}", record.key.key)))
}
