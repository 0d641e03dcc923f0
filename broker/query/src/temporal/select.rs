//! What a temporal query means.

use musubi_model::{Attribute, AttributeEvolution, Entity, Evolution, Recorded, SCOPE};

use super::validity::Validity;
use crate::{
    Aggregation, AggregationRefusal, AttributeAggregates, EvolutionItem, EvolutionPage,
    EvolutionStart, Stopped, TemporalProperty, TemporalQuery, aggregate, cut_page,
};

/// The answer to a query over all these evolutions, which are whole, each id once. It defines what the
/// query means: [`admits`] for one evolution, then the page, then [`aggregate`] or [`cut_page`].
///
/// # Errors
///
/// [`AggregationRefusal`] if the aggregates that the query asks for cannot be told of what is on the
/// page, or are too many.
pub fn evolution_page(
    evolutions: &[Evolution],
    query: &TemporalQuery,
) -> Result<EvolutionPage, AggregationRefusal> {
    let mut admitted: Vec<Evolution> =
        evolutions.iter().filter_map(|evolution| admits(evolution, query)).collect();
    admitted.sort_by(|one, other| one.id.cmp(&other.id));
    let total = query.count.then(|| u64::try_from(admitted.len()).unwrap_or(u64::MAX));
    match &query.start {
        EvolutionStart::Offset(offset) => drop(admitted.drain(..admitted.len().min(*offset))),
        EvolutionStart::After(id) => admitted.retain(|evolution| evolution.id > *id),
    }
    let more = admitted.len() > query.limit;
    admitted.truncate(query.limit);
    let mut page = EvolutionPage { total, more, ..EvolutionPage::default() };
    page.items = admitted.into_iter().map(EvolutionItem::from).collect();
    if query.aggregation.is_none() {
        page.cut = cut_page(&mut page.items, query);
        return Ok(page);
    }
    let mut left = Aggregation::MOST;
    for item in &mut page.items {
        *item = aggregated(item, query)?;
        let told = item.aggregates.iter().map(AttributeAggregates::weight).sum();
        left = left.checked_sub(told).ok_or(AggregationRefusal::TooMany)?;
    }
    Ok(page)
}

impl From<Evolution> for EvolutionItem {
    fn from(evolution: Evolution) -> Self {
        Self { evolution, aggregates: Vec::new() }
    }
}

/// The item with aggregates in the place of instances. Scopes are not aggregated, and not shown then.
fn aggregated(
    item: &EvolutionItem,
    query: &TemporalQuery,
) -> Result<EvolutionItem, AggregationRefusal> {
    let mut aggregates = Vec::new();
    for attribute in &item.evolution.attributes {
        aggregates.extend(aggregate(attribute, query)?);
    }
    let evolution = bare(&item.evolution);
    Ok(EvolutionItem { evolution, aggregates })
}

/// The evolution without anything recorded.
fn bare(evolution: &Evolution) -> Evolution {
    Evolution {
        id: evolution.id.clone(),
        types: evolution.types.clone(),
        scopes: Vec::new(),
        attributes: Vec::new(),
        ..*evolution
    }
}

/// Whether an instance is one that the query looks at, judged by nothing but its time.
pub fn in_range(recorded: &Recorded, query: &TemporalQuery) -> bool {
    let time = query.property.of(recorded);
    match query.range {
        Some(range) => time.is_some_and(|time| range.contains(time)),
        None => time.is_some() || query.property != TemporalProperty::DeletedAt,
    }
}

/// What a query wants of one whole evolution: the instances that it would show if nothing had to be
/// cut, or of which it wants the aggregates; each attribute has at least one, and they are in order.
/// None if the entity is not in the answer (CIM 009, clauses 5.7.3.4 and 5.7.4.4).
pub fn admits(evolution: &Evolution, query: &TemporalQuery) -> Option<Evolution> {
    admits_while(evolution, query, &mut || true).unwrap_or(None)
}

/// The same as [`admits`]. It is asked again and again whether to go on.
///
/// # Errors
///
/// [`Stopped`] if it was not to go on.
pub fn admits_while(
    evolution: &Evolution,
    query: &TemporalQuery,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<Option<Evolution>, Stopped> {
    if !query.filter.matches(&entity(&bare(evolution))) {
        return Ok(None);
    }
    let mut found = within_range(evolution, query);
    if !query.keep_empty && !has_any(&found, query) {
        return Ok(None);
    }
    if !fits_values(&found, query, goes_on)? {
        return Ok(None);
    }
    Stopped::unless(goes_on())?;
    if let Some(wanted) = &query.scope {
        let validity = Validity::of(&evolution.scopes, wanted, query.property);
        let valid: Vec<&Recorded> = validity.records_in(query.range).collect();
        if valid.is_empty() {
            return Ok(None);
        }
        found.scopes = valid.into_iter().cloned().collect();
        keep_instances(&mut found, |recorded| validity.covers(query.property.moment(recorded)));
    }
    if let Some(datasets) = &query.datasets {
        keep_instances(&mut found, |recorded| {
            datasets.iter().any(|dataset| dataset.as_ref() == recorded.instance.dataset_id())
        });
    }
    if !query.keep_empty && !has_any(&found, query) {
        return Ok(None);
    }
    Stopped::unless(goes_on())?;
    project(&mut found, query);
    order(&mut found, query);
    Ok(Some(found))
}

/// Whether the instances satisfy together what they have to.
fn fits_values(
    found: &Evolution,
    query: &TemporalQuery,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<bool, Stopped> {
    if query.values.is_none() && query.geo.is_none() {
        return Ok(true);
    }
    let entity = entity(found);
    if let Some(values) = &query.values
        && !values.matches_while(&entity, goes_on)?
    {
        return Ok(false);
    }
    query.geo.as_ref().map_or(Ok(true), |geo| geo.matches_while(&entity, goes_on))
}

/// The evolution with the instances in the range, and no attribute without any.
fn within_range(evolution: &Evolution, query: &TemporalQuery) -> Evolution {
    let pick = |instances: &[Recorded]| -> Vec<Recorded> {
        instances.iter().filter(|recorded| in_range(recorded, query)).cloned().collect()
    };
    let attributes = evolution.attributes.iter().map(|attribute| AttributeEvolution {
        name: attribute.name.clone(),
        instances: pick(&attribute.instances),
    });
    Evolution {
        scopes: pick(&evolution.scopes),
        attributes: attributes.filter(|attribute| !attribute.instances.is_empty()).collect(),
        ..bare(evolution)
    }
}

/// Whether anything that is asked for is there.
fn has_any(found: &Evolution, query: &TemporalQuery) -> bool {
    let scopes = !found.scopes.is_empty() && wants_scopes(query);
    scopes || found.attributes.iter().any(|attribute| query.wants(&attribute.name))
}

fn wants_scopes(query: &TemporalQuery) -> bool {
    SCOPE.parse().is_ok_and(|scope| query.wants(&scope))
}

fn shows_scopes(query: &TemporalQuery) -> bool {
    SCOPE.parse().is_ok_and(|scope| query.wants(&scope) && query.shown.has(&scope))
}

/// An entity that has all that is in the evolution at once, for a condition to look at: each
/// attribute has every instance, but those that tell of a deletion.
fn entity(found: &Evolution) -> Entity {
    let values = |attribute: &AttributeEvolution| {
        let values = attribute.instances.iter().filter(|recorded| recorded.deleted_at.is_none());
        Attribute {
            name: attribute.name.clone(),
            instances: values.map(|recorded| recorded.instance.clone()).collect(),
        }
    };
    let attributes = found.attributes.iter().map(values);
    Entity {
        id: found.id.clone(),
        types: found.types.clone(),
        scopes: Vec::new(),
        created_at: found.created_at,
        modified_at: found.modified_at,
        expires_at: None,
        attributes: attributes.filter(|attribute| !attribute.instances.is_empty()).collect(),
    }
}

/// Leaves out instances, and attributes that have none any more. Scopes stay.
fn keep_instances(found: &mut Evolution, keep: impl Fn(&Recorded) -> bool) {
    for attribute in &mut found.attributes {
        attribute.instances.retain(&keep);
    }
    found.attributes.retain(|attribute| !attribute.instances.is_empty());
}

fn project(found: &mut Evolution, query: &TemporalQuery) {
    found
        .attributes
        .retain(|attribute| query.wants(&attribute.name) && query.shown.has(&attribute.name));
    if !shows_scopes(query) {
        found.scopes.clear();
    }
}

/// Puts everything in order and leaves the last ones, if so many are asked for.
fn order(found: &mut Evolution, query: &TemporalQuery) {
    let last = query.last.filter(|_| query.aggregation.is_none());
    let lists = found.attributes.iter_mut().map(|attribute| &mut attribute.instances);
    for list in lists.chain([&mut found.scopes]) {
        list.sort_by_key(|recorded| query.place(recorded));
        if let Some(last) = last {
            list.drain(..list.len().saturating_sub(last));
        }
    }
}
