//! Which kind of file.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// What kind of file rows stand in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Apache Parquet, compressed with Snappy; times are microseconds in UTC.
    #[default]
    Parquet,
    /// Comma-separated values with a line of heads, in UTF-8; times are texts.
    Csv,
}

impl Format {
    /// The end of a file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
        }
    }

    /// The kind of a file, by the end of its name.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        [Self::Parquet, Self::Csv].into_iter().find(|format| format.extension() == extension)
    }
}
