//! Answers, put together from what is in segments and what is in none yet.

mod aggregate;
mod candidates;
mod deadline;
mod entity;
mod gather;
mod lookup;
mod operand;
mod page;
mod rolled;
mod running_cut;
mod source;
mod view;

pub(crate) use self::deadline::Deadline;
pub(crate) use self::entity::EntityView;
pub(crate) use self::gather::{End, Needed};
pub(crate) use self::lookup::{anything, instance, outline};
pub(crate) use self::page::evolutions;
pub(crate) use self::view::View;
