//! What a client sends: parts of an entity, expanded, on their way to be merged.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::{AttrName, DatasetId, EntityId, Json, Scope, Timestamp, TypeName, Value};

/// An entity, or a part of one, as a request carries it (CIM 009, clause 5.4). Nothing in it has
/// a time of creation or modification yet; which members are required depends on the operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntityFragment {
    /// The `id` member.
    pub id: Option<EntityId>,
    /// The `type` member; empty when the request has none.
    pub types: Vec<TypeName>,
    /// The `scope` member.
    pub scopes: Patch<Vec<Scope>>,
    /// The `expiresAt` member.
    pub expires_at: Patch<Timestamp>,
    /// The attributes, each name once, in the order of the request.
    pub attributes: Vec<AttributeFragment>,
}

/// An attribute as a request carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeFragment {
    /// The expanded name.
    pub name: AttrName,
    /// At least one instance, each of another data set.
    pub instances: SmallVec<[InstanceFragment; 1]>,
}

/// An attribute instance as a request carries it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceFragment {
    /// The value; none in a partial update that changes only other members.
    pub value: Option<FragmentValue>,
    /// The data set; none for the default instance.
    pub dataset_id: Option<DatasetId>,
    /// The `observedAt` member.
    pub observed_at: Patch<Timestamp>,
    /// The `unitCode` member.
    pub unit_code: Patch<Arc<str>>,
    /// The `expiresAt` member.
    pub expires_at: Patch<Timestamp>,
    /// The `valueType` member.
    pub value_type: Patch<Arc<str>>,
    /// The `objectType` member.
    pub object_type: Patch<Vec<TypeName>>,
    /// Sub-attributes.
    pub attributes: Vec<AttributeFragment>,
}

/// The temporal evolution of an entity, or a part of it, as a request carries it (CIM 009, clause
/// 5.2.20). Which members are required depends on the operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EvolutionFragment {
    /// The `id` member.
    pub id: Option<EntityId>,
    /// The `type` member; empty when the request has none.
    pub types: Vec<TypeName>,
    /// The attributes, each name once, in the order of the request, with their instances. Those of
    /// [`SCOPE`](crate::SCOPE) are scopes.
    pub attributes: Vec<(AttrName, Vec<RecordFragment>)>,
}

impl EvolutionFragment {
    /// The most attribute instances of one request.
    pub const MAX_INSTANCES: usize = 10_000;
}

/// An attribute instance of the past as a request carries it (CIM 009, clauses 4.5.7 and 4.5.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFragment {
    /// What it says. If it tells of a deletion, its value is the string `urn:ngsi-ld:null` in the
    /// kind that was deleted.
    pub instance: InstanceFragment,
    /// The `deletedAt` member; looked at only if it tells of a deletion.
    pub deleted_at: Option<Timestamp>,
}

/// The value of an attribute instance in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FragmentValue {
    /// A value whose kind the request says, or leaves no doubt of.
    Typed(Value),
    /// A value in the simplified representation: its kind is that of the attribute that is
    /// there, or else what the JSON looks like.
    Simplified(Json),
    /// The NGSI-LD Null: the instance is to be deleted.
    Null,
}

/// What a request does to an optional member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The request does not mention it.
    #[default]
    Keep,
    /// The request takes it away, with an NGSI-LD Null.
    Remove,
    /// The request gives it this value.
    Set(T),
}

impl<T> Patch<T> {
    /// The new value of a member that had `current`.
    pub fn apply(self, current: Option<T>) -> Option<T> {
        match self {
            Self::Keep => current,
            Self::Remove => None,
            Self::Set(value) => Some(value),
        }
    }
}
