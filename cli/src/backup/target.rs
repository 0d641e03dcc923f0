//! The file that a backup becomes.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use musubi_store_embedded::{Contents, create_durably};

use super::Progress;
use crate::parts::Found;
use crate::verify::{Checked, check_file};

/// After so many bytes they are brought to the disk, so that what others want to have there does not
/// have to wait for all of them at once.
const SYNC: u64 = 16 << 20;

/// A backup on its way into a file. Until it is finished, the file's name ends in `.part`; what does
/// not come to its end is removed.
#[derive(Debug)]
pub(super) struct Target {
    part: PathBuf,
    path: PathBuf,
    file: File,
    bytes: u64,
    unsynced: u64,
    progress: Progress,
    is_finished: bool,
}

/// A backup that is whole and has its name.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) path: PathBuf,
    pub(super) contents: Contents,
    pub(super) bytes: u64,
    pub(super) found: Vec<Found>,
}

impl Target {
    pub(super) fn create(folder: &Path, name: &str) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        create_durably(folder).map_err(failed)?;
        let (path, part) = (folder.join(name), folder.join(format!("{name}.part")));
        if path.exists() {
            return Err(format!("{} is there already", path.display()));
        }
        let file = File::create_new(&part);
        let file = file.map_err(|error| format!("{}: {error}", part.display()))?;
        let progress = Progress::new("written");
        Ok(Self { part, path, file, bytes: 0, unsynced: 0, progress, is_finished: false })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn write(&mut self, piece: &[u8]) -> Result<(), String> {
        self.put(piece).map_err(|error| format!("{}: {error}", self.part.display()))
    }

    fn put(&mut self, piece: &[u8]) -> std::io::Result<()> {
        self.file.write_all(piece)?;
        let length = u64::try_from(piece.len()).unwrap_or_default();
        self.bytes += length;
        self.unsynced += length;
        if self.unsynced >= SYNC {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        self.progress.show(self.bytes);
        Ok(())
    }

    /// Brings all of it to the disk, reads it again, and gives it its name.
    pub(super) fn finish(mut self) -> Result<Finished, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.part.display());
        self.file.sync_all().map_err(failed)?;
        self.progress.end();
        let Checked { contents, found, .. } = check_file(&self.part)?;
        fs::rename(&self.part, &self.path).map_err(failed)?;
        self.is_finished = true;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(Finished { path: self.path.clone(), contents, bytes: self.bytes, found })
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.is_finished {
            // It is worth nothing, and whoever finds it knows so by its name.
            let _ = fs::remove_file(&self.part);
        }
    }
}
