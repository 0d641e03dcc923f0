//! What is kept, in the form in which all parts of this crate pass it on.

use musubi_model::{
    AttrName, DatasetId, EntityId, Existence, Instance, InstanceNumber, Recorded, Sequence, Tenant,
    Timestamp, TypeName,
};
use musubi_query::TemporalProperty;

/// An entity, in the order in which everything is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EntityKey {
    pub(crate) tenant: Tenant,
    pub(crate) id: EntityId,
}

/// A series of a known entity.
pub(crate) type SeriesName = (AttrName, Option<DatasetId>);

/// One series: the instances of one attribute and data set. Its scopes are an entity's attribute of
/// the name [`SCOPE`](musubi_model::SCOPE).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SeriesKey {
    pub(crate) entity: EntityKey,
    pub(crate) attribute: AttrName,
    pub(crate) dataset: Option<DatasetId>,
}

/// What is known of an entity apart from its series. Of several, for the same entity, all count:
/// see [`Head::merge`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The types, in the order of their arrival.
    pub(crate) types: Vec<TypeName>,
    /// The earliest.
    pub(crate) created_at: Timestamp,
    /// The latest.
    pub(crate) modified_at: Timestamp,
    /// Since when the entity is deleted, if it is, and the change that said last whether it is; 0 if
    /// none did.
    pub(crate) deleted_at: Option<Timestamp>,
    pub(crate) existence_of: Sequence,
    /// Everything of changes up to this one was removed; 0 if nothing was.
    pub(crate) removed_upto: Sequence,
}

/// An instance as the change `version` left it: the change that recorded it, or corrected it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) version: Sequence,
    pub(crate) recorded: Recorded,
}

/// An [`Entry`] that stands elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryRef<'a> {
    pub(crate) version: Sequence,
    pub(crate) number: InstanceNumber,
    pub(crate) instance: &'a Instance,
    pub(crate) deleted_at: Option<Timestamp>,
}

impl<'a> From<&'a Entry> for EntryRef<'a> {
    fn from(entry: &'a Entry) -> Self {
        let Recorded { number, instance, deleted_at } = &entry.recorded;
        Self { version: entry.version, number: *number, instance, deleted_at: *deleted_at }
    }
}

/// Older versions of an instance than this are not there any more: it was corrected, and its new
/// version stands among the entries, or it was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Superseded {
    pub(crate) number: InstanceNumber,
    pub(crate) version: Sequence,
}

/// What a place has to say of a series beside its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Corrections {
    /// What changes up to this one recorded was removed; 0 if nothing was.
    pub(crate) removed_upto: Sequence,
    /// Sorted by number, each once.
    pub(crate) superseded: Vec<Superseded>,
}

impl SeriesKey {
    pub(crate) fn new(entity: &EntityKey, (attribute, dataset): &SeriesName) -> Self {
        let (attribute, dataset) = (attribute.clone(), dataset.clone());
        Self { entity: entity.clone(), attribute, dataset }
    }
}

impl Head {
    /// Of an entity of which nothing is recorded.
    pub(crate) fn nothing() -> Self {
        Self {
            types: Vec::new(),
            created_at: Timestamp::from_micros(i64::MAX),
            modified_at: Timestamp::from_micros(i64::MIN),
            deleted_at: None,
            existence_of: Sequence(0),
            removed_upto: Sequence(0),
        }
    }

    /// Whether there is an evolution: something was recorded, and not all of it removed.
    pub(crate) fn is_there(&self) -> bool {
        self.created_at != Self::nothing().created_at
    }

    /// Takes in what a place says whose changes are all later than those that led to this head.
    pub(crate) fn merge(&mut self, later: Self) {
        if later.removed_upto > Sequence(0) {
            *self = later;
            return;
        }
        self.add_types(&later.types);
        self.created_at = self.created_at.min(later.created_at);
        self.modified_at = self.modified_at.max(later.modified_at);
        if later.existence_of > self.existence_of {
            self.existence_of = later.existence_of;
            self.deleted_at = later.deleted_at;
        }
    }

    /// The types that it has as well from now on.
    pub(crate) fn add_types(&mut self, types: &[TypeName]) {
        for name in types {
            if !self.types.contains(name) {
                self.types.push(name.clone());
            }
        }
    }

    /// Takes in what a change says of the entity apart from its types: when it was, what it does to
    /// its existence, and whether it records anything.
    pub(crate) fn note(
        &mut self,
        (sequence, time): (Sequence, Timestamp),
        existence: Existence,
        records: bool,
    ) {
        self.modified_at = self.modified_at.max(time);
        match existence {
            Existence::Created(time) => {
                self.created_at = self.created_at.min(time);
                self.existence_of = sequence;
                self.deleted_at = None;
            }
            Existence::Deleted(time) => {
                self.existence_of = sequence;
                self.deleted_at = Some(time);
            }
            Existence::Unchanged => {}
        }
        if records {
            self.created_at = self.created_at.min(time);
        }
    }
}

impl Entry {
    /// Its time of this kind, if it has one.
    pub(crate) fn time(&self, property: TemporalProperty) -> Option<Timestamp> {
        let instance = &self.recorded.instance;
        match property {
            TemporalProperty::ObservedAt => instance.observed_at,
            TemporalProperty::CreatedAt => Some(instance.created_at),
            TemporalProperty::ModifiedAt => Some(instance.modified_at),
            TemporalProperty::DeletedAt => self.recorded.deleted_at,
        }
    }
}

impl Corrections {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.removed_upto == Sequence(0) && self.superseded.is_empty()
    }

    /// Whether an entry of an earlier place, or of the same one, is not there any more.
    pub(crate) fn covers(&self, entry: &Entry) -> bool {
        self.removes(entry.recorded.number, entry.version)
    }

    /// The same, of an instance of this number as this change left it.
    pub(crate) fn removes(&self, number: InstanceNumber, version: Sequence) -> bool {
        if version <= self.removed_upto {
            return true;
        }
        let found = self.superseded.binary_search_by_key(&number, |superseded| superseded.number);
        found.ok().and_then(|at| self.superseded.get(at)).is_some_and(|last| version < last.version)
    }

    /// Takes in what a later place says.
    pub(crate) fn merge(&mut self, later: Self) {
        self.removed_upto = self.removed_upto.max(later.removed_upto);
        if self.superseded.is_empty() {
            self.superseded = later.superseded;
        } else if !later.superseded.is_empty() {
            self.superseded.extend(later.superseded);
            self.superseded.sort_unstable();
            // Of the same number the last one counts.
            self.superseded.reverse();
            self.superseded.dedup_by_key(|superseded| superseded.number);
            self.superseded.reverse();
        }
    }
}
