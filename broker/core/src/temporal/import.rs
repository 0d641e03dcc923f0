//! History that was recorded elsewhere, or here before: it comes back with the times that it had.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use musubi_model::{
    AttrName, AttributeType, Cause, DatasetId, Entity, EntityId, EvolutionAction, EvolutionChange,
    EvolutionFragment, Instance, InstanceNumber, Json, KeptTimes, NewInstance, Recorded, Timestamp,
    TypeName,
};
use musubi_query::TemporalProperty;
use musubi_store::{EvolutionWrite, Group, Outline};

use super::places::{Places, too_much};
use super::repeated::says_the_same;
use crate::{Error, Right, Session, tenants};

/// An evolution, and of each attribute the times that its instances had.
pub type KeptEvolution = (EvolutionFragment, HashMap<AttrName, Vec<KeptTimes>>);

/// How many instances came of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Instances that are recorded now and were not before.
    pub recorded: u64,
    /// Instances that were recorded already.
    pub already_there: u64,
}

impl Imported {
    /// The most instances of one import.
    pub const MOST: usize = 10_000;
}

/// How long it takes at most to look for all that an import brings. Others wait for their turn.
const LONGEST: Duration = Duration::from_mins(1);

/// By what an instance is looked for: one that is the same has the same of all this.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Likeness {
    attribute: AttrName,
    dataset: Option<DatasetId>,
    kind: AttributeType,
    json: Json,
    observed_at: Option<Timestamp>,
    created_at: Timestamp,
    modified_at: Timestamp,
    deleted_at: Option<Timestamp>,
}

impl Likeness {
    fn of(attribute: &AttrName, instance: &Instance, deleted_at: Option<Timestamp>) -> Self {
        Self {
            attribute: attribute.clone(),
            dataset: instance.dataset_id().cloned(),
            kind: instance.value.kind,
            json: instance.value.json.clone(),
            observed_at: instance.observed_at,
            created_at: instance.created_at,
            modified_at: instance.modified_at,
            deleted_at,
        }
    }
}

/// The instances of one entity that an import brings.
struct Brought {
    id: EntityId,
    fragment: EvolutionFragment,
    kept: HashMap<AttrName, Vec<KeptTimes>>,
    /// Types that are new.
    types: Vec<TypeName>,
    /// Of each instance, whether it is recorded already.
    is_there: Vec<bool>,
}

impl Session {
    /// Records instances with the times that they carry. One that is recorded already, with the same
    /// times and saying the same, is left out, so an import may be repeated; one that is brought more
    /// often than it is recorded is recorded so much more often. Each evolution is recorded as a
    /// whole, and independently of the others.
    ///
    /// # Errors
    ///
    /// [`Error::BadRequestData`] if an evolution has no id or type, an instance without a value or
    /// with a time of the system that is yet to come, or too much of something;
    /// [`Error::TooComplex`] if too much is recorded to see what of it is brought again;
    /// [`Error::Forbidden`] if the caller may not see what is recorded of an entity already; nothing
    /// is recorded then. [`Error::NoHistory`]; [`Error::Store`].
    pub async fn import_evolutions(
        &self,
        evolutions: Vec<KeptEvolution>,
    ) -> Result<Imported, Error> {
        self.caller.require(Right::ImportHistory)?;
        self.history()?;
        few_enough(&evolutions)?;
        let ids = evolutions.iter().filter_map(|(fragment, _)| fragment.id.as_ref());
        // Two that import the same at once would both find nothing of it.
        let _turn = self.broker.shared().turns.take(&self.tenant, ids).await;
        let finding = tokio::time::timeout(LONGEST, self.all_brought(evolutions)).await;
        let all = finding.unwrap_or_else(|_| Err(too_much()))?;
        // Finding takes its time, and who follows what is modified relies on when that was.
        let now = self.now();
        let mut imported = Imported::default();
        let mut changes = Vec::new();
        for brought in all {
            changes.extend(brought.change(now, &mut imported)?);
        }
        self.commit_import(changes, now).await?;
        Ok(imported)
    }

    /// What is brought of each entity, and what of it is there.
    async fn all_brought(&self, evolutions: Vec<KeptEvolution>) -> Result<Vec<Brought>, Error> {
        let mut taken = HashSet::new();
        let mut all = Vec::with_capacity(evolutions.len());
        for (fragment, kept) in evolutions {
            all.push(self.brought(fragment, kept, &mut taken).await?);
        }
        Ok(all)
    }

    /// What is brought of one entity, and what of it is there.
    async fn brought(
        &self,
        fragment: EvolutionFragment,
        kept: HashMap<AttrName, Vec<KeptTimes>>,
        taken: &mut HashSet<InstanceNumber>,
    ) -> Result<Brought, Error> {
        let Some(id) = fragment.id.clone().filter(|_| !fragment.types.is_empty()) else {
            let reason = "an entity needs an id and at least one type";
            return Err(Error::BadRequestData(reason.to_owned()));
        };
        let outline = self.outline_to_extend(&id).await?.unwrap_or_default();
        let new_types = fragment.types.iter().filter(|name| !outline.types.contains(name));
        let types: Vec<_> = new_types.cloned().collect();
        if outline.types.len() + types.len() > Entity::MAX_TYPES {
            let reason = format!("an entity has at most {} types", Entity::MAX_TYPES);
            return Err(Error::BadRequestData(reason));
        }
        let now = self.now();
        let mut given = fragment.clone().record(now)?;
        give_times(&mut given, &kept);
        if let Some((name, _)) = given.iter().find(|(_, new)| new.instance.modified_at > now) {
            let reason =
                format!("an instance of {name} was modified at a time that is yet to come");
            return Err(Error::BadRequestData(reason));
        }
        let is_there = self.there(&id, &outline, &given, taken).await?;
        Ok(Brought { id, fragment, kept, types, is_there })
    }

    /// Of each of the given instances, whether it is recorded already, as one that is not taken yet.
    async fn there(
        &self,
        id: &EntityId,
        outline: &Outline,
        given: &[(AttrName, NewInstance)],
        taken: &mut HashSet<InstanceNumber>,
    ) -> Result<Vec<bool>, Error> {
        let known: HashSet<&AttrName> = outline.series.iter().map(|(name, _)| name).collect();
        let mut places = Places::new(TemporalProperty::ModifiedAt);
        let mut wanted: HashMap<Likeness, Vec<Recorded>> = HashMap::new();
        for (name, NewInstance { instance, deleted_at }) in given {
            if known.contains(name) {
                places.add(name, instance.dataset_id(), instance.modified_at);
                wanted.entry(Likeness::of(name, instance, *deleted_at)).or_default();
            }
        }
        self.recorded_at(id, places, |name, recorded| {
            let likeness = Likeness::of(name, &recorded.instance, recorded.deleted_at);
            let is_free = !taken.contains(&recorded.number);
            if let Some(there) = wanted.get_mut(&likeness).filter(|_| is_free) {
                there.push(recorded);
            }
        })
        .await?;
        let mut is_there = Vec::with_capacity(given.len());
        for (name, NewInstance { instance, deleted_at }) in given {
            let there = wanted.get_mut(&Likeness::of(name, instance, *deleted_at));
            let same = there.and_then(|there| {
                let is_same = |one: &Recorded| says_the_same(&one.instance, instance);
                there.iter().rposition(is_same).map(|at| there.swap_remove(at))
            });
            is_there.push(same.is_some());
            taken.extend(same.map(|same| same.number));
        }
        Ok(is_there)
    }

    /// Commits one group for each evolution.
    async fn commit_import(
        &self,
        changes: Vec<EvolutionChange>,
        time: Timestamp,
    ) -> Result<(), Error> {
        let most = self.broker.rules().entity_limit;
        for change in &changes {
            let size = change.text_size();
            if size > most {
                return Err(Error::BadRequestData(format!(
                    "there are {size} bytes of names and values to record of {}, and at most \
                     {most} are taken at once",
                    change.id
                )));
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        let tenant = &self.tenant;
        let is_known = self.broker.shared().tenants.is_known(tenant);
        let mut groups = Vec::with_capacity(changes.len());
        for (index, change) in changes.into_iter().enumerate() {
            let is_first = index == 0 && !is_known;
            let records = if is_first { vec![tenants::creation(tenant)] } else { Vec::new() };
            let evolutions = vec![EvolutionWrite { tenant: tenant.clone(), change }];
            let (cause, writes) = (Cause::Request, Vec::new());
            groups.push(Group { time, cause, writes, records, evolutions });
        }
        for outcome in self.commit(groups).await? {
            outcome.map_err(|_| Error::Internal("what expects nothing was refused".to_owned()))?;
        }
        Ok(())
    }
}

impl Brought {
    /// What is to be recorded, if anything is.
    fn change(
        self,
        now: Timestamp,
        imported: &mut Imported,
    ) -> Result<Option<EvolutionChange>, Error> {
        let Self { id, fragment, kept, types, is_there } = self;
        let mut given = fragment.record(now)?;
        give_times(&mut given, &kept);
        let mut instances = Vec::new();
        for (new, is_there) in given.into_iter().zip(is_there) {
            if is_there {
                imported.already_there += 1;
            } else {
                imported.recorded += 1;
                instances.push(new);
            }
        }
        if types.is_empty() && instances.is_empty() {
            return Ok(None);
        }
        Ok(Some(EvolutionChange { id, action: EvolutionAction::Add { types, instances } }))
    }
}

fn few_enough(evolutions: &[KeptEvolution]) -> Result<(), Error> {
    let attributes = evolutions.iter().flat_map(|(fragment, _)| &fragment.attributes);
    if attributes.map(|(_, records)| records.len()).sum::<usize>() > Imported::MOST {
        let reason = format!("an import has at most {} instances", Imported::MOST);
        return Err(Error::BadRequestData(reason));
    }
    Ok(())
}

/// Gives the instances the times that they had. They are in the order of the request, attribute by
/// attribute.
fn give_times(given: &mut [(AttrName, NewInstance)], kept: &HashMap<AttrName, Vec<KeptTimes>>) {
    let mut counted: HashMap<AttrName, usize> = HashMap::new();
    for (name, new) in given {
        let index = counted.entry(name.clone()).or_default();
        if let Some(kept) = kept.get(name).and_then(|kept| kept.get(*index)) {
            kept.give(&mut new.instance);
        }
        *index += 1;
    }
}
