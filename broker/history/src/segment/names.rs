//! Names that come again and again, each kept once and known by a number.

use musubi_model::{AttrName, DatasetId, Tenant, TypeName};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::column::Damaged;

const DAMAGED: Damaged = Damaged("the table of names");

/// The names of a segment, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Names {
    /// In order, as they are written so.
    pub(super) tenants: Vec<Tenant>,
    pub(super) types: Vec<TypeName>,
    pub(super) attributes: Vec<AttrName>,
    pub(super) datasets: Vec<DatasetId>,
}

impl Names {
    pub(super) fn tenant(&self, number: u32) -> Result<&Tenant, Damaged> {
        at(&self.tenants, number)
    }

    pub(super) fn type_name(&self, number: u32) -> Result<&TypeName, Damaged> {
        at(&self.types, number)
    }

    pub(super) fn attribute(&self, number: u32) -> Result<&AttrName, Damaged> {
        at(&self.attributes, number)
    }

    /// The data set; 0 is the default one.
    pub(super) fn dataset(&self, number: u32) -> Result<Option<&DatasetId>, Damaged> {
        number.checked_sub(1).map(|number| at(&self.datasets, number)).transpose()
    }

    pub(super) fn number_of_tenant(&self, tenant: &Tenant) -> Option<u32> {
        u32::try_from(self.tenants.binary_search(tenant).ok()?).ok()
    }
}

fn at<T>(names: &[T], number: u32) -> Result<&T, Damaged> {
    usize::try_from(number).ok().and_then(|number| names.get(number)).ok_or(DAMAGED)
}

/// Names on their way into a segment.
#[derive(Debug, Default)]
pub(super) struct NewNames {
    pub(super) names: Names,
    types: FxHashMap<TypeName, u32>,
    attributes: FxHashMap<AttrName, u32>,
    datasets: FxHashMap<DatasetId, u32>,
}

impl NewNames {
    /// The number of a tenant; they come in order.
    pub(super) fn tenant(&mut self, tenant: &Tenant) -> u32 {
        if self.names.tenants.last() != Some(tenant) {
            self.names.tenants.push(tenant.clone());
        }
        number(self.names.tenants.len() - 1)
    }

    pub(super) fn type_name(&mut self, name: &TypeName) -> u32 {
        find(&mut self.types, &mut self.names.types, name)
    }

    pub(super) fn attribute(&mut self, name: &AttrName) -> u32 {
        find(&mut self.attributes, &mut self.names.attributes, name)
    }

    /// The number of a data set; 0 is the default one.
    pub(super) fn dataset(&mut self, dataset: Option<&DatasetId>) -> u32 {
        dataset.map_or(0, |name| {
            find(&mut self.datasets, &mut self.names.datasets, name).saturating_add(1)
        })
    }
}

fn find<T: Clone + Eq + std::hash::Hash>(
    known: &mut FxHashMap<T, u32>,
    names: &mut Vec<T>,
    name: &T,
) -> u32 {
    if let Some(number) = known.get(name) {
        return *number;
    }
    let number = number(names.len());
    names.push(name.clone());
    known.insert(name.clone(), number);
    number
}

/// There are never as many names as would not fit: each takes memory.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
