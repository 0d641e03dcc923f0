//! How the entities of a subscription's notifications look (CIM 009, clauses 5.2.12 and 5.2.14).

use std::sync::{Arc, LazyLock};

use musubi_context::{Context, Form, Representation};
use musubi_model::{AttrName, Entity, InvalidName};
use musubi_view::{Media, Special};

use super::MAX_LINKED;
use crate::Subscription;
use crate::subscription::endpoint::{Accept, Endpoint};
use crate::subscription::parameters::Format;

/// The property that becomes the geometry of a feature; no context can give that term another
/// meaning. There may be many subscriptions, so they share it.
static LOCATION: LazyLock<Result<AttrName, InvalidName>> =
    LazyLock::new(|| Context::core().attribute("location"));

/// How entities look to a subscriber.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) media: Media,
    /// Whether a collection of features carries its context itself.
    pub(crate) context_in_collection: bool,
    pub(crate) representation: Representation,
    /// Whether what was there before is told.
    pub(crate) show_changes: bool,
    /// What few subscribers ask for.
    pub(crate) special: Special,
    /// Whether this one asks for none of it.
    pub(crate) is_plain: bool,
}

impl Look {
    /// What a subscription says. `context` is that of its notifications.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the core context has no name for the geometry of a feature, which it has.
    pub(crate) fn of(subscription: &Subscription, context: &Context) -> Result<Self, InvalidName> {
        let notification = &subscription.notification;
        let media = media(&notification.endpoint);
        let attributes = &notification.attributes;
        let representation = Representation {
            form: notification.format.map_or(Form::Normalized, Format::form),
            system_attributes: notification.system_attributes == Some(true),
            attributes: (!attributes.is_empty()).then(|| attributes.clone()),
            context_member: media == Media::LdJson,
        };
        let special = Special {
            projection: notification.projection.clone(),
            languages: subscription.languages().cloned(),
            datasets: subscription.datasets().cloned(),
            join: subscription.join(),
            version: subscription.conformance(),
            geometry: LOCATION.clone()?,
            linked: MAX_LINKED,
        };
        let is_plain = special.projection.is_whole()
            && special.languages.is_none()
            && special.datasets.is_none()
            && special.join.is_none()
            && special.earlier(context).is_none()
            && media != Media::GeoJson;
        Ok(Self {
            media,
            context_in_collection: !prefers_json(&notification.endpoint),
            representation,
            show_changes: subscription.shows_changes(),
            special,
            is_plain,
        })
    }

    /// The instances of an entity that are shown, in the version that is asked for.
    pub(crate) fn entity(&self, entity: &Arc<Entity>, context: &Context) -> Arc<Entity> {
        let shown = match &self.special.datasets {
            None => Arc::clone(entity),
            Some(datasets) => datasets.of(entity),
        };
        match self.special.earlier(context) {
            None => shown,
            Some(earlier) => Arc::new(earlier.of(&shown)),
        }
    }
}

/// The media type of a receiver.
fn media(endpoint: &Endpoint) -> Media {
    match endpoint.accept {
        Some(Accept::Json) | None => Media::Json,
        Some(Accept::JsonLd) => Media::LdJson,
        Some(Accept::GeoJson) => Media::GeoJson,
    }
}

/// Whether a receiver of GeoJSON wants its context in a header.
pub(crate) fn prefers_json(endpoint: &Endpoint) -> bool {
    let wishes = endpoint.receiver_info.iter().filter(|it| it.key.eq_ignore_ascii_case("prefer"));
    wishes.flat_map(|it| it.value.split(',')).any(|wish| wish.trim() == "body=json")
}
