//! When which scopes were valid (CIM 009, clauses 4.18, 4.19 and C.5.16).

use musubi_model::{Recorded, Scope, Timestamp};

use crate::{ScopeQuery, TemporalProperty, TimeRelation};

/// The stretches in which the scopes of an entity satisfy a query: each begins with a record and
/// ends before the next one, if there is one. They are in order, none is empty, and no two of them
/// have a moment in common.
#[derive(Debug)]
pub(super) struct Validity<'a> {
    stretches: Vec<Stretch<'a>>,
}

#[derive(Debug)]
struct Stretch<'a> {
    record: &'a Recorded,
    start: Timestamp,
    end: Option<Timestamp>,
}

impl<'a> Validity<'a> {
    /// From all records of an entity's scopes, in any order.
    pub(super) fn of(
        records: &'a [Recorded],
        query: &ScopeQuery,
        property: TemporalProperty,
    ) -> Self {
        let mut records: Vec<&Recorded> = records.iter().collect();
        records.sort_by_key(|record| (set_at(record, property), record.number));
        let ends = records.iter().skip(1).map(|next| Some(set_at(next, property))).chain([None]);
        let stretches = records.iter().zip(ends).map(|(record, end)| {
            let start = set_at(record, property);
            Stretch { record, start, end }
        });
        let satisfies = |stretch: &Stretch<'_>| {
            let is_ever = stretch.end.is_none_or(|end| stretch.start < end);
            is_ever && query.matches(&scopes(stretch.record))
        };
        Self { stretches: stretches.filter(satisfies).collect() }
    }

    /// Whether the scopes satisfied the query at this moment.
    pub(super) fn covers(&self, time: Timestamp) -> bool {
        let begun = self.stretches.partition_point(|stretch| stretch.start <= time);
        let last = begun.checked_sub(1).and_then(|at| self.stretches.get(at));
        last.is_some_and(|stretch| stretch.end.is_none_or(|end| time < end))
    }

    /// The records that satisfied the query at some moment of the range.
    pub(super) fn records_in(
        &self,
        range: Option<TimeRelation>,
    ) -> impl Iterator<Item = &'a Recorded> {
        let meets = move |stretch: &&Stretch<'_>| match range {
            None => true,
            Some(TimeRelation::Before(end)) => stretch.start < end,
            Some(TimeRelation::After(start)) => stretch.end.is_none_or(|until| start < until),
            Some(TimeRelation::Between(start, end)) => {
                start < end && stretch.start < end && stretch.end.is_none_or(|until| start < until)
            }
        };
        self.stretches.iter().filter(meets).map(|stretch| stretch.record)
    }
}

/// Since when the scopes of a record are valid: by the property that is asked about, and that of a
/// question for deletions is the default one.
fn set_at(record: &Recorded, property: TemporalProperty) -> Timestamp {
    match property {
        TemporalProperty::DeletedAt => TemporalProperty::ObservedAt.moment(record),
        TemporalProperty::ObservedAt
        | TemporalProperty::CreatedAt
        | TemporalProperty::ModifiedAt => property.moment(record),
    }
}

/// The scopes of a record; none if it tells of a deletion.
fn scopes(record: &Recorded) -> Vec<Scope> {
    if record.deleted_at.is_some() {
        return Vec::new();
    }
    let json = &record.instance.value.json;
    if let Some(text) = json.as_text() {
        return Scope::parse(&text).ok().into_iter().collect();
    }
    let value = json.to_value();
    let texts = value.as_array().map(Vec::as_slice).unwrap_or_default();
    texts.iter().filter_map(|text| Scope::parse(text.as_str()?).ok()).collect()
}
