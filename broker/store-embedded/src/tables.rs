//! The tables of all tenants.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use musubi_model::Tenant;
use musubi_store::Found;
use parking_lot::RwLock;

use crate::table::Table;

/// A tenant's table. The committer holds the lock for one group's writes at a time.
pub(crate) type SharedTable = Arc<RwLock<Table>>;

/// The tables by their tenants.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    tables: RwLock<HashMap<Tenant, SharedTable>>,
}

impl Tables {
    /// Tables of these entities, in any order.
    pub(crate) fn load(entities: BTreeMap<Tenant, Vec<Found>>) -> Self {
        let tables = entities.into_iter().map(|(tenant, mut entities)| {
            // Threads have read them in parts, and most parts are in order.
            entities.sort_by_key(|found| found.position);
            (tenant, Arc::new(RwLock::new(Table::load(entities))))
        });
        Self { tables: RwLock::new(tables.collect()) }
    }

    /// The table of a tenant, if it has one.
    pub(crate) fn get(&self, tenant: &Tenant) -> Option<SharedTable> {
        self.tables.read().get(tenant).cloned()
    }

    /// The table of a tenant, which is made if there is none.
    pub(crate) fn of(&self, tenant: &Tenant) -> SharedTable {
        match self.get(tenant) {
            Some(table) => table,
            None => self.tables.write().entry(tenant.clone()).or_default().clone(),
        }
    }

    /// How many tables there are, and how many entities in them.
    pub(crate) fn size(&self) -> (usize, usize) {
        let tables: Vec<SharedTable> = self.tables.read().values().cloned().collect();
        (tables.len(), tables.iter().map(|table| table.read().len()).sum())
    }
}
