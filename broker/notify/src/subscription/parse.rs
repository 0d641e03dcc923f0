//! From a body to a subscription (CIM 009, clauses 5.8.1.4 and 5.8.2.4).

use musubi_context::{Context, ContextSource};
use musubi_model::{AttrName, Document, Node, Timestamp, Trigger};
use musubi_query::{GeoQuery, Query, ScopeQuery};

use super::endpoint::{NotificationParameters, read_attributes};
use super::member::Member;
use super::selector::EntitySelector;
use super::{InvalidSubscription, Subscription, SubscriptionId, Written, WrittenGeoQuery};
use crate::terms::ContextTerms;

/// A subscription in the making: what has to be there may still be missing.
pub(super) struct Draft {
    id: Option<SubscriptionId>,
    name: Option<String>,
    description: Option<String>,
    entities: Vec<EntitySelector>,
    watched_attributes: Vec<AttrName>,
    triggers: Option<Vec<Trigger>>,
    throttling: Option<f64>,
    query: Option<Written<Query>>,
    geo_query: Option<WrittenGeoQuery>,
    scope_query: Option<Written<ScopeQuery>>,
    is_active: Option<bool>,
    expires_at: Option<Timestamp>,
    local_only: Option<bool>,
    split_entities: Option<bool>,
    notification: Option<NotificationParameters>,
    pub(super) context: ContextSource,
    created_at: Timestamp,
    now: Timestamp,
}

/// The members that only answers have (CIM 009, clause 5.2.12). Ignored on input, as is the
/// context, which has been read when this is reached.
const IGNORED: [&str; 4] = ["@context", "status", "createdAt", "modifiedAt"];

/// What the specification knows and this broker does not do.
const UNSUPPORTED: [&str; 8] = [
    "csf",
    "datasetId",
    "expandValues",
    "jsonKeys",
    "lang",
    "ngsildConformance",
    "temporalQ",
    "timeInterval",
];

/// The longest text of a name, a description or a query, in bytes.
const MAX_TEXT: usize = 16 * 1024;

impl Draft {
    pub(super) fn new(context: ContextSource, now: Timestamp) -> Self {
        Self {
            id: None,
            name: None,
            description: None,
            entities: Vec::new(),
            watched_attributes: Vec::new(),
            triggers: None,
            throttling: None,
            query: None,
            geo_query: None,
            scope_query: None,
            is_active: None,
            expires_at: None,
            local_only: None,
            split_entities: None,
            notification: None,
            context,
            created_at: now,
            now,
        }
    }

    pub(super) fn of(subscription: Subscription, now: Timestamp) -> Self {
        Self {
            id: Some(subscription.id),
            name: subscription.name,
            description: subscription.description,
            entities: subscription.entities,
            watched_attributes: subscription.watched_attributes,
            triggers: subscription.triggers,
            throttling: subscription.throttling,
            query: subscription.query,
            geo_query: subscription.geo_query,
            scope_query: subscription.scope_query,
            is_active: subscription.is_active,
            expires_at: subscription.expires_at,
            local_only: subscription.local_only,
            split_entities: subscription.split_entities,
            notification: Some(subscription.notification),
            context: subscription.context,
            created_at: subscription.created_at,
            now,
        }
    }

    /// Reads the body of a creation.
    pub(super) fn create(
        &mut self,
        body: &Node<'_>,
        context: &Context,
    ) -> Result<(), InvalidSubscription> {
        let body = Member { at: String::new(), node: body };
        let members = members_of(&body)?;
        if !members.iter().any(|(name, _)| *name == "type") {
            return Err(body.missing("type"));
        }
        for (name, value) in members {
            self.set(name, &value, context)?;
        }
        Ok(())
    }

    /// Reads the body of an update.
    pub(super) fn patch(
        &mut self,
        body: &Node<'_>,
        context: &Context,
    ) -> Result<(), InvalidSubscription> {
        let body = Member { at: String::new(), node: body };
        for (name, value) in members_of(&body)? {
            if value.is_null() {
                self.remove(name, &value)?;
            } else {
                self.set(name, &value, context)?;
            }
        }
        Ok(())
    }

    fn set(
        &mut self,
        name: &str,
        value: &Member<'_>,
        context: &Context,
    ) -> Result<(), InvalidSubscription> {
        match name {
            "id" => self.set_id(value)?,
            "type" if value.text()? == "Subscription" => {}
            "type" => return Err(value.refuse("the type is Subscription")),
            "subscriptionName" => self.name = Some(bounded(value)?.to_owned()),
            "description" => self.description = Some(bounded(value)?.to_owned()),
            "entities" => {
                let items = value.items()?;
                let read = items.iter().map(|item| EntitySelector::read(item, context));
                self.entities = read.collect::<Result<_, _>>()?;
            }
            "watchedAttributes" => self.watched_attributes = read_attributes(value, context)?,
            "notificationTrigger" => self.triggers = Some(read_triggers(value)?),
            "throttling" => self.throttling = Some(value.positive()?),
            "q" => self.query = Some(read_query(value, context)?),
            "geoQ" => self.geo_query = Some(read_geo_query(value, context)?),
            "scopeQ" => self.scope_query = Some(read_scope_query(value)?),
            "isActive" => self.is_active = Some(value.boolean()?),
            "expiresAt" => self.expires_at = Some(self.read_end(value)?),
            "localOnly" => self.local_only = Some(value.boolean()?),
            "splitEntities" if value.boolean()? => {
                return Err(value.unsupported("entities are never split here"));
            }
            "splitEntities" => self.split_entities = Some(false),
            "notification" => {
                self.notification = Some(NotificationParameters::read(value, context)?);
            }
            "jsonldContext" => drop(value.text()?),
            _ if IGNORED.contains(&name) => {}
            _ if UNSUPPORTED.contains(&name) => {
                return Err(value.unsupported("subscriptions do not support this yet"));
            }
            _ => return Err(value.refuse("a subscription has no such member")),
        }
        Ok(())
    }

    /// Takes a member away.
    fn remove(&mut self, name: &str, value: &Member<'_>) -> Result<(), InvalidSubscription> {
        match name {
            "subscriptionName" => self.name = None,
            "description" => self.description = None,
            "entities" => self.entities.clear(),
            "watchedAttributes" => self.watched_attributes.clear(),
            "notificationTrigger" => self.triggers = None,
            "throttling" => self.throttling = None,
            "q" => self.query = None,
            "geoQ" => self.geo_query = None,
            "scopeQ" => self.scope_query = None,
            "isActive" => self.is_active = None,
            "expiresAt" => self.expires_at = None,
            "localOnly" => self.local_only = None,
            "splitEntities" => self.split_entities = None,
            _ if IGNORED.contains(&name) || UNSUPPORTED.contains(&name) => {}
            _ => return Err(value.refuse("this member cannot be removed")),
        }
        Ok(())
    }

    fn set_id(&mut self, value: &Member<'_>) -> Result<(), InvalidSubscription> {
        let id: SubscriptionId = value.text()?.parse().map_err(|error| value.refuse(error))?;
        if self.id.as_ref().is_some_and(|current| *current != id) {
            return Err(value.refuse("the id of a subscription does not change"));
        }
        self.id = Some(id);
        Ok(())
    }

    fn read_end(&self, value: &Member<'_>) -> Result<Timestamp, InvalidSubscription> {
        let end = value.time()?;
        if end > self.now { Ok(end) } else { Err(value.refuse("a time in the future is needed")) }
    }

    /// The subscription, if all that has to be there is.
    pub(super) fn finish(self, fresh: SubscriptionId) -> Result<Subscription, InvalidSubscription> {
        let required = |at, reason| Err(InvalidSubscription::forbidden(at, reason));
        let Some(notification) = self.notification else {
            return required("/notification", "this member is required");
        };
        let everything = self.entities.is_empty() && self.watched_attributes.is_empty();
        if everything && self.local_only != Some(true) {
            return required("/entities", "one of entities and watchedAttributes is required");
        }
        Ok(Subscription {
            id: self.id.unwrap_or(fresh),
            name: self.name,
            description: self.description,
            entities: self.entities,
            watched_attributes: self.watched_attributes,
            triggers: self.triggers,
            throttling: self.throttling,
            query: self.query,
            geo_query: self.geo_query,
            scope_query: self.scope_query,
            is_active: self.is_active,
            expires_at: self.expires_at,
            local_only: self.local_only,
            split_entities: self.split_entities,
            notification,
            context: self.context,
            created_at: self.created_at,
            modified_at: self.now,
        })
    }
}

fn members_of<'a>(body: &Member<'a>) -> Result<Vec<(&'a str, Member<'a>)>, InvalidSubscription> {
    body.members().map_err(|_| InvalidSubscription::forbidden("/", "an object is needed"))
}

fn bounded<'a>(value: &Member<'a>) -> Result<&'a str, InvalidSubscription> {
    let text = value.text()?;
    if text.len() > MAX_TEXT {
        return Err(value.refuse(format_args!("at most {MAX_TEXT} bytes are allowed")));
    }
    Ok(text)
}

fn read_triggers(value: &Member<'_>) -> Result<Vec<Trigger>, InvalidSubscription> {
    let mut triggers = Vec::new();
    for item in value.items()? {
        let trigger = match item.text()? {
            "entityCreated" => Trigger::EntityCreated,
            "entityUpdated" => Trigger::EntityUpdated,
            "entityDeleted" => Trigger::EntityDeleted,
            "attributeCreated" => Trigger::AttributeCreated,
            "attributeUpdated" => Trigger::AttributeUpdated,
            "attributeDeleted" => Trigger::AttributeDeleted,
            _ => return Err(item.refuse("entity or attribute with Created, Updated or Deleted is needed, as in attributeUpdated")),
        };
        if !triggers.contains(&trigger) {
            triggers.push(trigger);
        }
    }
    Ok(triggers)
}

fn read_query(
    value: &Member<'_>,
    context: &Context,
) -> Result<Written<Query>, InvalidSubscription> {
    let text = bounded(value)?;
    let meaning = Query::parse(text, &ContextTerms(context)).map_err(|e| value.refuse(e))?;
    // A change is looked at for itself: what it is linked with is not known where it is matched.
    if meaning.link_depth() > 0 {
        return Err(value.unsupported("subscriptions do not look into linked entities"));
    }
    Ok(Written { text: text.to_owned(), meaning })
}

fn read_scope_query(value: &Member<'_>) -> Result<Written<ScopeQuery>, InvalidSubscription> {
    let text = bounded(value)?;
    let meaning = ScopeQuery::parse(text).map_err(|error| value.refuse(error))?;
    Ok(Written { text: text.to_owned(), meaning })
}

fn read_geo_query(
    value: &Member<'_>,
    context: &Context,
) -> Result<WrittenGeoQuery, InvalidSubscription> {
    let (mut relation, mut geometry, mut coordinates, mut property) = (None, None, None, None);
    for (name, item) in value.members()? {
        match name {
            "georel" => relation = Some(bounded(&item)?),
            "geometry" => geometry = Some(bounded(&item)?),
            "coordinates" => coordinates = Some(item.node),
            "geoproperty" => property = Some(bounded(&item)?),
            _ => return Err(item.refuse("a geo query has no such member")),
        }
    }
    let relation = relation.ok_or_else(|| value.missing("georel"))?;
    let geometry = geometry.ok_or_else(|| value.missing("geometry"))?;
    let coordinates = coordinates.ok_or_else(|| value.missing("coordinates"))?;
    let given = coordinates.to_json();
    // The array may also be written as a string that holds it (CIM 009, clause 4.7.1).
    let text = coordinates.as_str().unwrap_or(given.as_str());
    let meaning = GeoQuery::parse(relation, geometry, text, property, &ContextTerms(context))
        .map_err(|error| value.refuse(error))?;
    Ok(WrittenGeoQuery {
        relation: relation.to_owned(),
        geometry: geometry.to_owned(),
        coordinates: given,
        property_given: property.is_some(),
        meaning,
    })
}

/// The context that `jsonldContext` names.
pub(super) fn context_url<'a>(body: &'a Node<'_>) -> Result<Option<&'a str>, InvalidSubscription> {
    let Some(node) = body.member("jsonldContext") else { return Ok(None) };
    let refuse = |reason: &str| InvalidSubscription::forbidden("/jsonldContext", reason);
    let Document::String(text) = &node.document else {
        return Err(refuse("the URL of an @context is needed"));
    };
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Some(text)),
        _ => Err(refuse("the URL of an @context is needed")),
    }
}
