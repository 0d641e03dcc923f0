//! Rows as Apache Parquet, column by column.

use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::schema::types::{Type, TypePtr};

use crate::COLUMNS;

mod read;
mod write;

pub(crate) use self::read::ParquetReader;
pub(crate) use self::write::ParquetWriter;

/// How a column is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    /// A text.
    Text,
    /// A text of JSON.
    Json,
    /// A number.
    Number,
    /// A time: microseconds since 1970 in UTC.
    Time,
}

impl Column {
    fn of(name: &str) -> Self {
        match name {
            "value" | "rest" => Self::Json,
            "number" => Self::Number,
            "observedAt" | "createdAt" | "modifiedAt" | "deletedAt" => Self::Time,
            _ => Self::Text,
        }
    }

    fn physical(self) -> Physical {
        match self {
            Self::Text | Self::Json => Physical::BYTE_ARRAY,
            Self::Number => Physical::DOUBLE,
            Self::Time => Physical::INT64,
        }
    }

    fn logical(self) -> Option<LogicalType> {
        match self {
            Self::Text => Some(LogicalType::String),
            Self::Json => Some(LogicalType::Json),
            Self::Number => None,
            Self::Time => Some(LogicalType::timestamp(true, TimeUnit::MICROS)),
        }
    }
}

/// Columns that every row has something in.
const REQUIRED: [&str; 7] =
    ["entity", "types", "attribute", "kind", "value", "createdAt", "modifiedAt"];

fn schema() -> Result<TypePtr, ParquetError> {
    let field = |name: &&str| {
        let column = Column::of(name);
        let repetition =
            if REQUIRED.contains(name) { Repetition::REQUIRED } else { Repetition::OPTIONAL };
        Type::primitive_type_builder(name, column.physical())
            .with_logical_type(column.logical())
            .with_repetition(repetition)
            .build()
            .map(Arc::new)
    };
    let fields = COLUMNS.iter().map(field).collect::<Result<Vec<_>, _>>()?;
    Type::group_type_builder("history").with_fields(fields).build().map(Arc::new)
}

const COMPRESSION: Compression = Compression::SNAPPY;
