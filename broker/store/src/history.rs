//! What the broker asks of whoever keeps what was.

use futures_util::future::BoxFuture;
use musubi_model::{
    AttrName, DatasetId, EntityId, InstanceNumber, Recorded, Sequence, Tenant, TypeName,
};
use musubi_query::{AggregationRefusal, EvolutionPage, TemporalQuery};

use crate::StoreError;

/// Why a question for evolutions is not answered.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// What is kept could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The question is one that has no answer.
    #[error(transparent)]
    Refused(#[from] AggregationRefusal),
}

/// What is recorded of an entity, in outline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// The types that it has or had, in the order of their arrival.
    pub types: Vec<TypeName>,
    /// The attributes of which anything is recorded and not removed, with their data sets, sorted.
    pub series: Vec<(AttrName, Option<DatasetId>)>,
}

/// Keeps the temporal evolutions of entities: a reader of the change log.
///
/// - **Complete.** An answer holds every change that the store had committed before the question.
/// - **A function of the log.** What is recorded is what
///   [`Change::evolution_step`](crate::Change::evolution_step) says of each change, one after
///   another; what an answer is to a question is said by [`musubi_query::evolution_page`].
/// - What has been rolled up or has outlived its retention is an exception from both, and an answer
///   that it touches says so.
pub trait History: Send + Sync + std::fmt::Debug {
    /// The evolutions of `tenant` that the query wants.
    ///
    /// # Errors
    ///
    /// [`HistoryError::Refused`] where [`musubi_query::evolution_page`] refuses.
    fn evolutions<'a>(
        &'a self,
        tenant: &'a Tenant,
        query: &'a TemporalQuery,
    ) -> BoxFuture<'a, Result<EvolutionPage, HistoryError>>;

    /// What is recorded of an entity, in outline; none if nothing ever was, or all was removed.
    fn outline<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: &'a EntityId,
    ) -> BoxFuture<'a, Result<Option<Outline>, StoreError>>;

    /// The recorded instance of this number.
    fn instance<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: &'a EntityId,
        attribute: &'a AttrName,
        number: InstanceNumber,
    ) -> BoxFuture<'a, Result<Option<Recorded>, StoreError>>;

    /// The first change of the log that is still needed here.
    fn needed_from(&self) -> Sequence;
}
