//! History in files: what was recorded of entities, as rows of Parquet or CSV, and back.
//!
//! [`Export`] reads the history of a tenant from a [`Source`] into a folder, goes on where a run
//! before it ended, and adds what was modified since. [`Import`] reads such files into a
//! [`Destination`]. Both hold one answer, one row group and a few numbers in memory, however long
//! the history is. Nothing here knows of a network: who implements [`Source`] and [`Destination`]
//! does.

mod answer;
mod batch;
mod destination;
mod digest;
mod error;
mod export;
mod files;
mod folder;
mod format;
mod import;
mod instance;
mod journal;
mod members;
mod part;
mod position;
mod row;
mod rows_csv;
mod rows_parquet;
mod source;
mod superseded;

pub use self::destination::{Destination, Refusal, Taken};
pub use self::error::Error;
pub use self::export::{Counts, Export, Options};
pub use self::files::part_files;
pub use self::format::Format;
pub use self::import::{Import, Imported};
pub use self::journal::Selection;
pub use self::part::{Part, RowReader, RowWriter};
pub use self::row::{COLUMNS, Row};
pub use self::source::{Answer, Ask, Entities, NoAnswer, Source};
