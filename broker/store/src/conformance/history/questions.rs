//! Questions for the past.

use musubi_model::{AttrName, Timestamp};
use musubi_query::{
    Aggregation, AggregationMethod, EvolutionStart, Filter, Shown, TemporalProperty, TemporalQuery,
    TimeRelation,
};

use super::changes::{reading, scope};
use crate::conformance::generate::{Generator, name};

const PERIODS: [&str; 9] = ["PT10M", "PT1H", "P1D", "P1W", "P1M", "PT0S", "P1DT1H", "P1Y", "P1M3D"];

const ZONES: [&str; 5] =
    ["UTC", "Asia/Tokyo", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"];

impl Generator {
    /// A question for the past, at this time.
    pub(super) fn temporal_query(&mut self, now: Timestamp) -> TemporalQuery {
        let aggregation = self.random.chance(30).then(|| self.aggregation());
        let mut attributes = self.random.chance(50).then(|| self.names());
        // What is no number has few aggregates.
        let counts = aggregation.as_ref().is_some_and(|aggregation| {
            let counts = [AggregationMethod::TotalCount, AggregationMethod::DistinctCount];
            aggregation.methods.iter().all(|method| counts.contains(method))
        });
        if aggregation.is_some() && !counts && self.random.chance(85) {
            attributes = Some(vec![reading()]);
        }
        let limits = [0, 1, 2, 3, 100, 100, 100];
        let sizes = [1, 30, 100, 1_000, usize::MAX, usize::MAX, usize::MAX, usize::MAX];
        let cuts = [1, 2, 3, 7, 20, 100_000, 100_000, 100_000];
        TemporalQuery {
            filter: self.entity_filter(),
            property: self.temporal_property(),
            range: self.random.chance(80).then(|| self.time_relation(now)),
            attributes,
            keep_empty: self.random.chance(15),
            shown: self.shown(),
            datasets: self.random.chance(15).then(|| self.data_sets()),
            values: self.random.chance(20).then(|| self.query()),
            geo: self.random.chance(8).then(|| self.geo_query()),
            scope: self.random.chance(20).then(|| self.scope_query()),
            last: self.random.chance(35).then(|| 1 + self.random.below(6)),
            start: self.start(),
            limit: *self.random.pick(&limits),
            count: self.random.chance(50),
            instances: *self.random.pick(&cuts),
            bytes: *self.random.pick(&sizes),
            aggregation,
        }
    }

    fn entity_filter(&mut self) -> Filter {
        match self.random.below(10) {
            0 | 1 => Filter::Ids(self.random.at_least_one(&self.vocabulary.ids, 3)),
            2 => Filter::IdPattern(self.random.pick(&self.vocabulary.patterns).clone()),
            3 | 4 => Filter::Type(self.type_selection()),
            5 => Filter::and(vec![
                Filter::Type(self.type_selection()),
                Filter::IdPattern(self.random.pick(&self.vocabulary.patterns).clone()),
            ]),
            _ => Filter::default(),
        }
    }

    fn temporal_property(&mut self) -> TemporalProperty {
        match self.random.below(10) {
            0 => TemporalProperty::CreatedAt,
            1 | 2 => TemporalProperty::ModifiedAt,
            3 => TemporalProperty::DeletedAt,
            _ => TemporalProperty::ObservedAt,
        }
    }

    fn time_relation(&mut self, now: Timestamp) -> TimeRelation {
        let one = self.observation(now);
        let other = if self.random.chance(30) { now } else { self.observation(now) };
        match self.random.below(10) {
            0..3 => TimeRelation::Before(one),
            3..6 => TimeRelation::After(one),
            6 => TimeRelation::Between(one, other),
            _ => TimeRelation::Between(one.min(other), one.max(other)),
        }
    }

    fn names(&mut self) -> Vec<AttrName> {
        let attributes = self.random.several(&self.vocabulary.attributes, 4);
        let mut names: Vec<AttrName> = attributes.into_iter().map(|(name, _)| name).collect();
        if self.random.chance(30) {
            names.push(scope());
        }
        if names.is_empty() || self.random.chance(40) {
            names.push(reading());
        }
        names
    }

    fn shown(&mut self) -> Shown {
        match self.random.below(10) {
            0 => Shown::Only(self.names()),
            1 => Shown::Without(self.names()),
            _ => Shown::All,
        }
    }

    fn data_sets(&mut self) -> Vec<Option<musubi_model::DatasetId>> {
        let several = self.random.several(&self.vocabulary.datasets, 2);
        let mut datasets: Vec<_> = several.into_iter().map(Some).collect();
        if datasets.is_empty() || self.random.chance(40) {
            datasets.push(None);
        }
        datasets
    }

    fn start(&mut self) -> EvolutionStart {
        match self.random.below(10) {
            0 => EvolutionStart::Offset(self.random.below(6)),
            1 => EvolutionStart::After(self.random.pick(&self.vocabulary.ids).clone()),
            _ => EvolutionStart::Offset(0),
        }
    }

    fn aggregation(&mut self) -> Aggregation {
        let counts = [AggregationMethod::TotalCount, AggregationMethod::DistinctCount];
        let methods = if self.random.chance(30) {
            self.random.at_least_one(&counts, 2)
        } else {
            self.random.at_least_one(&AggregationMethod::ALL, 8)
        };
        let period: &&str = self.random.pick(&PERIODS);
        let zone: &&str = self.random.pick(&ZONES);
        Aggregation { methods, period: name(period), zone: name(zone) }
    }
}
