//! A page of evolutions: the same answer as [`musubi_query::evolution_page`] gives, without holding
//! more than it needs.

use musubi_model::{AttributeEvolution, Evolution, Recorded, SCOPE, Tenant};
use musubi_query::{
    Aggregation, AggregationRefusal, AttributeAggregates, EvolutionItem, EvolutionPage,
    EvolutionStart, PeriodAggregates, Stopped, TemporalProperty, TemporalQuery, admits_while,
    aggregate, cut_page,
};
use musubi_store::{HistoryError, StoreError};

use super::candidates::{Candidates, beside_ids};
use super::deadline::Deadline;
use super::entity::{EntityView, by_attribute};
use super::gather::Needed;
use super::running_cut::RunningCut;
use super::view::View;
use crate::series::SeriesName;

/// The answer to a query.
pub(crate) fn evolutions(
    view: &View,
    tenant: &Tenant,
    query: &TemporalQuery,
    deadline: &Deadline,
) -> Result<EvolutionPage, HistoryError> {
    let named = &query.filter;
    let bytes = query.bytes.min(deadline.most_bytes());
    let query = &TemporalQuery { filter: beside_ids(named), bytes, ..query.clone() };
    let mut page = PageBuilder::new(query, deadline);
    let mut candidates = Candidates::new(view, tenant, named, page.begins_after());
    while let Some(entity) = candidates.next()? {
        deadline.check()?;
        if !query.filter.matches(&entity.outline_entity()) {
            continue;
        }
        page.take(&entity)?;
        if page.is_complete() {
            break;
        }
    }
    Ok(page.finish())
}

/// A page as it is put together.
struct PageBuilder<'a> {
    query: &'a TemporalQuery,
    deadline: &'a Deadline,
    cut: RunningCut,
    page: EvolutionPage,
    total: u64,
    /// How many more are to be passed over.
    skip: usize,
    /// How many more aggregates may be told.
    left: usize,
}

impl<'a> PageBuilder<'a> {
    fn new(query: &'a TemporalQuery, deadline: &'a Deadline) -> Self {
        let skip = match &query.start {
            EvolutionStart::Offset(offset) => *offset,
            EvolutionStart::After(_) => 0,
        };
        Self {
            query,
            deadline,
            cut: RunningCut::new(query),
            page: EvolutionPage::default(),
            total: 0,
            skip,
            left: Aggregation::MOST,
        }
    }

    /// The entity before the first that has to be looked at.
    fn begins_after(&self) -> Option<&'a musubi_model::EntityId> {
        match &self.query.start {
            EvolutionStart::After(id) if !self.query.count => Some(id),
            EvolutionStart::After(_) | EvolutionStart::Offset(_) => None,
        }
    }

    fn is_complete(&self) -> bool {
        self.page.more && !self.query.count
    }

    /// Takes in the next entity that satisfies the filter.
    fn take(&mut self, entity: &EntityView<'_>) -> Result<(), HistoryError> {
        let is_before = match &self.query.start {
            EvolutionStart::After(id) => entity.id() <= id,
            EvolutionStart::Offset(_) => self.skip > 0,
        };
        if is_before || self.page.items.len() >= self.query.limit {
            if (self.query.count || is_before || !self.page.more) && self.has(entity)? {
                self.total += 1;
                self.skip = self.skip.saturating_sub(1);
                self.page.more |= !is_before;
            }
            return Ok(());
        }
        self.note_dropped(entity)?;
        let item = match &self.query.aggregation {
            Some(_) => self.aggregated(entity)?,
            None => self.recorded(entity)?.map(EvolutionItem::from),
        };
        if let Some(item) = item {
            self.total += 1;
            self.page.items.push(item);
        }
        Ok(())
    }

    /// Notes whether anything that the answer would show is not there any more.
    fn note_dropped(&mut self, entity: &EntityView<'_>) -> Result<(), StoreError> {
        if entity.keeps_all() {
            return Ok(());
        }
        for name in entity.series() {
            if self.query.wants(&name.0) && self.query.shown.has(&name.0) && self.takes(&name) {
                let before = entity.dropped_before(&name, self.query)?;
                self.page.rolled_up_before = self.page.rolled_up_before.max(before);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> EvolutionPage {
        self.page.total = self.query.count.then_some(self.total);
        if self.query.aggregation.is_none() {
            self.page.cut = cut_page(&mut self.page.items, self.query);
        }
        self.page
    }

    /// Whether what is in the range of an entity has to be looked at as a whole.
    fn needs_all(&self) -> bool {
        let query = self.query;
        query.values.is_some() || query.geo.is_some() || query.scope.is_some()
    }

    /// Whether an entity is in the answer.
    fn has(&self, entity: &EntityView<'_>) -> Result<bool, StoreError> {
        if self.needs_all() {
            return Ok(self.admitted(entity)?.is_some());
        }
        if self.query.keep_empty {
            return entity.is_left(self.deadline);
        }
        for name in entity.series() {
            let is_wanted = self.query.wants(&name.0) && self.takes(&name);
            if !is_wanted {
                continue;
            }
            if entity.has_any(&name, self.query, self.deadline)? {
                return Ok(true);
            }
            let is_aggregated = self.query.aggregation.is_some() && name.0.as_str() != SCOPE;
            if is_aggregated && !entity.rolled_up(&[name], self.query, self.deadline)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is in the answer of an entity, looked at as a whole.
    fn admitted(&self, entity: &EntityView<'_>) -> Result<Option<Evolution>, StoreError> {
        let query = self.query;
        let all = query.values.is_some() || query.geo.is_some();
        // All scopes there ever were say when which of them was valid.
        let ever =
            TemporalQuery { range: None, property: TemporalProperty::ModifiedAt, ..query.clone() };
        let mut whole = entity.bare();
        let (mut held, mut bytes) = (0, 0);
        for (name, series) in by_attribute(&entity.series()) {
            let is_scope = name.as_str() == SCOPE;
            let asked = if is_scope && query.scope.is_some() { &ever } else { query };
            if !(all || query.wants(&name) || is_scope) {
                continue;
            }
            let instances = entity.instances(&series, asked, Needed::All, self.deadline)?;
            held += instances.len();
            bytes += instances.iter().map(Recorded::text_size).sum::<usize>();
            self.deadline.check_instances(held)?;
            self.deadline.check_bytes(bytes)?;
            if is_scope {
                whole.scopes = instances;
            } else if !instances.is_empty() {
                whole.attributes.push(AttributeEvolution { name, instances });
            }
        }
        admits_while(&whole, query, &mut || self.deadline.goes_on())
            .map_err(|Stopped| self.deadline.refusal())
    }

    /// What is recorded of an entity, as the answer shows it; none if it is not in it.
    fn recorded(&mut self, entity: &EntityView<'_>) -> Result<Option<Evolution>, StoreError> {
        let query = self.query;
        if self.needs_all() {
            let Some(mut found) = self.admitted(entity)? else { return Ok(None) };
            let mut is_earlier = self.cut.count(&found.scopes, query, self.deadline)?;
            for attribute in &found.attributes {
                is_earlier |= self.cut.count(&attribute.instances, query, self.deadline)?;
            }
            self.cut.trim(&mut found, query);
            self.trim(is_earlier);
            return Ok(Some(found));
        }
        let mut found = entity.bare();
        let mut is_earlier = false;
        for (name, series) in by_attribute(&entity.series()) {
            let Some(series) = self.shown(&name, series) else { continue };
            let needed = self.cut.needed(query);
            let mut instances = entity.instances(&series, query, needed, self.deadline)?;
            if let Some(last) = query.last {
                instances.drain(..instances.len().saturating_sub(last));
            }
            let tighter = self.cut.count(&instances, query, self.deadline)?;
            put(&mut found, name, instances);
            if tighter {
                self.cut.trim(&mut found, query);
                is_earlier = true;
            }
        }
        self.trim(is_earlier);
        let is_empty = found.attributes.is_empty() && found.scopes.is_empty();
        if is_empty && !self.has(entity)? {
            return Ok(None);
        }
        Ok(Some(found))
    }

    /// Brings the entities of before down to where the answer will be cut.
    fn trim(&mut self, is_earlier: bool) {
        if is_earlier {
            for item in &mut self.page.items {
                self.cut.trim(&mut item.evolution, self.query);
            }
        }
    }

    /// The series of an attribute that are shown; none if the attribute is not.
    fn shown(
        &self,
        name: &musubi_model::AttrName,
        mut series: Vec<SeriesName>,
    ) -> Option<Vec<SeriesName>> {
        if !self.query.wants(name) || !self.query.shown.has(name) {
            return None;
        }
        series.retain(|name| self.takes(name));
        Some(series)
    }

    /// Whether instances of this data set are taken. Scopes always are.
    fn takes(&self, (name, dataset): &SeriesName) -> bool {
        let datasets = self.query.datasets.as_ref();
        name.as_str() == SCOPE || datasets.is_none_or(|datasets| datasets.contains(dataset))
    }

    /// The aggregates of an entity; none if it is not in the answer.
    fn aggregated(
        &mut self,
        entity: &EntityView<'_>,
    ) -> Result<Option<EvolutionItem>, HistoryError> {
        let query = self.query;
        let mut item = EvolutionItem::from(entity.bare());
        if self.needs_all() {
            let Some(found) = self.admitted(entity)? else { return Ok(None) };
            // At which of the times that were rolled up a scope was valid is not known any more.
            if query.scope.is_some() || entity.keeps_all() {
                for attribute in &found.attributes {
                    self.tell(&mut item, aggregate(attribute, query)?)?;
                }
                return Ok(Some(item));
            }
        }
        let mut has_any = self.needs_all();
        for (name, series) in by_attribute(&entity.series()) {
            let Some(series) = self.shown(&name, series) else { continue };
            let Some(mut aggregates) = PeriodAggregates::new(&name, query) else { continue };
            if name.as_str() == SCOPE {
                continue;
            }
            has_any |= entity.aggregate(&series, query, &mut aggregates, self.deadline)?;
            self.tell(&mut item, aggregates.finish()?)?;
        }
        if !has_any && !self.has(entity)? {
            return Ok(None);
        }
        Ok(Some(item))
    }

    /// Adds the aggregates of an attribute.
    fn tell(
        &mut self,
        item: &mut EvolutionItem,
        aggregates: Option<AttributeAggregates>,
    ) -> Result<(), AggregationRefusal> {
        let Some(aggregates) = aggregates else { return Ok(()) };
        let told = aggregates.weight();
        self.left = self.left.checked_sub(told).ok_or(AggregationRefusal::TooMany)?;
        item.aggregates.push(aggregates);
        Ok(())
    }
}

fn put(found: &mut Evolution, name: musubi_model::AttrName, instances: Vec<Recorded>) {
    if instances.is_empty() {
        return;
    }
    if name.as_str() == SCOPE {
        found.scopes = instances;
    } else {
        found.attributes.push(AttributeEvolution { name, instances });
    }
}
