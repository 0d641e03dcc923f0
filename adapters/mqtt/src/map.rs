//! What a message becomes, as its mapping file says. Pure.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use musubi_adapter_kit::{
    DeadLetter, Devices, Format, Group, Input, Item, Mapper, MappingError, MappingFile, MqttSource,
    Skip, Source, Unmapped,
};
use musubi_context::Context;
use musubi_model::{EntityFragment, EntityId, Limits, Node, Patch, Tenant, Timestamp, TypeName};
use smallvec::SmallVec;

use crate::measures::{self, Reading, Refusal};
use crate::topic::device_filters;
use crate::{Message, TopicFilter, TopicVars, device_topic};

/// A message that a broker had kept and that does not say of when it is.
pub(crate) const RETAINED: Skip = Skip("retained");

/// A message to a topic that no mapping names.
pub(crate) const UNKNOWN_TOPIC: Skip = Skip("unknown_topic");

/// The compiled mapping file of an MQTT source.
///
/// Topics of the JSON dialect (`/json/{key}/{device}/attrs` and its variants) belong to the
/// group of that key. Without `[[entity]]`, a group's message maps member by member to the
/// entity `urn:ngsi-ld:{type}:{device}`. With `[[entity]]`, every message maps as that says, and
/// expressions see `topic.key`, `topic.device` and the variables of `topic_vars`.
#[derive(Debug)]
pub struct Mapping {
    name: String,
    tenant: Tenant,
    context: Context,
    groups: BTreeMap<String, DeviceGroup>,
    topics: Vec<TopicFilter>,
    vars: Option<TopicVars>,
    mapper: Option<Mapper>,
}

#[derive(Debug)]
struct DeviceGroup {
    tenant: Tenant,
    entity_type: TypeName,
    /// The beginning of every id of the group.
    prefix: String,
    any: bool,
    known: BTreeMap<String, serde_json::Value>,
}

/// What a message became.
#[derive(Clone, Debug)]
pub struct Mapped {
    /// Whose data it is. Decided by the message's topic alone.
    pub tenant: Tenant,
    /// What is to be written, in this order; dead letters among it.
    pub items: Vec<Item>,
    /// What was left out, and why.
    pub skipped: Vec<(Skip, String)>,
    /// The key of the group and the device, if the device is not a known one.
    pub unknown: Option<(String, String)>,
    /// By what the same message is known again, if the mapping file says so.
    pub dedup: Option<String>,
}

/// What a topic says.
struct Route<'a> {
    group: Option<(&'a str, &'a DeviceGroup)>,
    device: Option<&'a str>,
    measure: Option<&'a str>,
    vars: SmallVec<[(&'a str, &'a str); 3]>,
}

impl Mapping {
    /// Compiles the file, its terms expanded by `context`.
    ///
    /// # Errors
    ///
    /// [`MappingError`] if the file is not for this source, names no topics, or names something
    /// that is not valid.
    pub fn new(file: &MappingFile, context: &Context) -> Result<Self, MappingError> {
        let Source::Mqtt(source) = &file.source else {
            return Err(file.error("this is no mapping of an MQTT source"));
        };
        check(file, source)?;
        let refuse = |error: &dyn std::fmt::Display| file.error(error.to_string());
        let vars = source
            .topic_vars
            .as_deref()
            .map(str::parse::<TopicVars>)
            .transpose()
            .map_err(|error| refuse(&error))?;
        let mut topics = source.topics.clone();
        if topics.is_empty() {
            topics.extend(vars.iter().map(TopicVars::filter));
        }
        let topics = topics
            .iter()
            .map(|topic| topic.parse::<TopicFilter>())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| refuse(&error))?;
        let groups = file
            .groups
            .iter()
            .map(|(key, group)| Ok((key.clone(), device_group(file, key, group, context)?)))
            .collect::<Result<_, MappingError>>()?;
        let mapper =
            if file.entities.is_empty() { None } else { Some(Mapper::new(file, context)?) };
        Ok(Self {
            name: file.name.clone(),
            tenant: file.tenant.clone(),
            context: context.clone(),
            groups,
            topics,
            vars,
            mapper,
        })
    }

    /// The filters to subscribe to at a broker.
    pub fn subscriptions(&self) -> Vec<String> {
        let topics = self.topics.iter().map(|filter| filter.as_str().to_owned());
        topics.chain(self.groups.keys().flat_map(|key| device_filters(key))).collect()
    }

    /// Whether a message to this topic is one of this mapping.
    pub fn wants(&self, topic: &str) -> bool {
        self.route(topic).is_some()
    }

    /// The tenants that messages may belong to.
    pub fn tenants(&self) -> Vec<Tenant> {
        let mut tenants = vec![self.tenant.clone()];
        for group in self.groups.values() {
            if !tenants.contains(&group.tenant) {
                tenants.push(group.tenant.clone());
            }
        }
        tenants
    }

    /// What a message becomes. A message that cannot be used becomes a dead letter, and so does
    /// one over which the mapping panics: it would come again and again, and nothing after it.
    pub fn map(&self, message: &Message) -> Mapped {
        self.unless_it_panics(message, || self.map_by_route(message))
    }

    fn unless_it_panics(&self, message: &Message, map: impl FnOnce() -> Mapped) -> Mapped {
        catch_unwind(AssertUnwindSafe(map)).unwrap_or_else(|_| {
            let reason = "the mapping has a bug that this message shows".to_owned();
            tracing::error!(adapter = &*self.name, topic = &*message.topic, "{reason}");
            let mut outcome = self.nothing();
            self.bury(message, (Skip::BAD_VALUE, reason), &mut outcome);
            outcome
        })
    }

    fn nothing(&self) -> Mapped {
        Mapped {
            tenant: self.tenant.clone(),
            items: Vec::new(),
            skipped: Vec::new(),
            unknown: None,
            dedup: None,
        }
    }

    fn map_by_route(&self, message: &Message) -> Mapped {
        let mut outcome = self.nothing();
        let Some(route) = self.route(&message.topic) else {
            let reason = match device_topic(&message.topic) {
                Some(topic) => format!("no group has the key {:?}", topic.key),
                None => "no mapping names this topic".to_owned(),
            };
            self.bury(message, (UNKNOWN_TOPIC, reason), &mut outcome);
            return outcome;
        };
        if let (Some((key, group)), Some(device)) = (route.group, route.device) {
            outcome.tenant = group.tenant.clone();
            if !group.any && !group.known.contains_key(device) {
                outcome.unknown = Some((key.to_owned(), device.to_owned()));
                let reason = format!("{device:?} is no known device of the group {key:?}");
                self.bury(message, (Skip::UNKNOWN_DEVICE, reason), &mut outcome);
                return outcome;
            }
        }
        match (&self.mapper, route.group, route.device) {
            (Some(mapper), _, _) => self.map_by_file(mapper, message, &route, &mut outcome),
            (None, Some((_, group)), Some(device)) => {
                self.map_plainly((group, device), &route, message, &mut outcome);
            }
            (None, _, _) => {
                let reason = "the topic names no device".to_owned();
                self.bury(message, (UNKNOWN_TOPIC, reason), &mut outcome);
            }
        }
        outcome
    }

    fn route<'a>(&'a self, topic: &'a str) -> Option<Route<'a>> {
        if let Some(found) = device_topic(topic)
            && let Some((key, group)) = self.groups.get_key_value(found.key)
        {
            let mut vars = SmallVec::new();
            vars.extend([("key", found.key), ("device", found.device)]);
            vars.extend(found.measure.map(|measure| ("measure", measure)));
            return Some(Route {
                group: Some((key, group)),
                device: Some(found.device),
                measure: found.measure,
                vars,
            });
        }
        if !self.topics.iter().any(|filter| filter.matches(topic)) {
            return None;
        }
        let vars = match &self.vars {
            Some(vars) => vars.extract(topic)?.into(),
            None => SmallVec::new(),
        };
        let of =
            |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let group = match of("key") {
            Some(key) => self.groups.get_key_value(key),
            None if self.groups.len() == 1 => self.groups.first_key_value(),
            None => None,
        };
        let group = group.map(|(key, group)| (key.as_str(), group));
        Some(Route { group, device: of("device"), measure: None, vars })
    }

    fn map_by_file(
        &self,
        mapper: &Mapper,
        message: &Message,
        route: &Route<'_>,
        outcome: &mut Mapped,
    ) {
        let parsed = match json(&message.payload) {
            Ok(parsed) => parsed,
            Err(refusal) => {
                self.bury(message, refusal, outcome);
                return;
            }
        };
        let known = route.group.zip(route.device);
        let input = Input {
            topic: route
                .vars
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            message: parsed,
            device: known
                .and_then(|((_, group), device)| group.known.get(device).cloned())
                .unwrap_or_default(),
            arrival: message.at,
            origin: message.topic.to_string(),
            payload: message.payload.clone(),
        };
        let mut notes = Vec::new();
        match mapper.map_noting(&input, &mut notes) {
            Ok(entities) if message.retained && !says_when(&entities, message.at) => {
                outcome.skipped.push(old());
            }
            Ok(entities) => {
                outcome.dedup = mapper.dedup_key(&input);
                outcome.items.push(item(message, entities));
            }
            Err(Unmapped::Filtered { .. }) => {
                outcome.skipped.push((Skip::FILTERED, "a filter does not want it".to_owned()));
            }
            Err(Unmapped::Unusable { skip, reason }) => {
                self.bury(message, (skip, reason), outcome);
            }
        }
        outcome.skipped.extend(notes.into_iter().map(|note| (note.skip, note.reason)));
    }

    fn map_plainly(
        &self,
        (group, device): (&DeviceGroup, &str),
        route: &Route<'_>,
        message: &Message,
        outcome: &mut Mapped,
    ) {
        let id = match [group.prefix.as_str(), device].concat().parse::<EntityId>() {
            Ok(id) => id,
            Err(error) => {
                self.bury(message, (Skip::BAD_ID, error.to_string()), outcome);
                return;
            }
        };
        let readings = match route.measure {
            Some(measure) => {
                measures::single(measure, &message.payload, &self.context).map(|one| vec![Ok(one)])
            }
            None => measures::readings(&message.payload, &self.context),
        };
        let mut usable: Vec<Reading> = Vec::new();
        for reading in readings.unwrap_or_else(|refusal| vec![Err(refusal)]) {
            match reading {
                Ok(mut reading) => {
                    outcome.skipped.append(&mut reading.skipped);
                    if message.retained && reading.at.is_none() {
                        outcome.skipped.push(old());
                    } else if !reading.attributes.is_empty() {
                        usable.push(reading);
                    }
                }
                Err(refusal) => self.bury(message, refusal, outcome),
            }
        }
        // A device that was offline sends what it has, in any order; the newest has to win.
        usable.sort_by_key(|reading| reading.at.unwrap_or(message.at));
        for reading in usable {
            let entity = EntityFragment {
                id: Some(id.clone()),
                types: vec![group.entity_type.clone()],
                attributes: measures::observed(
                    reading.attributes,
                    reading.at.unwrap_or(message.at),
                ),
                ..EntityFragment::default()
            };
            outcome.items.push(item(message, vec![entity]));
        }
    }

    fn bury(&self, message: &Message, (skip, reason): Refusal, outcome: &mut Mapped) {
        let mut item = item(message, Vec::new());
        let (topic, payload) = (&message.topic, &message.payload);
        item.dead_letters.push(DeadLetter::new(&self.name, topic, &*reason, payload, message.at));
        outcome.items.push(item);
        outcome.skipped.push((skip, reason));
    }
}

fn check(file: &MappingFile, source: &MqttSource) -> Result<(), MappingError> {
    if file.map.is_some() {
        return Err(file.error("[map] is not for MQTT: use [groups.KEY] or [[entity]]"));
    }
    if file.decode.format.is_some_and(|format| format != Format::Json) {
        return Err(file.error("messages of MQTT are read as JSON"));
    }
    if file.groups.is_empty() && file.entities.is_empty() {
        return Err(file.error("nothing says what a message becomes: [groups.KEY] or [[entity]]"));
    }
    let named = !source.topics.is_empty() || source.topic_vars.is_some();
    if file.groups.is_empty() && !named {
        return Err(file.error("[source] names no topics"));
    }
    if named && file.entities.is_empty() && source.topic_vars.is_none() {
        return Err(file.error(
            "topics that are not of the JSON dialect need [[entity]], or topic_vars with {device}",
        ));
    }
    Ok(())
}

fn device_group(
    file: &MappingFile,
    key: &str,
    group: &Group,
    context: &Context,
) -> Result<DeviceGroup, MappingError> {
    if key.is_empty() || key.contains(['/', '+', '#', '\0']) {
        return Err(file.error(format!("the key {key:?} of a group is no level of a topic")));
    }
    let name = &group.entity_type;
    let entity_type = context.entity_type(name).map_err(|error| file.error(error.to_string()))?;
    let short = name.rsplit(['/', '#', ':']).next().filter(|short| !short.is_empty());
    Ok(DeviceGroup {
        tenant: group.tenant.clone().unwrap_or_else(|| file.tenant.clone()),
        entity_type,
        prefix: format!("urn:ngsi-ld:{}:", short.unwrap_or(name)),
        any: group.devices == Devices::Any,
        known: group.known.clone(),
    })
}

/// The tree of a payload, held to the same rules as every other JSON that comes in.
fn json(payload: &[u8]) -> Result<serde_json::Value, Refusal> {
    let text = std::str::from_utf8(payload)
        .map_err(|_| (Skip::UNREADABLE, "the payload is no UTF-8 text".to_owned()))?;
    let refuse = |error: &dyn std::fmt::Display| {
        (Skip::UNREADABLE, format!("the payload is no JSON: {error}"))
    };
    Node::parse(text, Limits::default()).map_err(|error| refuse(&error))?;
    serde_json::from_str(text).map_err(|error| refuse(&error))
}

fn item(message: &Message, entities: Vec<EntityFragment>) -> Item {
    Item {
        entities,
        state: Vec::new(),
        dead_letters: Vec::new(),
        origin: message.topic.to_string(),
        payload: message.payload.clone(),
        arrival: message.at,
    }
}

fn old() -> Refusal {
    (RETAINED, "a broker had kept it, and it does not say of when it is".to_owned())
}

/// Whether the values have a time of their own, and not that of their arrival.
fn says_when(entities: &[EntityFragment], arrival: Timestamp) -> bool {
    entities
        .iter()
        .flat_map(|entity| &entity.attributes)
        .flat_map(|attribute| &attribute.instances)
        .all(|instance| match &instance.observed_at {
            Patch::Set(at) => *at != arrival,
            Patch::Keep | Patch::Remove => false,
        })
}

#[cfg(test)]
mod tests;
