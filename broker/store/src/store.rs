//! The trait.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use musubi_model::{
    AttrName, AttributeType, Entity, Position, Revision, Sequence, Tenant, TypeName,
};
use musubi_query::EntityQuery;

use crate::{Change, Group, Outcome, Record, RecordQuery, StoreError};

/// An entity as it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it stands in its tenant's order.
    pub position: Position,
    /// Its version.
    pub revision: Revision,
    /// Its state.
    pub entity: Arc<Entity>,
}

/// A part of the answer to an [`EntityQuery`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The entities, in the order of the query.
    pub items: Vec<Found>,
    /// How many entities match in all, if the query asked.
    pub total: Option<u64>,
    /// Whether more entities match after the last of these.
    pub more: bool,
}

/// A page that was shown and not given away: what is to be said beside its entities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// As in [`Page`].
    pub total: Option<u64>,
    /// As in [`Page`].
    pub more: bool,
    /// Where the last entity of the page stands.
    pub last: Option<Position>,
}

/// What looks at the entities of a page.
pub type Look<'l> = dyn FnMut(&[&Found]) + Send + 'l;

impl Page {
    /// Shows it.
    pub fn show(&self, look: &mut Look<'_>) -> Shown {
        let items: Vec<&Found> = self.items.iter().collect();
        look(&items);
        let last = items.last().map(|found| found.position);
        Shown { total: self.total, more: self.more, last }
    }
}

/// What a tenant holds of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeSummary {
    /// The type.
    pub name: TypeName,
    /// How many entities have it, among others perhaps.
    pub entities: u64,
    /// The attributes that at least one of them has, sorted.
    pub attributes: Vec<AttrName>,
}

/// What a tenant holds of one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeSummary {
    /// The attribute.
    pub name: AttrName,
    /// How many entities have it.
    pub entities: u64,
    /// The kinds that its instances have, each once, sorted.
    pub kinds: Vec<AttributeType>,
    /// The types that at least one of the entities with it has, sorted.
    pub types: Vec<TypeName>,
}

/// A place that keeps entities, records and the log of their changes.
///
/// Every implementation passes the suite in [`crate::conformance`], which compares it with a
/// plain in-memory map on generated entities, writes and queries: an implementation may use any
/// index it likes, but it may not have an opinion.
///
/// - **Durable, then visible, then answered.** When `commit` has answered, every later call sees
///   the writes, and a store that is opened again after the process was killed has them.
/// - **Whole.** A group is there entirely or not at all, state, records and log together.
/// - **In order.** Groups of one call are carried out in their order; so is what is awaited
///   before the next call. The log has one total order, and no change in it is ever missing,
///   doubled or moved.
/// - **A page is of one moment** unless it takes longer than a slice of 1,024 candidates: an
///   entity that is written meanwhile may then appear as it was or as it is, but never twice and
///   never by half; one that is untouched meanwhile is never left out.
/// - **As of a moment.** With [`EntityQuery::at`] what has expired by then is not there, be it
///   still kept or not: not for the filter, nor for the order, the count and the answer, nor in
///   the entities that the filter looks into by way of a relationship. Those are seen as they are
///   when they are looked at, which for a page of one moment may be a little later.
/// - A tenant without entities or records is empty, not an error.
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Carries out `groups` and returns once they are durable: one outcome per group, in order.
    /// Groups are independent of each other.
    fn commit(&self, groups: Vec<Group>) -> BoxFuture<'_, Result<Vec<Outcome>, StoreError>>;

    /// The entities of `tenant` that the query wants, in its order, as they are at its moment.
    fn select<'a>(
        &'a self,
        tenant: &'a Tenant,
        query: &'a EntityQuery,
    ) -> BoxFuture<'a, Result<Page, StoreError>>;

    /// As [`select`](Self::select), but lends the entities to whoever only looks at them: `look` is
    /// called once, with all of the page. That must not take long, nor call the store, which may
    /// hold a lock meanwhile. To count who else has an entity would be most of the work of a page
    /// that many ask for at once. Only a store that has its entities in memory can spare that; what
    /// any other does is by way of `select`, so that is written here, once.
    fn show<'a>(
        &'a self,
        tenant: &'a Tenant,
        query: &'a EntityQuery,
        look: &'a mut Look<'a>,
    ) -> BoxFuture<'a, Result<Shown, StoreError>> {
        async move { Ok(self.select(tenant, query).await?.show(look)) }.boxed()
    }

    /// The types that entities of `tenant` have, sorted by name.
    fn types<'a>(
        &'a self,
        tenant: &'a Tenant,
    ) -> BoxFuture<'a, Result<Vec<TypeSummary>, StoreError>>;

    /// The attributes that entities of `tenant` have, sorted by name; with `of_type`, that those
    /// entities have which are of this type. What has expired counts for as long as it is kept.
    fn attributes<'a>(
        &'a self,
        tenant: &'a Tenant,
        of_type: Option<&'a TypeName>,
    ) -> BoxFuture<'a, Result<Vec<AttributeSummary>, StoreError>>;

    /// The changes after `after`, oldest first, at most `limit` of them. Those that
    /// [`truncate`](Self::truncate) has dropped are left out.
    fn changes(
        &self,
        after: Sequence,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Change>>, StoreError>>;

    /// The newest change that is visible, and a way to wait for newer ones.
    fn newest(&self) -> tokio::sync::watch::Receiver<Sequence>;

    /// The newest change that not even a power cut takes back, and a way to wait for newer ones. What
    /// is kept beside the store and was made from its log must not be ahead of this.
    fn durable(&self) -> tokio::sync::watch::Receiver<Sequence>;

    /// Allows the store to drop changes up to and including `upto`. It may keep them.
    fn truncate(&self, upto: Sequence) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The records that the query wants, in the order of their keys.
    fn records<'a>(
        &'a self,
        query: &'a RecordQuery,
    ) -> BoxFuture<'a, Result<Vec<Record>, StoreError>>;
}
