//! Pinned contexts: a folder of files by URL, so that an installation without internet has what
//! its data is written in.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use crate::ContextError;

/// The file that says which document stands for which URL.
const INDEX: &str = "contexts.json";

/// The URLs and documents of a folder.
pub(crate) fn read(folder: &Path) -> Result<Vec<(String, String)>, ContextError> {
    let text = read_file(&folder.join(INDEX))?;
    let index: BTreeMap<String, String> = serde_json::from_str(&text).map_err(|error| {
        let shown = folder.join(INDEX);
        ContextError::Invalid(format!("{} maps URLs to file names: {error}", shown.display()))
    })?;
    let read = |(url, file): (String, String)| {
        let path = Path::new(&file);
        let stays = path.components().all(|part| matches!(part, Component::Normal(_)));
        if file.is_empty() || !stays {
            let reason = format!("{file:?}, pinned for {url}, is no file in {}", folder.display());
            return Err(ContextError::Invalid(reason));
        }
        Ok((url, read_file(&folder.join(path))?))
    };
    index.into_iter().map(read).collect()
}

fn read_file(path: &Path) -> Result<String, ContextError> {
    std::fs::read_to_string(path).map_err(|error| {
        ContextError::Invalid(format!("{} cannot be read: {error}", path.display()))
    })
}
