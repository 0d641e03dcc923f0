//! The schemas that are in force, ready to be used: a snapshot that writes look at without asking
//! the store.

use std::borrow::Cow;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::lock::{Mutex, MutexGuard};
use musubi_context::Context;
use musubi_model::{Tenant, TypeName};
use musubi_schemas::{Schema, ShortNames};
use musubi_store::{RecordKind, RecordQuery, Store};
use rustc_hash::FxHashMap;

use super::door::Violations;
use super::{SchemaMode, TypeSchema};
use crate::Error;

/// How many records are read at once.
const PAGE: usize = 100;

/// The schemas of one tenant that are in force, by type.
pub(crate) type InForce = FxHashMap<TypeName, Registered>;

/// The schemas of all tenants that are in force, and what has been found with them.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// Of tenants that have any.
    in_force: ArcSwap<FxHashMap<Tenant, Arc<InForce>>>,
    /// Held by whoever changes a schema, so that store and snapshot change in the same order.
    turn: Mutex<()>,
    pub(crate) violations: Violations,
}

/// A schema in force.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub(crate) mode: SchemaMode,
    pub(crate) schema: Schema,
    pub(crate) names: Names,
}

/// Short names, as a context gives them.
#[derive(Clone, Debug)]
pub(crate) struct Names(pub(crate) Context);

impl ShortNames for Names {
    fn short<'n>(&'n self, name: &'n str) -> Cow<'n, str> {
        self.0.compact(name)
    }
}

impl Registered {
    /// The schema, compiled.
    ///
    /// # Errors
    ///
    /// [`Error::BadRequestData`] if it cannot be used.
    pub(crate) fn new(schema: &TypeSchema) -> Result<Self, Error> {
        let names = Names(schema.context.clone());
        Ok(Self { mode: schema.mode, schema: schema.compile()?, names })
    }
}

impl Registry {
    /// Whether any tenant has a schema in force.
    pub(crate) fn any(&self) -> bool {
        !self.in_force.load().is_empty()
    }

    /// The schemas in force in a tenant; none if there are none.
    pub(crate) fn of(&self, tenant: &Tenant) -> Option<Arc<InForce>> {
        let in_force = self.in_force.load();
        if in_force.is_empty() {
            return None;
        }
        in_force.get(tenant).cloned()
    }

    /// Waits until nobody else changes schemas.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Puts a schema in force, or out of force.
    pub(crate) fn set(&self, tenant: &Tenant, entity_type: &TypeName, schema: Option<Registered>) {
        let schema = schema.filter(|schema| schema.mode != SchemaMode::Off);
        self.in_force.rcu(|all| {
            let mut all = FxHashMap::clone(all);
            let mut own = all.remove(tenant).map(|own| InForce::clone(&own)).unwrap_or_default();
            match &schema {
                Some(schema) => drop(own.insert(entity_type.clone(), schema.clone())),
                None => drop(own.remove(entity_type)),
            }
            if !own.is_empty() {
                all.insert(tenant.clone(), Arc::new(own));
            }
            all
        });
    }

    /// Puts all schemas in force that the store has. One that cannot be used is left out, which is
    /// said in the log: a broker that does not start helps nobody to mend it.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store does not answer.
    pub(crate) async fn load(&self, store: &dyn Store) -> Result<(), Error> {
        let _turn = self.turn().await;
        let mut after = None;
        loop {
            let query = RecordQuery {
                kind: RecordKind::Schema,
                tenant: None,
                prefix: String::new(),
                after,
                limit: PAGE,
            };
            let records = store.records(&query).await?;
            let Some(last) = records.last() else { return Ok(()) };
            after = Some((last.key.tenant.clone(), last.key.key.clone()));
            for record in &records {
                let tenant = &record.key.tenant;
                let read = TypeSchema::read(record)
                    .and_then(|schema| Ok((Registered::new(&schema)?, schema.entity_type)));
                match read {
                    Ok((registered, entity_type)) => {
                        self.set(tenant, &entity_type, Some(registered));
                    }
                    Err(error) => tracing::error!(
                        tenant = tenant.as_str(),
                        entity_type = record.key.key,
                        "a schema is not in force, because it cannot be used: {error}"
                    ),
                }
            }
        }
    }
}
