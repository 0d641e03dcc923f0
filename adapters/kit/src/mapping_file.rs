//! Mapping files: one TOML file per source that says where it is, what its items become and who
//! owns them.
//!
//! This module reads and checks the file. What its expressions mean is said in
//! [`Mapper`](crate::Mapper), which compiles them.

mod entity_mapping;
mod raw;
mod setting;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use musubi_model::Tenant;

pub use entity_mapping::{
    AttributeMapping, AttributeSource, EntityMapping, Fallback, Located, OnMissing,
};
pub use setting::{
    Change, Decode, Devices, Encoding, Format, Group, MappingTest, ModelCheckMode,
    ModelCheckSetting, Preset, PresetMap, Secret,
};
pub use source::{FileSource, GbfsSource, HttpPushSource, MqttSource, Source};

/// The largest mapping file read, in bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// A mapping file, read and checked.
#[derive(Clone, Debug)]
pub struct MappingFile {
    /// The file, as it was named; the place of every error.
    pub file: String,
    /// The folder of the file: paths in it are relative to this.
    pub folder: PathBuf,
    /// The adapter's name: letters, digits, `_`, `-` and `.`, at most 64 bytes. By default the
    /// file's stem.
    pub name: String,
    /// Whose data it is; by default the default tenant. Never from a message.
    pub tenant: Tenant,
    /// Where the items come from.
    pub source: Source,
    /// What turns bytes into items.
    pub decode: Decode,
    /// Conditions (`when`), all of which an item must meet.
    pub filters: Vec<Located>,
    /// What an item becomes, if no preset says so.
    pub entities: Vec<EntityMapping>,
    /// The built-in mapping, if one is named.
    pub map: Option<PresetMap>,
    /// When a change is worth a write.
    pub change: Change,
    /// What is held against a data model, if anything.
    pub model_check: Option<ModelCheckSetting>,
    /// Groups of devices, by the key that stands in their topics.
    pub groups: BTreeMap<String, Group>,
    /// The tests of the file.
    pub tests: Vec<MappingTest>,
}

/// Why a mapping file cannot be used, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingError {
    /// The file, as it was named.
    pub file: String,
    /// Line and column, both from 1; none if the whole file is meant.
    pub place: Option<(usize, usize)>,
    /// What is wrong, in a sentence.
    pub reason: String,
}

impl std::fmt::Display for MappingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.reason),
            None => write!(f, "{}: {}", self.file, self.reason),
        }
    }
}

impl std::error::Error for MappingError {}

impl MappingFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`MappingError`] if it cannot be read, is larger than 4 MiB, or [`parse`](Self::parse)
    /// refuses it.
    pub fn load(path: &Path) -> Result<Self, MappingError> {
        let file = path.display().to_string();
        let refuse = |reason: String| MappingError { file: file.clone(), place: None, reason };
        let size = std::fs::metadata(path)
            .map_err(|error| refuse(format!("the file cannot be read: {error}")))?
            .len();
        if size > MAX_BYTES {
            return Err(refuse(format!(
                "a mapping file has at most {MAX_BYTES} bytes, and this one has {size}"
            )));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| refuse(format!("the file cannot be read: {error}")))?;
        Self::parse(&text, &file)
    }

    /// Reads the text of a file of that name. The name is the place of every error, its stem the
    /// default of `name`, its folder the one that paths are relative to.
    ///
    /// # Errors
    ///
    /// [`MappingError`] with line and column if the text is not TOML, has a key that is not
    /// known, a value that does not fit, or asks for something that is not supported.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, MappingError> {
        raw::parse(text, file_name)
    }

    /// An error about the whole file.
    pub fn error(&self, reason: impl Into<String>) -> MappingError {
        MappingError { file: self.file.clone(), place: None, reason: reason.into() }
    }

    /// An error about one text in the file.
    pub fn error_at(&self, text: &Located, reason: impl Into<String>) -> MappingError {
        MappingError {
            file: self.file.clone(),
            place: Some((text.line, text.column)),
            reason: reason.into(),
        }
    }

    /// A path of the file, seen from its folder.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }
}

#[cfg(test)]
mod tests;
