//! What is in no segment yet.
//!
//! One table takes what the changes after a certain one say. When it is full it is frozen: it takes
//! nothing more, a new one begins, and it is written as a segment. Readers hold the tables that there
//! were at the moment of their question, so that it does not matter to them when that happens.

mod entries;

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use musubi_model::{
    AttrName, Attribute, DatasetId, Datasets, Effect, EntityId, EvolutionStep, Existence,
    InstanceNumber, Recorded, Sequence, Tenant,
};
use parking_lot::RwLock;

use self::entries::Entries;
use crate::series::{Corrections, EntityKey, Entry, Head, Superseded};

/// What a row of the table takes beside its texts, about.
const ROW: usize = 96;

/// A series of a known entity.
pub(crate) type SeriesName = (AttrName, Option<DatasetId>);

/// What the changes after a certain one say.
#[derive(Debug)]
pub(crate) struct Recent {
    after: Sequence,
    content: RwLock<Content>,
}

#[derive(Debug, Default)]
struct Content {
    bytes: usize,
    instances: usize,
    entities: BTreeMap<Tenant, Entities>,
}

type Entities = BTreeMap<EntityId, Arc<RecentEntity>>;

/// What is new of an entity, as it was at a moment: what changes while somebody holds it is a copy.
#[derive(Clone, Debug)]
pub(crate) struct RecentEntity {
    head: Head,
    /// Up to which change all data sets of an attribute were removed.
    removed: BTreeMap<AttrName, Sequence>,
    series: BTreeMap<SeriesName, Arc<RecentSeries>>,
}

#[derive(Clone, Debug, Default)]
struct RecentSeries {
    entries: Entries,
    removed_upto: Sequence,
    superseded: BTreeMap<InstanceNumber, Sequence>,
}

/// What is new of one entity, for the one who writes a segment.
#[derive(Debug)]
pub(crate) struct RecentRow {
    pub(crate) key: EntityKey,
    pub(crate) entity: Arc<RecentEntity>,
}

impl Recent {
    /// An empty table for the changes after this one.
    pub(crate) fn new(after: Sequence) -> Self {
        Self { after, content: RwLock::default() }
    }

    /// Takes in what a change does. Changes come in their order, each once.
    pub(crate) fn apply(&self, tenant: &Tenant, sequence: Sequence, step: EvolutionStep) {
        let mut content = self.content.write();
        let Content { bytes, instances, entities } = &mut *content;
        let entities = entities.entry(tenant.clone()).or_default();
        let entity = entities.entry(step.id.clone()).or_insert_with(|| {
            *bytes += 4 * ROW + step.id.as_str().len();
            Arc::new(RecentEntity::nothing())
        });
        let entity = Arc::make_mut(entity);
        entity.note(sequence, &step);
        for effect in step.effects {
            let (more, recorded) = entity.apply(self.after, sequence, effect);
            *bytes += more;
            *instances += recorded;
        }
    }

    /// Bytes that it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.content.read().bytes
    }

    /// How many instances were recorded in it.
    pub(crate) fn instances(&self) -> usize {
        self.content.read().instances
    }

    /// Whether nothing was said of any entity.
    pub(crate) fn is_empty(&self) -> bool {
        self.content.read().entities.is_empty()
    }

    /// What is known here of an entity, as it is now.
    pub(crate) fn entity(&self, key: &EntityKey) -> Option<Arc<RecentEntity>> {
        self.content.read().entities.get(&key.tenant)?.get(&key.id).cloned()
    }

    /// The next entities of a tenant after this one, in order.
    pub(crate) fn ids(
        &self,
        tenant: &Tenant,
        after: Option<&EntityId>,
        limit: usize,
    ) -> Vec<EntityId> {
        let content = self.content.read();
        let Some(entities) = content.entities.get(tenant) else { return Vec::new() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = entities.range::<EntityId, _>((from, Bound::Unbounded));
        rest.take(limit).map(|(id, _)| id.clone()).collect()
    }

    /// The next entities after this one, of any tenant, for the one who writes a segment; none if there
    /// are no more.
    pub(crate) fn rows(&self, after: Option<&EntityKey>, limit: usize) -> Vec<RecentRow> {
        let content = self.content.read();
        let from = after.map_or(Bound::Unbounded, |key| Bound::Included(&key.tenant));
        let tenants = content.entities.range::<Tenant, _>((from, Bound::Unbounded));
        let rows = tenants.flat_map(|(tenant, entities)| {
            let after = after.filter(|key| key.tenant == *tenant);
            let from = after.map_or(Bound::Unbounded, |key| Bound::Excluded(&key.id));
            let rest = entities.range::<EntityId, _>((from, Bound::Unbounded));
            rest.map(|(id, entity)| RecentRow {
                key: EntityKey { tenant: tenant.clone(), id: id.clone() },
                entity: entity.clone(),
            })
        });
        rows.take(limit).collect()
    }
}

impl RecentEntity {
    fn nothing() -> Self {
        Self { head: Head::nothing(), removed: BTreeMap::new(), series: BTreeMap::new() }
    }

    /// What is known here of it apart from its series.
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// The attributes of which all data sets were removed.
    pub(crate) fn removed(&self) -> &BTreeMap<AttrName, Sequence> {
        &self.removed
    }

    /// The series of which anything is said here, in order.
    pub(crate) fn series(&self) -> impl Iterator<Item = &SeriesName> {
        self.series.keys()
    }

    /// What is said here of what earlier places hold of a series.
    pub(crate) fn corrections(&self, series: &SeriesName) -> Corrections {
        let all = self.removed.get(&series.0).copied().unwrap_or_default();
        let Some(series) = self.series.get(series) else {
            return Corrections { removed_upto: all, superseded: Vec::new() };
        };
        let superseded = series.superseded.iter();
        Corrections {
            removed_upto: series.removed_upto.max(all),
            superseded: superseded
                .map(|(number, version)| Superseded { number: *number, version: *version })
                .collect(),
        }
    }

    /// Shows the entries of a series, those of the last numbers first, for as long as the visitor
    /// wants to see more.
    pub(crate) fn visit(
        &self,
        series: &SeriesName,
        visitor: &mut dyn FnMut(&Entry) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let series = self.series.get(series);
        let mut entries = series.iter().flat_map(|series| series.entries.iter().rev());
        entries.try_for_each(visitor)
    }

    /// All entries of a series.
    pub(crate) fn entries(&self, series: &SeriesName) -> Vec<Entry> {
        let series = self.series.get(series);
        series.iter().flat_map(|series| series.entries.iter()).cloned().collect()
    }

    /// The entry of this number.
    pub(crate) fn entry(&self, series: &SeriesName, number: InstanceNumber) -> Option<&Entry> {
        self.series.get(series)?.entries.get(number)
    }

    /// What a change says of the entity apart from its series.
    fn note(&mut self, sequence: Sequence, step: &EvolutionStep) {
        let head = &mut self.head;
        head.add_types(step.types.clone());
        head.modified_at = head.modified_at.max(step.time);
        let records = step.effects.iter().any(|effect| matches!(effect, Effect::Record(..)));
        match step.existence {
            Existence::Created(time) => {
                head.created_at = head.created_at.min(time);
                head.existence_of = sequence;
                head.deleted_at = None;
            }
            Existence::Deleted(time) => {
                head.existence_of = sequence;
                head.deleted_at = Some(time);
            }
            Existence::Unchanged => {}
        }
        if records {
            head.created_at = head.created_at.min(step.time);
        }
    }

    /// Does one thing. Returns how many bytes more it takes, and how many instances.
    fn apply(&mut self, after: Sequence, version: Sequence, effect: Effect) -> (usize, usize) {
        match effect {
            Effect::Record(name, recorded) => {
                let (series, more) = self.series_of(name, recorded.instance.dataset_id().cloned());
                let more = more + size(&recorded);
                series.entries.insert(Entry { version, recorded });
                (more, 1)
            }
            Effect::Correct(name, recorded) => {
                let (series, more) = self.series_of(name, recorded.instance.dataset_id().cloned());
                let more = more + size(&recorded) + ROW;
                series.supersede(after, recorded.number, version);
                series.entries.insert(Entry { version, recorded });
                (more, 1)
            }
            Effect::RemoveInstance(name, dataset, number) => {
                let (series, more) = self.series_of(name, dataset);
                series.supersede(after, number, version);
                series.entries.remove(number);
                (more + ROW, 0)
            }
            Effect::RemoveAttribute(name, Datasets::One(dataset)) => {
                let (series, more) = self.series_of(name, dataset);
                series.remove(version);
                (more, 0)
            }
            Effect::RemoveAttribute(name, Datasets::All) => {
                let of_name =
                    self.series.iter_mut().filter(|((attribute, _), _)| *attribute == name);
                for (_, series) in of_name {
                    Arc::make_mut(series).remove(version);
                }
                let more = ROW + name.as_str().len();
                self.removed.insert(name, version);
                (more, 0)
            }
            Effect::RemoveAll => {
                self.series.clear();
                self.removed.clear();
                self.head = Head { removed_upto: version, ..Head::nothing() };
                (0, 0)
            }
        }
    }

    fn series_of(
        &mut self,
        name: AttrName,
        dataset: Option<DatasetId>,
    ) -> (&mut RecentSeries, usize) {
        let text = name.as_str().len() + dataset.as_ref().map_or(0, |id| id.as_str().len());
        let series = self.series.entry((name, dataset));
        let more = match &series {
            std::collections::btree_map::Entry::Vacant(_) => 2 * ROW + text,
            std::collections::btree_map::Entry::Occupied(_) => 0,
        };
        (Arc::make_mut(series.or_default()), more)
    }
}

impl RecentSeries {
    /// Older versions of an instance are not there any more. What was recorded in this table is
    /// simply taken out of it.
    fn supersede(&mut self, after: Sequence, number: InstanceNumber, version: Sequence) {
        if number.sequence <= after {
            self.superseded.insert(number, version);
        }
    }

    fn remove(&mut self, version: Sequence) {
        self.entries.clear();
        self.superseded.clear();
        self.removed_upto = version;
    }
}

/// What an instance takes in memory, about.
fn size(recorded: &Recorded) -> usize {
    let value = recorded.instance.value.json.as_str().len();
    let beside = recorded
        .instance
        .qualifiers
        .as_ref()
        .map_or(0, |qualifiers| 2 * ROW + attributes_size(&qualifiers.attributes));
    size_of::<Entry>() + ROW / 2 + value + beside
}

fn attributes_size(attributes: &[Attribute]) -> usize {
    let instances = attributes.iter().flat_map(|attribute| &attribute.instances);
    let each = instances.map(|instance| {
        2 * ROW + instance.value.json.as_str().len() + attributes_size(instance.attributes())
    });
    each.sum()
}
