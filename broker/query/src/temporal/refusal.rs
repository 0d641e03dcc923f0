//! Why values are not put together.

use musubi_model::AttrName;

use crate::{Aggregation, AggregationMethod};

/// Why a query with an aggregation is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AggregationRefusal {
    /// The specification has no such aggregate of a value in the range: an invalid request (CIM
    /// 009, clauses 4.5.19.1 and 5.7.4.4).
    #[error("{method} of {attribute} cannot be told, because it has a value that is {value}")]
    NotApplicable {
        /// The attribute.
        attribute: AttrName,
        /// The method.
        method: AggregationMethod,
        /// What the value is, such as `a string`.
        value: &'static str,
    },
    /// There would be more aggregates than one answer may have.
    #[error(
        "the answer would have more than {most} aggregates: ask for longer periods, a shorter \
         range, fewer entities or lastN",
        most = Aggregation::MOST
    )]
    TooMany,
    /// There are more different values in a period than are told apart.
    #[error(
        "one period has more than {most} different values, which are not counted: ask for shorter \
         periods or a shorter range",
        most = Aggregation::MOST_DISTINCT
    )]
    TooManyDistinct,
}
