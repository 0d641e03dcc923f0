//! Questions for what entities were (CIM 009, clauses 4.11, 4.5.19, 5.7.3 and 5.7.4).

use std::str::FromStr;

use musubi_model::{
    AttrName, DatasetId, EntityId, Evolution, InstanceNumber, Json, Recorded, Timestamp,
};

use crate::{Filter, GeoQuery, Query, ScopeQuery};

mod accumulator;
mod aggregate;
mod cut;
mod duration;
mod method;
mod operand;
mod periods;
mod refusal;
mod select;
#[cfg(test)]
mod tests;
mod validity;
mod zone;

pub use self::accumulator::{Accumulator, NotApplicable, RollUp, number_of};
pub use self::aggregate::{PeriodAggregates, aggregate};
pub use self::cut::{cut_page, first_beyond};
pub use self::duration::{InvalidDuration, PeriodDuration};
pub use self::method::AggregationMethod;
pub use self::periods::Periods;
pub use self::refusal::AggregationRefusal;
pub use self::select::{admits, admits_while, evolution_page, in_range};
pub use self::zone::{InvalidZone, Zone};

/// The Temporal Property that a question is about (CIM 009, clause 4.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TemporalProperty {
    /// When the value held, as its source says.
    #[default]
    ObservedAt,
    /// When the instance came into being.
    CreatedAt,
    /// When the instance was last modified.
    ModifiedAt,
    /// When the instance was deleted.
    DeletedAt,
}

impl TemporalProperty {
    /// The name of the member.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ObservedAt => "observedAt",
            Self::CreatedAt => "createdAt",
            Self::ModifiedAt => "modifiedAt",
            Self::DeletedAt => "deletedAt",
        }
    }

    /// The time of an instance; none if it has none of this kind.
    pub fn of(self, recorded: &Recorded) -> Option<Timestamp> {
        match self {
            Self::ObservedAt => recorded.instance.observed_at,
            Self::CreatedAt => Some(recorded.instance.created_at),
            Self::ModifiedAt => Some(recorded.instance.modified_at),
            Self::DeletedAt => recorded.deleted_at,
        }
    }

    /// The time by which an instance has its place in an answer: that of this kind, else
    /// `modifiedAt`.
    pub fn moment(self, recorded: &Recorded) -> Timestamp {
        self.of(recorded).unwrap_or(recorded.instance.modified_at)
    }
}

impl FromStr for TemporalProperty {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::ObservedAt, Self::CreatedAt, Self::ModifiedAt, Self::DeletedAt]
            .into_iter()
            .find(|property| property.as_str() == text)
            .ok_or(())
    }
}

/// A stretch of time (CIM 009, clause 4.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeRelation {
    /// Before this moment, which is not in it.
    Before(Timestamp),
    /// From this moment on, which is in it.
    After(Timestamp),
    /// From the first moment, which is in it, to the second, which is not.
    Between(Timestamp, Timestamp),
}

impl TimeRelation {
    /// Whether a moment is in it.
    pub fn contains(self, time: Timestamp) -> bool {
        match self {
            Self::Before(end) => time < end,
            Self::After(start) => start <= time,
            Self::Between(start, end) => start <= time && time < end,
        }
    }
}

impl Default for TemporalQuery {
    /// Asks for everything.
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            property: TemporalProperty::default(),
            range: None,
            attributes: None,
            keep_empty: false,
            shown: Shown::All,
            datasets: None,
            values: None,
            geo: None,
            scope: None,
            last: None,
            start: EvolutionStart::Offset(0),
            limit: usize::MAX,
            count: false,
            instances: usize::MAX,
            bytes: usize::MAX,
            aggregation: None,
        }
    }
}

impl TemporalQuery {
    /// Whether an attribute of this name is asked for.
    pub fn wants(&self, name: &AttrName) -> bool {
        self.attributes.as_ref().is_none_or(|names| names.contains(name))
    }

    /// The place of an instance in its attribute: by its time, and by its number at the same time.
    pub fn place(&self, recorded: &Recorded) -> (Timestamp, InstanceNumber) {
        (self.property.moment(recorded), recorded.number)
    }
}

/// Which attributes an answer shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    /// All.
    #[default]
    All,
    /// These.
    Only(Vec<AttrName>),
    /// All but these.
    Without(Vec<AttrName>),
}

impl Shown {
    /// Whether this attribute is shown.
    pub fn has(&self, name: &AttrName) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
            Self::Without(names) => !names.contains(name),
        }
    }
}

/// Where a page of entities begins, in the order of their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvolutionStart {
    /// After so many matching entities.
    Offset(usize),
    /// After this id.
    After(EntityId),
}

/// A question for temporal evolutions. What it means is said by [`evolution_page`]: a store that keeps
/// history may answer in any way that gives the same.
#[derive(Clone, Debug)]
pub struct TemporalQuery {
    /// What the entity must satisfy with its id and the types that it has or had. Nothing else is
    /// looked at: of attributes, [`values`](Self::values) speaks.
    pub filter: Filter,
    /// Which time of an instance counts.
    pub property: TemporalProperty,
    /// When. An instance without a time of that kind is in no stretch; with none, every instance
    /// is taken, in the order of [`property`](Self::property) or, without such a time, of
    /// `modifiedAt`. With none and [`TemporalProperty::DeletedAt`], only what tells of a deletion
    /// is taken.
    pub range: Option<TimeRelation>,
    /// The attributes of which at least one has to have an instance in the range, and which alone
    /// are shown; none means all. The scopes count among them, as [`SCOPE`](musubi_model::SCOPE).
    pub attributes: Option<Vec<AttrName>>,
    /// Whether an entity is there, with no attributes, of which nothing is left once the range, the
    /// scopes and the data sets have been looked at: so of one that is retrieved by its id (clause 5.7.3), not of those that are
    /// queried for (clause 5.7.4).
    pub keep_empty: bool,
    /// The attributes that are shown, the scopes among them.
    pub shown: Shown,
    /// The data sets of which instances are taken; none of them names the default one.
    pub datasets: Option<Vec<Option<DatasetId>>>,
    /// What the instances in the range have to satisfy together, those of attributes that are not
    /// asked for too (clause 4.9). A record of a deletion is no value. It selects entities, not
    /// instances.
    pub values: Option<Query>,
    /// What the geometries in the range have to satisfy (clause 4.10).
    pub geo: Option<GeoQuery>,
    /// What the scopes have to satisfy at some moment of the range; instances at whose time they
    /// did not are left out (clauses 4.19 and C.5.16). A scope is valid from its time until that of
    /// the next one, be that in the range or before it. Of the scopes those are shown that satisfy
    /// it and were valid in the range.
    pub scope: Option<ScopeQuery>,
    /// The most instances of each attribute over all its data sets, and of the scopes, the last
    /// ones; from 1. With an aggregation, the most periods.
    pub last: Option<usize>,
    /// Where the page of entities begins.
    pub start: EvolutionStart,
    /// The most entities; 0 asks for the count alone.
    pub limit: usize,
    /// Whether to say how many entities satisfy the question in all.
    pub count: bool,
    /// The most instances in an answer, over all its entities; from 1. If there are more, the answer
    /// is cut in time: at the end, or at the beginning with [`last`](Self::last). All instances of
    /// one moment are in it or none, unless the first moment, or with [`last`](Self::last) the last
    /// one, has more than that by itself: then as many of them as may be. See
    /// [`cut_page`](crate::cut_page).
    pub instances: usize,
    /// The most text that the instances in an answer may have together, in bytes (as
    /// [`Recorded::text_size`] counts): if there is more, the answer is cut in the same way. One
    /// instance is always in it, however long.
    pub bytes: usize,
    /// What to put in the place of instances. It is not cut.
    pub aggregation: Option<Aggregation>,
}

/// How values are put together (CIM 009, clause 4.5.19).
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregation {
    /// The methods, each once, at least one.
    pub methods: Vec<AggregationMethod>,
    /// How long a period is.
    pub period: PeriodDuration,
    /// In which zone days, weeks, months and years begin; UTC as the specification has it.
    pub zone: Zone,
}

impl Aggregation {
    /// The most aggregates in one answer: one for each method and period that has values, of every
    /// attribute. A long text counts as several, one more for each 256 bytes of it.
    pub const MOST: usize = 100_000;

    /// The most different values of one period that are told apart.
    pub const MOST_DISTINCT: usize = 1_000_000;
}

/// A part of the answer to a [`TemporalQuery`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EvolutionPage {
    /// The evolutions, in the order of their ids.
    pub items: Vec<EvolutionItem>,
    /// How many entities satisfy the question in all, if it asked.
    pub total: Option<u64>,
    /// Whether more entities follow.
    pub more: bool,
    /// Whether instances are missing, and from where on.
    pub cut: Option<Cut>,
    /// The moment before which instances are not kept any more, if any are gone and the times that were
    /// asked for reach before it. Aggregates count what these were rolled up to, as far as they were.
    pub rolled_up_before: Option<Timestamp>,
    /// The moment before which changes are missing, because the history did not get to see them, if
    /// the times that were asked for reach before it.
    pub incomplete_before: Option<Timestamp>,
}

/// What is in an answer that is not whole (CIM 009, clause 6.3.10): the times of its first and last
/// instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The least recent.
    pub first: Timestamp,
    /// The most recent.
    pub last: Timestamp,
}

/// One entity of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct EvolutionItem {
    /// The evolution: the instances that were asked for, in each attribute ascending by time and
    /// then by number. With an aggregation, no attribute has instances. An attribute that has
    /// instances in the range of which none is left after a cut is there without any.
    pub evolution: Evolution,
    /// The aggregates of each attribute, sorted by name.
    pub aggregates: Vec<AttributeAggregates>,
}

/// What the values of an attribute come to.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributeAggregates {
    /// The expanded name.
    pub name: AttrName,
    /// Whether it is a relationship; else it is some kind of property.
    pub is_relationship: bool,
    /// For each method, in the order of the question, its value for each period.
    pub methods: Vec<(AggregationMethod, Vec<Aggregate>)>,
}

impl AttributeAggregates {
    /// As how many aggregates these count; see [`Aggregation::MOST`].
    pub fn weight(&self) -> usize {
        let all = self.methods.iter().flat_map(|(_, aggregates)| aggregates);
        all.map(|aggregate| weight_of(&aggregate.value)).sum()
    }
}

/// As how many aggregates a value counts.
fn weight_of(value: &Json) -> usize {
    1 + value.as_str().len() / 256
}

/// What the values of one period come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// The value.
    pub value: Json,
    /// When the period begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
}
