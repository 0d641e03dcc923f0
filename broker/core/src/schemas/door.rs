//! The door: an entity, as a write would leave it, is held against the schemas of its types.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use musubi_model::{Attribute, Entity, Timestamp};
use musubi_schemas::{Documents, Violation};
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry as Metrics;

use super::{Registered, SchemaMode};
use crate::{Error, Session};

/// The most violations of one write that are found out.
const MAX_FOUND: usize = 20;
/// The most violations that one answer lists.
const MAX_LISTED: usize = 10;
/// The most warnings that one request collects.
const MAX_COLLECTED: usize = 100;
/// At most so often something is said in the log, in seconds.
const LOG_EVERY: i64 = 10;

/// How much of an entity a write brings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it: it creates or replaces the entity, so what is required has to be there.
    Whole,
    /// A part: what is missing is not missed, and what the write has not changed is not held
    /// against it.
    #[default]
    Part,
}

/// What was found wrong with a write that goes through nevertheless.
#[derive(Debug, Default)]
pub(crate) struct Wrong(Vec<SchemaWarning>);

impl Wrong {
    /// Adds what is wrong with another entity of the same group.
    pub(crate) fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

/// One thing that is wrong with a write that has been carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaWarning {
    /// The entity.
    pub entity: String,
    /// The type whose schema it does not follow, expanded.
    pub entity_type: String,
    /// The attribute, by its short name in the schema's context; none if the entity as a whole is
    /// meant.
    pub attribute: Option<String>,
    /// What is wrong, without any value of the entity.
    pub reason: String,
}

/// Collects what is wrong with the writes of one request. Clones collect together.
#[derive(Clone, Debug, Default)]
pub struct SchemaWarnings(Arc<Mutex<Collected>>);

#[derive(Debug, Default)]
struct Collected {
    warnings: Vec<SchemaWarning>,
    more: usize,
}

impl SchemaWarnings {
    /// What has been collected, at most 100 warnings, and how many there were beyond. Afterwards
    /// there are none.
    pub fn take(&self) -> (Vec<SchemaWarning>, usize) {
        let collected = std::mem::take(&mut *self.0.lock());
        (collected.warnings, collected.more)
    }

    fn add(&self, warnings: Vec<SchemaWarning>) {
        let mut collected = self.0.lock();
        for warning in warnings {
            if collected.warnings.len() < MAX_COLLECTED {
                collected.warnings.push(warning);
            } else {
                collected.more = collected.more.saturating_add(1);
            }
        }
    }
}

/// What has been found at the door so far.
#[derive(Debug, Default)]
pub(crate) struct Violations {
    /// By mode, and nothing else: types and tenants are as many as clients make them.
    counted: Family<Vec<(&'static str, &'static str)>, Counter>,
    last_said: AtomicI64,
    unsaid: AtomicU64,
}

impl Violations {
    pub(crate) fn register(&self, metrics: &mut Metrics) {
        metrics.register(
            "schema_violations",
            "What did not follow its schema in writes, by mode: warn let it through, enforce \
             refused it",
            self.counted.clone(),
        );
    }

    fn count(&self, mode: &'static str, found: usize) {
        let found = u64::try_from(found).unwrap_or(u64::MAX);
        self.counted.get_or_create(&vec![("mode", mode)]).inc_by(found);
    }

    /// Says one warning in the log, now and then.
    fn say(&self, tenant: &str, example: &SchemaWarning, now: Timestamp) {
        if !self.is_due(now) {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return;
        }
        tracing::warn!(
            tenant,
            entity_type = example.entity_type,
            attribute = example.attribute.as_deref().unwrap_or("/"),
            unsaid = self.unsaid.swap(0, Ordering::Relaxed),
            "an entity does not follow the schema of its type: {}",
            example.reason
        );
    }

    /// Whether it is time to say something again, which it then is not for a while.
    fn is_due(&self, now: Timestamp) -> bool {
        let seconds = now.as_micros() / 1_000_000;
        let last = self.last_said.load(Ordering::Relaxed);
        let long_ago = seconds.saturating_sub(last) >= LOG_EVERY || seconds < last;
        long_ago
            && self
                .last_said
                .compare_exchange(last, seconds, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

impl Session {
    /// The same session, whose writes say here what is wrong with them.
    #[must_use]
    pub fn warning(self, warnings: SchemaWarnings) -> Self {
        Self { warnings: Some(warnings), ..self }
    }

    /// Holds an entity, as a write would leave it, against the schemas of its types.
    ///
    /// # Errors
    ///
    /// [`Error::BadRequestData`] if it does not follow one that is enforced.
    pub(crate) fn check_schemas(
        &self,
        old: Option<&Entity>,
        new: &Entity,
        extent: Extent,
    ) -> Result<Wrong, Error> {
        let registry = &self.broker.shared().schemas;
        let Some(in_force) = registry.of(&self.tenant) else { return Ok(Wrong::default()) };
        let mut found = Wrong::default();
        for entity_type in &new.types {
            let Some(registered) = in_force.get(entity_type) else { continue };
            let violations = registered.violations(old, new, entity_type, extent);
            if violations.is_empty() {
                continue;
            }
            if registered.mode == SchemaMode::Enforce {
                registry.violations.count("enforce", violations.len());
                return Err(Error::BadRequestData(registered.refusal(
                    new,
                    entity_type,
                    &violations,
                )));
            }
            found.0.extend(violations.into_iter().map(|violation| SchemaWarning {
                entity: new.id.to_string(),
                entity_type: entity_type.to_string(),
                attribute: violation.attribute,
                reason: violation.reason_without_value,
            }));
        }
        Ok(found)
    }

    /// Tells what was found wrong with a write that has been carried out.
    pub(crate) fn tell(&self, found: Wrong) {
        let Some(first) = found.0.first() else { return };
        let violations = &self.broker.shared().schemas.violations;
        violations.count("warn", found.0.len());
        violations.say(self.tenant.as_str(), first, self.now());
        if let Some(warnings) = &self.warnings {
            warnings.add(found.0);
        }
    }
}

impl Registered {
    /// What is wrong with an entity, seen as one of this type.
    fn violations(
        &self,
        old: Option<&Entity>,
        new: &Entity,
        entity_type: &musubi_model::TypeName,
        extent: Extent,
    ) -> Vec<Violation> {
        let mut found = self.all(new, entity_type);
        if extent == Extent::Whole || found.is_empty() {
            return found;
        }
        found.retain(|violation| !violation.is_missing);
        let Some(old) = old.filter(|_| !found.is_empty()) else { return found };
        // What was wrong already, in something that this write leaves alone, is not its fault.
        let before = self.all(old, entity_type);
        found.retain(|violation| {
            let same = |other: &Violation| other.at == violation.at && other.rule == violation.rule;
            self.is_changed(violation, old, new) || !before.iter().any(same)
        });
        found
    }

    fn all(&self, entity: &Entity, entity_type: &musubi_model::TypeName) -> Vec<Violation> {
        let mut found: Vec<Violation> = Vec::new();
        let mut documents = Documents::of(entity, entity_type, &self.names);
        while let Some(document) = documents.next_document() {
            if self.schema.accepts(document) {
                continue;
            }
            for violation in self.schema.violations(document) {
                // The same rule, of another instance of the same attribute, is news only where
                // the value is another.
                if !found.contains(&violation) {
                    found.push(violation);
                }
                if found.len() == MAX_FOUND {
                    return found;
                }
            }
        }
        found
    }

    /// Whether the write changes the attribute that a violation is about.
    fn is_changed(&self, violation: &Violation, old: &Entity, new: &Entity) -> bool {
        let Some(term) = &violation.attribute else { return false };
        let named =
            |attribute: &&Attribute| self.names.0.compact(attribute.name.as_str()) == term.as_str();
        let of = |entity: &'_ Entity| entity.attributes.iter().find(named).cloned();
        of(old) != of(new)
    }

    /// What a client is told whose write is refused.
    fn refusal(
        &self,
        entity: &Entity,
        entity_type: &musubi_model::TypeName,
        violations: &[Violation],
    ) -> String {
        let listed: Vec<String> =
            violations.iter().take(MAX_LISTED).map(|violation| self.sentence(violation)).collect();
        let more = match violations.len().saturating_sub(MAX_LISTED) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        format!(
            "entity {} does not follow the schema of {}: {}{more}",
            entity.id,
            self.names.0.compact(entity_type.as_str()),
            listed.join("; ")
        )
    }

    fn sentence(&self, violation: &Violation) -> String {
        let mut text = match &violation.attribute {
            None => "the entity".to_owned(),
            Some(term) => match self.names.0.attribute(term) {
                Ok(name) if name.as_str() != term => format!("{term} ({name})"),
                Ok(_) | Err(_) => term.clone(),
            },
        };
        let inside = violation.inside();
        if !inside.is_empty() {
            text.push_str(" at ");
            text.push_str(inside);
        }
        text.push_str(": ");
        text.push_str(&violation.explained());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_told_now_and_then() {
        let violations = Violations::default();
        let at = |seconds| violations.is_due(Timestamp::from_seconds(1_700_000_000 + seconds));
        let told: Vec<i64> = (0..25).filter(|seconds| at(*seconds)).collect();
        assert_eq!(told, [0, 10, 20]);
        assert!(at(-100), "a clock that was put back does not silence it");
    }
}
