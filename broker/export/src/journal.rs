//! `export.json`: what of an export is whole, and where it goes on.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use musubi_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::part::{Part, sync_folder_of};
use crate::position::Position;
use crate::{Error, Format};

/// What an export is about. All runs into a folder are about the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// The tenant; none for the default one.
    pub tenant: Option<String>,
    /// The types of entities, in the terms of the core context; none means all.
    pub types: Vec<String>,
    /// The attributes, in the terms of the core context; none means all.
    pub attributes: Vec<String>,
    /// The first `modifiedAt`; none means all.
    #[serde(with = "optional_moment")]
    pub from: Option<Timestamp>,
}

/// What of an export is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journal {
    /// The version of this file.
    version: u32,
    pub(crate) format: Format,
    pub(crate) selection: Selection,
    /// All that was modified before this moment is in the parts.
    #[serde(with = "optional_moment")]
    pub(crate) until: Option<Timestamp>,
    /// The run that has not come to its end.
    pub(crate) run: Option<Run>,
    /// How many runs have.
    pub(crate) runs: u64,
    pub(crate) parts: Vec<Listed>,
}

/// A run that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    #[serde(with = "moment")]
    pub(crate) from: Timestamp,
    #[serde(with = "moment")]
    pub(crate) until: Timestamp,
    /// Where it goes on: what is before that is in whole parts.
    pub(crate) position: Position,
}

/// A whole part, and which run wrote it, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(crate) run: u64,
    #[serde(flatten)]
    pub(crate) part: Part,
}

const VERSION: u32 = 1;

impl Journal {
    pub(crate) fn new(format: Format, selection: Selection) -> Self {
        let parts = Vec::new();
        Self { version: VERSION, format, selection, until: None, run: None, runs: 0, parts }
    }

    pub(crate) fn path(folder: &Path) -> PathBuf {
        folder.join("export.json")
    }

    /// The journal of a folder, if it has one.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = Self::path(folder);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file(&path)(error)),
        };
        let journal: Self = serde_json::from_slice(&text)
            .map_err(|error| Error::damaged(&path, error.to_string()))?;
        if journal.version != VERSION {
            let reason = format!("version {} is not one that this program knows", journal.version);
            return Err(Error::damaged(&path, reason));
        }
        Ok(Some(journal))
    }

    /// Returns once the journal is on the disk.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = Self::path(folder);
        let partial = path.with_extension("json.partial");
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::damaged(&path, error.to_string()))?;
        let write = || {
            let mut file = File::create(&partial)?;
            file.write_all(&text)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&partial, &path)
        };
        write().map_err(Error::file(&path))?;
        sync_folder_of(&path)
    }

    /// The name of the part that comes next.
    pub(crate) fn next_part(&self) -> String {
        format!("part-{:06}.{}", self.parts.len() + 1, self.format.extension())
    }

    /// How this export differs from another that is asked for.
    pub(crate) fn differs(&self, format: Option<Format>, wanted: &Selection) -> Option<String> {
        let is = &self.selection;
        let list = |names: &[String]| {
            if names.is_empty() { "all".to_owned() } else { names.join(",") }
        };
        if format.is_some_and(|format| format != self.format) {
            return Some(format!("in files that end in .{}", self.format.extension()));
        }
        if is.tenant != wanted.tenant {
            let name = is.tenant.as_deref().map(|name| format!("the tenant {name}"));
            return Some(format!("of {}", name.as_deref().unwrap_or("the default tenant")));
        }
        if is.types != wanted.types {
            return Some(format!("of other types: {}", list(&is.types)));
        }
        if is.attributes != wanted.attributes {
            return Some(format!("of other attributes: {}", list(&is.attributes)));
        }
        (is.from != wanted.from).then(|| match is.from {
            Some(from) => format!("from {from} on"),
            None => "from the beginning on".to_owned(),
        })
    }
}

/// Times as texts.
pub(crate) mod moment {
    use musubi_model::Timestamp;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    pub(crate) fn serialize<S: Serializer>(time: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(time.text().as_str())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// The same, or null.
mod optional_moment {
    use musubi_model::Timestamp;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(
        clippy::ref_option,
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands over a reference to the member"
    )]
    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(|time| time.to_string()).serialize(out)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse()).transpose().map_err(D::Error::custom)
    }
}
