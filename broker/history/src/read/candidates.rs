//! Which entities a question is about, in the order of their ids.

use std::collections::VecDeque;
use std::iter::Peekable;

use musubi_model::{EntityId, Tenant};
use musubi_query::Filter;
use musubi_store::StoreError;
use rustc_hash::FxHashSet;

use super::entity::EntityView;
use super::view::{View, unreadable};
use crate::recent::Recent;
use crate::segment::{EntityRow, Heads};
use crate::series::EntityKey;

/// Entities of a table that are read under one lock.
const BATCH: usize = 256;

/// The entities that may satisfy a filter, in the order of their ids.
#[derive(Debug)]
pub(crate) enum Candidates<'a> {
    /// These, if they are there.
    Named { view: &'a View, tenant: Tenant, ids: VecDeque<EntityId> },
    /// All.
    All { view: &'a View, tenant: Tenant, heads: Vec<Peekable<Heads<'a>>>, tables: Vec<Ids<'a>> },
}

/// The entities of a table.
#[derive(Debug)]
pub(crate) struct Ids<'a> {
    table: &'a Recent,
    batch: VecDeque<EntityId>,
    last: Option<EntityId>,
    ended: bool,
}

impl<'a> Candidates<'a> {
    /// Those after this one. They have one of the ids that the filter names, if it does: see
    /// [`beside_ids`].
    pub(crate) fn new(
        view: &'a View,
        tenant: &Tenant,
        filter: &Filter,
        after: Option<&EntityId>,
    ) -> Self {
        let tenant = tenant.clone();
        if let Some(ids) = ids_of(filter) {
            let mut ids: Vec<EntityId> = ids
                .into_iter()
                .filter(|id| after.is_none_or(|after| *id > after))
                .cloned()
                .collect();
            ids.sort_unstable();
            return Self::Named { view, tenant, ids: ids.into() };
        }
        let segments = view.segments.iter();
        let heads = segments
            .map(|segment| segment.segment().heads(&tenant, after, None).peekable())
            .collect();
        let ids = |table| Ids { table, batch: VecDeque::new(), last: after.cloned(), ended: false };
        let tables = view.tables.iter().map(|table| ids(&**table)).collect();
        Self::All { view, tenant, heads, tables }
    }

    /// The next one.
    pub(crate) fn next(&mut self) -> Result<Option<EntityView<'a>>, StoreError> {
        match self {
            Self::Named { view, tenant, ids } => {
                while let Some(id) = ids.pop_front() {
                    let found = view.entity(tenant, &id)?;
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                Ok(None)
            }
            Self::All { view, tenant, heads, tables } => loop {
                let Some((id, rows)) = next_of(tenant, heads, tables)? else { return Ok(None) };
                let key = EntityKey { tenant: tenant.clone(), id };
                let found = EntityView::new(view, key, rows);
                if found.is_some() {
                    return Ok(found);
                }
            },
        }
    }
}

type Rows = Vec<(usize, EntityRow)>;

/// The least id of all places, and what the segments say of it.
fn next_of(
    tenant: &Tenant,
    heads: &mut [Peekable<Heads<'_>>],
    tables: &mut [Ids<'_>],
) -> Result<Option<(EntityId, Rows)>, StoreError> {
    let mut least: Option<EntityId> = None;
    let mut consider = |id: &EntityId| {
        if least.as_ref().is_none_or(|least| id < least) {
            least = Some(id.clone());
        }
    };
    for heads in &mut *heads {
        if let Some(Ok(row)) = heads.peek() {
            consider(&row.key.id);
        } else if let Some(Err(error)) = heads.next_if(Result::is_err) {
            return Err(unreadable(error));
        }
    }
    for ids in &mut *tables {
        if let Some(id) = ids.peek(tenant) {
            consider(id);
        }
    }
    let Some(least) = least else { return Ok(None) };
    let mut rows = Vec::new();
    for (place, heads) in heads.iter_mut().enumerate() {
        let next = heads.next_if(|row| row.as_ref().is_ok_and(|row| row.key.id == least));
        if let Some(Ok(row)) = next {
            rows.push((place, row));
        }
    }
    for ids in tables {
        ids.pass(&least);
    }
    Ok(Some((least, rows)))
}

impl Ids<'_> {
    fn peek(&mut self, tenant: &Tenant) -> Option<&EntityId> {
        if self.batch.is_empty() && !self.ended {
            let ids = self.table.ids(tenant, self.last.as_ref(), BATCH);
            self.ended = ids.len() < BATCH;
            self.batch = ids.into();
            self.last = self.batch.back().cloned().or_else(|| self.last.take());
        }
        self.batch.front()
    }

    fn pass(&mut self, id: &EntityId) {
        if self.batch.front() == Some(id) {
            self.batch.pop_front();
        }
    }
}

/// The ids outside which nothing satisfies the filter, if it names any.
fn ids_of(filter: &Filter) -> Option<FxHashSet<&EntityId>> {
    match filter {
        Filter::Ids(ids) => Some(ids.iter().collect()),
        Filter::All(filters) => filters.iter().filter_map(ids_of).reduce(|mut all, others| {
            all.retain(|id| others.contains(id));
            all
        }),
        Filter::IdPattern(_)
        | Filter::Type(_)
        | Filter::HasAny(_)
        | Filter::Query(_)
        | Filter::Geo(_)
        | Filter::Scope(_)
        | Filter::ExpiresBy(_)
        | Filter::Any(_) => None,
    }
}

/// What is left to be asked of candidates: each has one of the ids that the filter names, and to look
/// for it among thousands again would be a walk through all of them for each.
pub(super) fn beside_ids(filter: &Filter) -> Filter {
    match filter {
        Filter::Ids(_) => Filter::default(),
        Filter::All(filters) => Filter::and(filters.iter().map(beside_ids).collect()),
        Filter::IdPattern(_)
        | Filter::Type(_)
        | Filter::HasAny(_)
        | Filter::Query(_)
        | Filter::Geo(_)
        | Filter::Scope(_)
        | Filter::ExpiresBy(_)
        | Filter::Any(_) => filter.clone(),
    }
}
