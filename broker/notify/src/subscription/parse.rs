//! From a body to a subscription (CIM 009, clauses 5.8.1.4, 5.8.2.4 and 5.5.8).

use musubi_context::Context;
use musubi_model::{AttrName, Document, Node, Timestamp, Trigger};
use musubi_query::{Query, QueryOptions, ScopeQuery};
use musubi_view::{Datasets, Languages, Version};
use percent_encoding::percent_decode_str;

use super::geo_query::WrittenGeoQuery;
use super::member::Member;
use super::member_names::meant_by;
use super::parameters::{NotificationParameters, read_attributes, read_texts};
use super::selector::EntitySelector;
use super::silent_for::SilentFor;
use super::{InvalidSubscription, Status, Subscription, SubscriptionId, Written};
use crate::matching::terms::ContextTerms;

/// The members that only answers have (CIM 009, clause 5.2.12). Ignored on input, as is the
/// context, which has been read when this is reached.
const IGNORED: [&str; 4] = ["@context", "status", "createdAt", "modifiedAt"];

/// What the specification knows and this broker does not do.
const UNSUPPORTED: [&str; 2] = ["csf", "temporalQ"];

/// The shortest time between two periodic notifications, in seconds.
const SHORTEST_INTERVAL: f64 = 0.1;

/// The subscription in the body of a creation, which is to have the id `fresh` if it names none.
pub(super) fn create(
    body: &Node<'_>,
    (context, notified_in): (&Context, &Context),
    fresh: SubscriptionId,
    now: Timestamp,
) -> Result<Subscription, InvalidSubscription> {
    let body = Member { at: String::new(), node: body };
    let members = members_of(&body)?;
    let find = |name: &str| members.iter().find(|(other, _)| *other == name);
    if find("type").is_none() {
        return Err(body.missing("type"));
    }
    let Some((_, notification)) = find("notification") else {
        return Err(body.missing("notification"));
    };
    let notification = NotificationParameters::read(notification, context)?;
    let mut subscription = Subscription::new(fresh, notification, notified_in.source(), now);
    if let Some((_, id)) = find("id") {
        subscription.id = read_id(id)?;
    }
    Edit { subscription: &mut subscription, context, now, creates: true }.apply(&members)?;
    subscription.check()?;
    Ok(subscription)
}

/// The subscription with the body of an update merged into it.
pub(super) fn patch(
    mut subscription: Subscription,
    body: &Node<'_>,
    (context, notified_in): (&Context, Option<&Context>),
    now: Timestamp,
) -> Result<Subscription, InvalidSubscription> {
    let body = Member { at: String::new(), node: body };
    let members = members_of(&body)?;
    let has = |name: &str| members.iter().any(|(other, _)| *other == name);
    let was = subscription.status(now);
    Edit { subscription: &mut subscription, context, now, creates: false }.apply(&members)?;
    // Clause 5.8.2.4: another end alone makes an expired subscription active, paused or not.
    if was == Status::Expired && has("expiresAt") && !has("isActive") {
        subscription.is_active = subscription.is_active.map(|_| true);
    }
    if let Some(notified_in) = notified_in {
        subscription.context = notified_in.source();
    }
    subscription.modified_at = now;
    subscription.check()?;
    Ok(subscription)
}

/// A subscription while the members of a body are brought into it.
struct Edit<'a> {
    subscription: &'a mut Subscription,
    context: &'a Context,
    now: Timestamp,
    creates: bool,
}

impl Edit<'_> {
    fn apply(&mut self, members: &[(&str, Member<'_>)]) -> Result<(), InvalidSubscription> {
        let before = self.query_options();
        // How `q` is read depends on other members, so it comes last.
        let (queries, others): (Vec<_>, Vec<_>) =
            members.iter().partition(|(name, _)| *name == "q");
        for (name, value) in others.into_iter().chain(queries.iter().copied()) {
            if value.is_null() && !self.creates {
                self.remove(name, value)?;
            } else {
                self.set(name, value)?;
            }
        }
        let after = self.query_options();
        if let Some(twice) = after.0.iter().find(|name| after.1.contains(name)) {
            let reason = format_args!("{twice} is both in expandValues and in jsonKeys");
            return Err(InvalidSubscription::forbidden("/jsonKeys", reason));
        }
        if queries.is_empty() && self.subscription.query.is_some() && before != after {
            let at = if before.0 == after.0 { "/jsonKeys" } else { "/expandValues" };
            let reason = "it says how q is read, so give q again together with it";
            return Err(InvalidSubscription::forbidden(at, reason));
        }
        Ok(())
    }

    /// The attributes of `expandValues` and of `jsonKeys`.
    fn query_options(&self) -> (Vec<AttrName>, Vec<AttrName>) {
        let names = |written: &Option<Box<Written<Vec<AttrName>>>>| {
            written.as_ref().map(|written| written.meaning.clone()).unwrap_or_default()
        };
        (names(&self.subscription.expand_values), names(&self.subscription.json_keys))
    }

    fn set(&mut self, name: &str, value: &Member<'_>) -> Result<(), InvalidSubscription> {
        let context = self.context;
        let it = &mut *self.subscription;
        match name {
            "id" if read_id(value)? == it.id => {}
            "id" => return Err(value.refuse("the id of a subscription does not change")),
            "type" if value.text()? == "Subscription" => {}
            "type" => return Err(value.refuse("the type is Subscription")),
            "subscriptionName" => it.name = Some(value.bounded()?.to_owned()),
            "description" => it.description = Some(value.bounded()?.to_owned()),
            "entities" => {
                let items = value.items()?;
                let read = items.iter().map(|item| EntitySelector::read(item, context));
                it.entities = read.collect::<Result<_, _>>()?;
            }
            "watchedAttributes" => it.watched_attributes = read_attributes(value, context)?,
            "notificationTrigger" => it.triggers = Some(read_triggers(value)?),
            "timeInterval" => it.time_interval = Some(read_interval(value)?),
            "throttling" => it.throttling = Some(value.positive()?),
            "silentFor" => it.silent_for = Some(Box::new(read_silent_for(value)?)),
            "initialNotification" => self.set_initial_notification(value)?,
            "q" => self.set_query(value)?,
            "geoQ" => it.geo_query = Some(WrittenGeoQuery::read(value, context)?),
            "scopeQ" => it.scope_query = Some(read_scope_query(value)?),
            "expandValues" => it.expand_values = Some(read_names(value, context)?),
            "jsonKeys" => it.json_keys = Some(read_names(value, context)?),
            "datasetId" => it.datasets = Some(Box::new(read_datasets(value)?)),
            "lang" => it.languages = Some(read_languages(value)?),
            "ngsildConformance" => it.conformance = Some(read_version(value)?),
            "isActive" => it.is_active = Some(value.boolean()?),
            "expiresAt" => it.expires_at = Some(read_end(value, self.now)?),
            "localOnly" => it.local_only = Some(value.boolean()?),
            "splitEntities" if value.boolean()? => {
                return Err(value.unsupported("entities are never split here"));
            }
            "splitEntities" => it.split_entities = Some(false),
            // A creation reads it before all others, because nothing goes without it.
            "notification" if self.creates => {}
            "notification" => it.notification = NotificationParameters::read(value, context)?,
            "jsonldContext" => drop(value.text()?),
            _ if IGNORED.contains(&name) => {}
            "csf" => return Err(refuse_source_filter(value, context)),
            "temporalQ" => {
                let reason = "a temporal query chooses among the registrations of context \
                              sources, and there are none here";
                return Err(value.unsupported(reason));
            }
            _ => check_unknown(name, value)?,
        }
        Ok(())
    }

    /// Takes a member away.
    fn remove(&mut self, name: &str, value: &Member<'_>) -> Result<(), InvalidSubscription> {
        let it = &mut *self.subscription;
        match name {
            "subscriptionName" => it.name = None,
            "description" => it.description = None,
            "entities" => it.entities.clear(),
            "watchedAttributes" => it.watched_attributes.clear(),
            "notificationTrigger" => it.triggers = None,
            "timeInterval" => it.time_interval = None,
            "throttling" => it.throttling = None,
            "silentFor" => it.silent_for = None,
            "initialNotification" => it.initial_notification = None,
            "q" => it.query = None,
            "geoQ" => it.geo_query = None,
            "scopeQ" => it.scope_query = None,
            "expandValues" => it.expand_values = None,
            "jsonKeys" => it.json_keys = None,
            "datasetId" => it.datasets = None,
            "lang" => it.languages = None,
            "ngsildConformance" => it.conformance = None,
            "isActive" => it.is_active = None,
            "expiresAt" => it.expires_at = None,
            "localOnly" => it.local_only = None,
            "splitEntities" => it.split_entities = None,
            _ if IGNORED.contains(&name) || UNSUPPORTED.contains(&name) => {}
            "id" | "type" | "notification" | "jsonldContext" => {
                return Err(value.refuse("this member cannot be removed"));
            }
            _ => check_unknown(name, value)?,
        }
        Ok(())
    }

    fn set_initial_notification(&mut self, value: &Member<'_>) -> Result<(), InvalidSubscription> {
        let wanted = value.boolean()?;
        let current = &mut self.subscription.initial_notification;
        if !self.creates && wanted != current.unwrap_or_default() {
            return Err(value.refuse("it speaks of the creation, which is over"));
        }
        *current = Some(wanted);
        Ok(())
    }

    fn set_query(&mut self, value: &Member<'_>) -> Result<(), InvalidSubscription> {
        let text = value.bounded()?;
        // Clause 4.9 has it percent-encoded in a URI alone. Subscribers copy it from there, and the
        // conformance suite does (046_05), so escapes mean here what they mean there.
        let decoded = percent_decode_str(text)
            .decode_utf8()
            .map_err(|_| value.refuse("what is percent-encoded has to be UTF-8"))?;
        let (expand_values, json_keys) = self.query_options();
        let options = QueryOptions { expand_values: &expand_values, json_keys: &json_keys };
        let meaning = Query::parse_with(&decoded, &ContextTerms(self.context), &options)
            .map_err(|error| value.refuse(error))?;
        self.subscription.query = Some(Written { text: text.to_owned(), meaning });
        Ok(())
    }
}

fn members_of<'a>(body: &Member<'a>) -> Result<Vec<(&'a str, Member<'a>)>, InvalidSubscription> {
    body.members().map_err(|_| InvalidSubscription::forbidden("/", "an object is needed"))
}

/// What is no member of a subscription is ignored, as in any JSON-LD, unless it is most likely a
/// slip of the pen: a condition that is not seen would tell everything to everybody.
fn check_unknown(name: &str, value: &Member<'_>) -> Result<(), InvalidSubscription> {
    match meant_by(name) {
        Some(meant) => {
            Err(value.refuse(format_args!("a subscription has no such member, but {meant}")))
        }
        None if name.starts_with('@') => Err(value.refuse("a subscription has no such member")),
        None => Ok(()),
    }
}

/// The error for a context source filter: that it is none, or that it has no use here.
fn refuse_source_filter(value: &Member<'_>, context: &Context) -> InvalidSubscription {
    let read = value.bounded().and_then(|text| {
        Query::parse(text, &ContextTerms(context)).map_err(|error| value.refuse(error))
    });
    let reason = "a context source filter chooses among context sources, and there are none here";
    read.map_or_else(|error| error, |_| value.unsupported(reason))
}

fn read_id(value: &Member<'_>) -> Result<SubscriptionId, InvalidSubscription> {
    value.text()?.parse().map_err(|error| value.refuse(error))
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
            _ => {
                return Err(item.refuse(
                    "entity or attribute with Created, Updated or Deleted is needed, \
                     as in attributeUpdated",
                ));
            }
        };
        if !triggers.contains(&trigger) {
            triggers.push(trigger);
        }
    }
    Ok(triggers)
}

fn read_end(value: &Member<'_>, now: Timestamp) -> Result<Timestamp, InvalidSubscription> {
    let end = value.time()?;
    if end > now { Ok(end) } else { Err(value.refuse("a time in the future is needed")) }
}

fn read_interval(value: &Member<'_>) -> Result<f64, InvalidSubscription> {
    let seconds = value.positive()?;
    if seconds < SHORTEST_INTERVAL {
        let reason = format_args!("an interval of at least {SHORTEST_INTERVAL} seconds is needed");
        return Err(value.unsupported(reason));
    }
    Ok(seconds)
}

fn read_silent_for(value: &Member<'_>) -> Result<SilentFor, InvalidSubscription> {
    SilentFor::try_from(value.text()?.to_owned()).map_err(|reason| value.refuse(reason))
}

fn read_scope_query(value: &Member<'_>) -> Result<Written<ScopeQuery>, InvalidSubscription> {
    let text = value.bounded()?;
    let meaning = ScopeQuery::parse(text).map_err(|error| value.refuse(error))?;
    Ok(Written { text: text.to_owned(), meaning })
}

fn read_datasets(value: &Member<'_>) -> Result<Datasets, InvalidSubscription> {
    let names = read_texts(value)?;
    Datasets::from_names(names.iter().map(String::as_str)).map_err(|error| value.refuse(error))
}

fn read_languages(value: &Member<'_>) -> Result<Box<Written<Languages>>, InvalidSubscription> {
    let text = value.bounded()?;
    let meaning = Languages::parse(text).map_err(|error| value.refuse(error))?;
    Ok(Box::new(Written { text: text.to_owned(), meaning }))
}

fn read_version(value: &Member<'_>) -> Result<Box<Written<Version>>, InvalidSubscription> {
    let text = value.bounded()?;
    let Some(meaning) = Version::parse(text) else {
        return Err(value.refuse("a version of the specification is needed, as in 1.6"));
    };
    Ok(Box::new(Written { text: text.to_owned(), meaning }))
}

/// The attributes in a list with commas, as in `expandValues`.
fn read_names(
    value: &Member<'_>,
    context: &Context,
) -> Result<Box<Written<Vec<AttrName>>>, InvalidSubscription> {
    let text = value.bounded()?;
    let names = text.split(',').map(|name| context.attribute(name.trim()));
    let meaning = names.collect::<Result<_, _>>().map_err(|error| value.refuse(error))?;
    Ok(Box::new(Written { text: text.to_owned(), meaning }))
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
