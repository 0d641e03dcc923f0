//! Subscriptions (CIM 009, clause 5.2.12): read from a body, patched, kept, shown.

use std::sync::Arc;

use musubi_context::{Context, ContextError, ContextSource};
use musubi_model::{AttrName, Json, Node, Timestamp, Trigger};
use musubi_query::{GeoQuery, Query, ScopeQuery};
use serde::{Deserialize, Serialize};

pub(crate) mod endpoint;
mod id;
mod invalid;
mod member;
mod parse;
mod render;
pub(crate) mod selector;

use endpoint::NotificationParameters;
pub use id::{InvalidSubscriptionId, SubscriptionId};
pub use invalid::{InvalidSubscription, Problem};
use parse::Draft;
pub use render::SubscriptionView;
use selector::EntitySelector;

/// A subscription, with every name expanded.
///
/// What a subscriber may say and this broker does not do (`timeInterval`, MQTT, `showChanges`
/// and others) is refused when it is read, so a value of this type can be served in full.
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
    throttling: Option<f64>,
    pub(crate) query: Option<Written<Query>>,
    pub(crate) geo_query: Option<WrittenGeoQuery>,
    pub(crate) scope_query: Option<Written<ScopeQuery>>,
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

/// A geo query as the client wrote it, and what it means (CIM 009, clause 5.2.13).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WrittenGeoQuery {
    pub(crate) relation: String,
    pub(crate) geometry: String,
    pub(crate) coordinates: Json,
    /// Whether the client named the property.
    pub(crate) property_given: bool,
    pub(crate) meaning: GeoQuery,
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
        let mut draft = Draft::new(notified_in.source(), now);
        draft.create(body, context)?;
        draft.finish(fresh)
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
        let mut draft = Draft::of(self.clone(), now);
        draft.patch(body, context)?;
        if let Some(notified_in) = notified_in {
            draft.context = notified_in.source();
        }
        draft.finish(self.id.clone())
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

    /// Microseconds that have to pass between two notifications.
    pub(crate) fn throttling_micros(&self) -> Option<i64> {
        let micros = self.throttling? * 1e6;
        // A float beyond the range of the integer is brought to its end.
        #[expect(clippy::cast_possible_truncation, reason = "a float is brought into the range")]
        Some(micros as i64)
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
