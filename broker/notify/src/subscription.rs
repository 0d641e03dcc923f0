//! Subscriptions (CIM 009, clause 5.2.12): read from a body, patched, kept, shown.

use std::sync::Arc;
use std::time::Duration;

use musubi_context::{Context, ContextError, ContextSource};
use musubi_model::{AttrName, Node, Timestamp, Trigger};
use musubi_query::{Query, ScopeQuery};
use musubi_view::{Datasets, Join, Languages, Projection, Version};
use serde::{Deserialize, Serialize};

pub(crate) mod address;
mod check;
pub(crate) mod endpoint;
mod geo_query;
mod id;
mod invalid;
mod member;
mod member_names;
pub(crate) mod notifier_info;
pub(crate) mod pair;
pub(crate) mod parameters;
mod parse;
mod receiver_info;
mod render;
pub(crate) mod selector;
mod silent_for;

use address::Channel;
use geo_query::WrittenGeoQuery;
pub use id::{InvalidSubscriptionId, SubscriptionId};
pub use invalid::{InvalidSubscription, Problem};
use parameters::NotificationParameters;
pub use render::SubscriptionView;
use selector::EntitySelector;
use silent_for::SilentFor;

/// A subscription, with every name expanded.
///
/// What a subscriber may say and this broker does not do (`csf`, `temporalQ`, entities that are
/// split among brokers) is refused when it is read, so a value of this type can be served in full.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subscription {
    id: SubscriptionId,
    name: Option<String>,
    description: Option<String>,
    pub(crate) entities: Vec<EntitySelector>,
    /// Empty for every attribute.
    pub(crate) watched_attributes: Vec<AttrName>,
    /// As given; the default is said by [`Subscription::triggers`].
    triggers: Option<Vec<Trigger>>,
    /// Seconds.
    #[serde(default)]
    time_interval: Option<f64>,
    /// Seconds.
    throttling: Option<f64>,
    #[serde(default)]
    silent_for: Option<Box<SilentFor>>,
    #[serde(default)]
    initial_notification: Option<bool>,
    pub(crate) query: Option<Written<Query>>,
    pub(crate) geo_query: Option<WrittenGeoQuery>,
    pub(crate) scope_query: Option<Written<ScopeQuery>>,
    /// What `q` was read with.
    #[serde(default)]
    expand_values: Option<Box<Written<Vec<AttrName>>>>,
    /// What `q` was read with.
    #[serde(default)]
    json_keys: Option<Box<Written<Vec<AttrName>>>>,
    #[serde(default)]
    datasets: Option<Box<Datasets>>,
    #[serde(default)]
    languages: Option<Box<Written<Languages>>>,
    #[serde(default)]
    conformance: Option<Box<Written<Version>>>,
    is_active: Option<bool>,
    pub(crate) expires_at: Option<Timestamp>,
    local_only: Option<bool>,
    split_entities: Option<bool>,
    pub(crate) notification: NotificationParameters,
    context: ContextSource,
    created_at: Timestamp,
    pub(crate) modified_at: Timestamp,
}

/// A query as the client wrote it, and what it means.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Written<T> {
    pub(crate) text: String,
    pub(crate) meaning: T,
}

/// What a subscription is at a moment (CIM 009, clause 5.2.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Changes are due to it.
    Active,
    /// It is not active because the subscriber says so.
    Paused,
    /// Its time is over.
    Expired,
}

impl Status {
    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Expired => "expired",
        }
    }
}

/// What fires if the subscriber does not say.
const DEFAULT_TRIGGERS: [Trigger; 2] = [Trigger::AttributeCreated, Trigger::AttributeUpdated];

impl Subscription {
    /// Reads a little of each of its own parts that matching looks at.
    pub(crate) fn reach(&self) -> usize {
        let lists = self.entities.len() ^ self.watched_attributes.len() ^ self.id.as_str().len();
        let triggers = self.triggers.as_ref().map_or(0, Vec::len);
        let set = [
            self.time_interval.is_some(),
            self.silent_for.is_some(),
            self.query.is_some(),
            self.geo_query.is_some(),
            self.scope_query.is_some(),
            self.is_active.is_some(),
            self.expires_at.is_some(),
        ];
        set.into_iter().map(usize::from).fold(lists ^ triggers, usize::wrapping_add)
    }

    /// Reads a little of what those parts refer to.
    pub(crate) fn reach_further(&self) -> usize {
        let selector = self.entities.first();
        let selector = selector.map_or(0, |one| one.ids.len() ^ usize::from(one.types.is_some()));
        let trigger = self.triggers.as_ref().and_then(|triggers| triggers.first());
        let id = self.id.as_str().as_bytes().first();
        selector ^ usize::from(trigger.is_some()) ^ id.map_or(0, |byte| usize::from(*byte))
    }

    /// A subscription that says nothing but where its notifications go.
    fn new(
        id: SubscriptionId,
        notification: NotificationParameters,
        context: ContextSource,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            name: None,
            description: None,
            entities: Vec::new(),
            watched_attributes: Vec::new(),
            triggers: None,
            time_interval: None,
            throttling: None,
            silent_for: None,
            initial_notification: None,
            query: None,
            geo_query: None,
            scope_query: None,
            expand_values: None,
            json_keys: None,
            datasets: None,
            languages: None,
            conformance: None,
            is_active: None,
            expires_at: None,
            local_only: None,
            split_entities: None,
            notification,
            context,
            created_at: now,
            modified_at: now,
        }
    }

    /// The subscription in the body of a request to create one (CIM 009, clause 5.8.1). Its id is
    /// that of the body, or else `fresh`.
    ///
    /// The context of its notifications is that of the request. A body with a `jsonldContext`
    /// that names another one than the core context is read by
    /// [`parse_with`](Self::parse_with), because somebody has to fetch it first.
    ///
    /// # Errors
    ///
    /// [`InvalidSubscription`] if a member is missing, wrong, unknown or not supported, or if
    /// `expiresAt` is not after `now`.
    pub fn parse(
        body: &Node<'_>,
        context: &Context,
        fresh: SubscriptionId,
        now: Timestamp,
    ) -> Result<Self, InvalidSubscription> {
        let notified_in = known_context(body, context)?;
        Self::parse_with(body, context, &notified_in.unwrap_or_else(|| context.clone()), fresh, now)
    }

    /// As [`parse`](Self::parse), with the context that the body's `jsonldContext` names
    /// ([`context_url`](Self::context_url)) at hand.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_with(
        body: &Node<'_>,
        context: &Context,
        notified_in: &Context,
        fresh: SubscriptionId,
        now: Timestamp,
    ) -> Result<Self, InvalidSubscription> {
        parse::create(body, (context, notified_in), fresh, now)
    }

    /// This subscription with the body of a request to update it merged into it, member by member
    /// of the top level; a Null takes a member away (CIM 009, clauses 5.8.2 and 5.5.8).
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse); also if the body takes away what is required or names another
    /// id.
    pub fn patch(
        &self,
        body: &Node<'_>,
        context: &Context,
        now: Timestamp,
    ) -> Result<Self, InvalidSubscription> {
        let notified_in = known_context(body, context)?;
        self.patch_with(body, context, notified_in.as_ref(), now)
    }

    /// As [`patch`](Self::patch), with the context that the body's `jsonldContext` names at hand;
    /// none if it names none, and then the subscription keeps the one that it has.
    ///
    /// # Errors
    ///
    /// As [`patch`](Self::patch).
    pub fn patch_with(
        &self,
        body: &Node<'_>,
        context: &Context,
        notified_in: Option<&Context>,
        now: Timestamp,
    ) -> Result<Self, InvalidSubscription> {
        parse::patch(self.clone(), body, (context, notified_in), now)
    }

    /// The context that the body's `jsonldContext` names, if it names one.
    ///
    /// # Errors
    ///
    /// [`InvalidSubscription`] if it is not a URL.
    pub fn context_url<'a>(body: &'a Node<'_>) -> Result<Option<&'a str>, InvalidSubscription> {
        parse::context_url(body)
    }

    /// The identifier.
    pub fn id(&self) -> &SubscriptionId {
        &self.id
    }

    /// When the subscription came into being.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// When it was last changed.
    pub fn modified_at(&self) -> Timestamp {
        self.modified_at
    }

    /// The context of its notifications.
    pub fn context_source(&self) -> &ContextSource {
        &self.context
    }

    /// The context of its notifications, compiled.
    ///
    /// # Errors
    ///
    /// [`ContextError`] if a record of another version of this program holds what this one does
    /// not take for a context.
    pub fn context(&self) -> Result<Context, ContextError> {
        Context::from_source(&self.context)
    }

    /// The name that its owner has given it.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Host and port of its endpoint. The rest of the address may hold a secret.
    pub fn endpoint_host(&self) -> String {
        self.notification.endpoint.host()
    }

    /// What it is at this moment. An end that has come counts for more than a pause.
    pub fn status(&self, now: Timestamp) -> Status {
        if self.expires_at.is_some_and(|end| end <= now) {
            Status::Expired
        } else if self.is_active == Some(false) {
            Status::Paused
        } else {
            Status::Active
        }
    }

    /// The kinds of change on which it fires.
    pub(crate) fn triggers(&self) -> &[Trigger] {
        self.triggers.as_deref().unwrap_or(&DEFAULT_TRIGGERS)
    }

    /// How long has to pass between two notifications.
    pub fn throttling(&self) -> Option<Duration> {
        let micros = u64::try_from(self.throttling_micros()?).unwrap_or_default();
        Some(Duration::from_micros(micros))
    }

    /// Microseconds that have to pass between two notifications.
    pub(crate) fn throttling_micros(&self) -> Option<i64> {
        let micros = self.throttling? * 1e6;
        // A float beyond the range of the integer is brought to its end.
        #[expect(clippy::cast_possible_truncation, reason = "a float is brought into the range")]
        Some(micros as i64)
    }

    /// How long it is from one periodic notification to the next, at least 100 ms; none if it is
    /// not a subscription of this kind. One that is gets no changes (CIM 009, clause 5.8.6).
    pub fn time_interval(&self) -> Option<Duration> {
        let seconds = self.time_interval?;
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }

    /// How long an entity has to be silent until it is told, from one second to 366 days; none if
    /// it is not a subscription of this kind. One that is gets no changes.
    pub fn silent_for(&self) -> Option<Duration> {
        self.silent_for.as_deref().map(SilentFor::length)
    }

    /// Whether changes of entities are notified: it is neither periodic nor waits for silence.
    pub fn wants_changes(&self) -> bool {
        self.time_interval.is_none() && self.silent_for.is_none()
    }

    /// Whether what matches at its creation is notified then.
    pub fn initial_notification(&self) -> bool {
        self.initial_notification == Some(true)
    }

    /// Whether nothing is pushed to a receiver, because its endpoint is `musubi:stream`.
    pub fn is_stream(&self) -> bool {
        self.notification.endpoint.channel() == Channel::Stream
    }

    /// Which members of entities are shown, `pick` and `omit`.
    pub fn projection(&self) -> &Projection {
        &self.notification.projection
    }

    /// Which instances of attributes are shown; none for all.
    pub fn datasets(&self) -> Option<&Datasets> {
        self.datasets.as_deref()
    }

    /// The languages of texts; none if they are shown in all that there are.
    pub fn languages(&self) -> Option<&Languages> {
        self.languages.as_ref().map(|written| &written.meaning)
    }

    /// Which linked entities come along, and how; none if none does.
    pub fn join(&self) -> Option<Join> {
        self.notification.join()
    }

    /// The version of the specification that notifications conform to, if it was said.
    pub fn conformance(&self) -> Option<Version> {
        self.conformance.as_ref().map(|written| written.meaning)
    }

    /// Whether the values before a change are shown beside those after it.
    pub fn shows_changes(&self) -> bool {
        self.notification.show_changes == Some(true)
    }

    /// The most changes in one notification, 1 to 100.
    pub fn max_changes(&self) -> usize {
        self.notification.endpoint.max_changes()
    }

    /// The value of its record.
    pub fn to_bytes(&self) -> Arc<[u8]> {
        // Nothing in it is a map with keys that are not strings, so this does not fail; an empty
        // value would be refused by `from_bytes`.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// The subscription in a record.
    ///
    /// # Errors
    ///
    /// [`InvalidSubscription`] if the bytes are not of [`to_bytes`](Self::to_bytes).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidSubscription> {
        serde_json::from_slice(bytes).map_err(|error| InvalidSubscription::forbidden("/", error))
    }
}

/// The context that `jsonldContext` names, if that is known without asking anybody.
fn known_context(
    body: &Node<'_>,
    context: &Context,
) -> Result<Option<Context>, InvalidSubscription> {
    match parse::context_url(body)? {
        None => Ok(None),
        Some(url) if context.url() == Some(url) => Ok(Some(context.clone())),
        Some(musubi_context::CORE_CONTEXT_URL) => Ok(Some(Context::core())),
        Some(url) => Err(InvalidSubscription::forbidden(
            "/jsonldContext",
            format_args!("the @context {url:?} has not been fetched"),
        )),
    }
}

#[cfg(test)]
mod tests;
