//! Names that come again and again, each kept once and known by a number.

use musubi_model::{AttrName, DatasetId, Tenant, TypeName};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::column::Damaged;
use crate::series::SeriesName;

const DAMAGED: Damaged = Damaged("the table of names");

/// The names of a segment, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Names {
    /// In order, as they are written so.
    pub(super) tenants: Vec<Tenant>,
    pub(super) types: Vec<TypeName>,
    pub(super) attributes: Vec<AttrName>,
    pub(super) datasets: Vec<DatasetId>,
}

impl Names {
    pub(crate) fn tenant(&self, number: u32) -> Result<&Tenant, Damaged> {
        at(&self.tenants, number)
    }

    pub(crate) fn type_name(&self, number: u32) -> Result<&TypeName, Damaged> {
        at(&self.types, number)
    }

    pub(crate) fn attribute(&self, number: u32) -> Result<&AttrName, Damaged> {
        at(&self.attributes, number)
    }

    /// The data set; 0 is the default one.
    pub(crate) fn dataset(&self, number: u32) -> Result<Option<&DatasetId>, Damaged> {
        number.checked_sub(1).map(|number| at(&self.datasets, number)).transpose()
    }

    /// The name of a series.
    pub(crate) fn series(&self, (attribute, dataset): (u32, u32)) -> Result<SeriesName, Damaged> {
        Ok((self.attribute(attribute)?.clone(), self.dataset(dataset)?.cloned()))
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
pub(crate) struct NewNames {
    pub(crate) names: Names,
    types: FxHashMap<TypeName, u32>,
    attributes: FxHashMap<AttrName, u32>,
    datasets: FxHashMap<DatasetId, u32>,
    /// What the names take, about, in bytes.
    size: usize,
}

/// What a name takes beside its text: in the list, in the table of numbers, and where it stands.
const NAME: usize = 96;

impl NewNames {
    /// What the names that have numbers take, about, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The number of a tenant; they come in order.
    pub(super) fn tenant(&mut self, tenant: &Tenant) -> u32 {
        if self.names.tenants.last() != Some(tenant) {
            self.names.tenants.push(tenant.clone());
        }
        number(self.names.tenants.len() - 1)
    }

    pub(crate) fn type_name(&mut self, name: &TypeName) -> u32 {
        find((&mut self.types, &mut self.names.types), name, name.as_str(), &mut self.size)
    }

    pub(crate) fn attribute(&mut self, name: &AttrName) -> u32 {
        let known = (&mut self.attributes, &mut self.names.attributes);
        find(known, name, name.as_str(), &mut self.size)
    }

    /// The number of a data set; 0 is the default one.
    pub(crate) fn dataset(&mut self, dataset: Option<&DatasetId>) -> u32 {
        dataset.map_or(0, |name| {
            let known = (&mut self.datasets, &mut self.names.datasets);
            find(known, name, name.as_str(), &mut self.size).saturating_add(1)
        })
    }
}

/// Names of another place, and which numbers they have in the one that is written.
#[derive(Debug)]
pub(crate) struct Foreign<'a> {
    names: &'a Names,
    types: Vec<Option<u32>>,
    attributes: Vec<Option<u32>>,
    datasets: Vec<Option<u32>>,
}

impl<'a> Foreign<'a> {
    pub(crate) fn new(names: &'a Names) -> Self {
        Self {
            names,
            types: vec![None; names.types.len()],
            attributes: vec![None; names.attributes.len()],
            datasets: vec![None; names.datasets.len()],
        }
    }

    pub(super) fn type_name(&mut self, number: u32, own: &mut NewNames) -> Result<u32, Damaged> {
        let names = self.names;
        known(&mut self.types, number, || Ok(own.type_name(names.type_name(number)?)))
    }

    pub(super) fn attribute(&mut self, number: u32, own: &mut NewNames) -> Result<u32, Damaged> {
        let names = self.names;
        known(&mut self.attributes, number, || Ok(own.attribute(names.attribute(number)?)))
    }

    pub(super) fn dataset(&mut self, number: u32, own: &mut NewNames) -> Result<u32, Damaged> {
        let Some(place) = number.checked_sub(1) else { return Ok(0) };
        let names = self.names;
        known(&mut self.datasets, place, || Ok(own.dataset(names.dataset(number)?)))
    }
}

/// The number at a place, which is found out if it is not known yet.
fn known(
    numbers: &mut [Option<u32>],
    place: u32,
    find: impl FnOnce() -> Result<u32, Damaged>,
) -> Result<u32, Damaged> {
    let number = usize::try_from(place).ok().and_then(|place| numbers.get_mut(place));
    let number = number.ok_or(DAMAGED)?;
    match number {
        Some(number) => Ok(*number),
        None => Ok(*number.insert(find()?)),
    }
}

fn find<T: Clone + Eq + std::hash::Hash>(
    (known, names): (&mut FxHashMap<T, u32>, &mut Vec<T>),
    name: &T,
    text: &str,
    total: &mut usize,
) -> u32 {
    if let Some(number) = known.get(name) {
        return *number;
    }
    *total += NAME + text.len();
    let number = number(names.len());
    names.push(name.clone());
    known.insert(name.clone(), number);
    number
}

/// There are never as many names as would not fit: each takes memory.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
