//! What a notification tells of an entity beyond its state: what a change took away, and what was
//! there before it (CIM 009, clauses 4.8 and 5.8.6).

use std::collections::HashMap;

use musubi_model::{AttrName, DatasetId, Timestamp, Value};

/// What is told of one entity beyond its state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// When the entity was deleted, if it was.
    pub deleted_at: Option<Timestamp>,
    /// What is told of instances of its attributes. An instance that is gone still stands in the
    /// entity, so that it has a place among the others.
    pub attributes: HashMap<AttrName, Vec<InstanceMark>>,
}

/// What is told of one instance of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceMark {
    /// The data set of the instance; none for the default one.
    pub dataset: Option<DatasetId>,
    /// When the instance was deleted, if it was. Its value is shown as the NGSI-LD Null.
    pub deleted_at: Option<Timestamp>,
    /// What it was before, if that is to be shown. A value of a kind that stands under another
    /// member than that of the instance is not shown, because clause 4.5 forbids its member.
    pub previous: Option<Value>,
}

impl Marks {
    /// What is told of the instances of an attribute.
    pub(crate) fn of(&self, name: &AttrName) -> &[InstanceMark] {
        self.attributes.get(name).map_or(&[], Vec::as_slice)
    }
}
