//! A subscription as the log has it at the cursor, ready for use.

use std::sync::Arc;

use musubi_context::{Context, ContextError};
use musubi_model::{InvalidName, Tenant};
use rustc_hash::FxHashMap;

use crate::notification::look::{Look, prefers_json};
use crate::queue::endpoint::EndpointKey;
use crate::subscription::endpoint::Accept;
use crate::{InvalidSubscription, Subscription};

/// A subscription with what its notifications need.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) tenant: Tenant,
    pub(crate) subscription: Arc<Subscription>,
    /// The value of its record.
    pub(crate) bytes: Arc<[u8]>,
    /// The context in which its notifications are written.
    pub(crate) context: Context,
    /// How entities look in them.
    pub(crate) look: Look,
    pub(crate) endpoint: EndpointKey,
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnusableRecord {
    #[error(transparent)]
    Subscription(#[from] InvalidSubscription),
    #[error(transparent)]
    Context(#[from] ContextError),
    #[error(transparent)]
    Name(#[from] InvalidName),
}

/// Compiled contexts by what they were compiled from. Subscriptions of one town share one.
#[derive(Debug, Default)]
pub(crate) struct CompiledContexts(FxHashMap<uuid::Uuid, Context>);

/// More contexts than this are not kept. Those that no subscription uses any more make room; where all
/// are in use, whoever needs another one compiles it for itself.
const MAX_CONTEXTS: usize = 256;

impl CompiledContexts {
    fn of(&mut self, subscription: &Subscription) -> Result<Context, ContextError> {
        let source = subscription.context_source();
        let text = format!("{:?}\n{}\n{}", source.url, source.member, source.document);
        let key = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, text.as_bytes());
        if let Some(context) = self.0.get(&key) {
            return Ok(context.clone());
        }
        let context = subscription.context()?;
        if self.0.len() >= MAX_CONTEXTS {
            self.0.retain(|_, context| context.is_shared());
        }
        if self.0.len() < MAX_CONTEXTS {
            self.0.insert(key, context.clone());
        }
        Ok(context)
    }
}

impl Applied {
    /// Makes a subscription's record ready.
    pub(crate) fn new(
        tenant: Tenant,
        bytes: Arc<[u8]>,
        contexts: &mut CompiledContexts,
    ) -> Result<Self, UnusableRecord> {
        let subscription = Subscription::from_bytes(&bytes)?;
        let compiled = contexts.of(&subscription)?;
        // A JSON body names its context by URL. One that has none leaves the receiver with the
        // core context, so the names in the body have to be those of the core context too.
        let is_named = match subscription.notification.endpoint.accept {
            Some(Accept::JsonLd) => true,
            Some(Accept::GeoJson) if !prefers_json(&subscription.notification.endpoint) => true,
            Some(Accept::Json | Accept::GeoJson) | None => compiled.url().is_some(),
        };
        let context = if is_named { compiled } else { Context::core() };
        let endpoint = EndpointKey::of(&tenant, &subscription.notification.endpoint.uri.url);
        let look = Look::of(&subscription, &context)?;
        Ok(Self { tenant, subscription: Arc::new(subscription), bytes, context, look, endpoint })
    }
}

#[cfg(test)]
mod tests {
    use musubi_context::ContextSource;
    use musubi_model::{Limits, Node};

    use super::*;
    use crate::testing::time;

    /// A subscription with a context that no other number has.
    fn of(number: usize) -> Subscription {
        let member = format!(r#"{{"count":"https://n{number}.example/count"}}"#);
        let source = ContextSource { url: None, document: member.clone(), member };
        let context = Context::from_source(&source).unwrap();
        let text = r#"{"type": "Subscription", "watchedAttributes": ["count"],
            "notification": {"endpoint": {"uri": "http://127.0.0.1:9/notify"}}}"#;
        let body = Node::parse(text, Limits::default()).unwrap();
        let id = format!("urn:ngsi-ld:Subscription:{number}").parse().unwrap();
        Subscription::parse(&body, &context, id, time(0)).unwrap()
    }

    #[test]
    fn contexts_that_nobody_uses_make_room() {
        let mut contexts = CompiledContexts::default();
        let mut used: Vec<_> =
            (0..MAX_CONTEXTS).map(|number| contexts.of(&of(number)).unwrap()).collect();
        assert!(used.iter().all(Context::is_shared));
        assert!(!contexts.of(&of(MAX_CONTEXTS)).unwrap().is_shared(), "there is no room");
        used.truncate(200);
        assert!(contexts.of(&of(MAX_CONTEXTS)).unwrap().is_shared(), "now there is");
        assert_eq!(contexts.0.len(), 201);
        assert!(used.iter().all(Context::is_shared), "those in use stay");
    }
}
