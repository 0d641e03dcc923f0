//! `musubi verify`: whether a backup or a data folder is as it was written.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use musubi_store_embedded::{BackupHead, Contents, verify_backup_files, verify_store};

use crate::args::Verify;
use crate::backup::{Progress, blocking, described};
use crate::parts::{self, Found};
use crate::server::chain;

/// Carries the command out, and writes what it has to say to `out`.
///
/// # Errors
///
/// A sentence for the operator.
pub(crate) async fn run(command: Verify, out: &mut dyn Write) -> Result<(), String> {
    let path = command.path;
    let text = blocking(move || {
        let text = if path.is_dir() { folder(&path) } else { backup(&path) };
        text.map_err(|reason| format!("{}: {reason}", path.display()))
    })
    .await?;
    writeln!(out, "{text}").map_err(|error| error.to_string())
}

fn backup(path: &Path) -> Result<String, String> {
    let Checked { head, contents, found } = check_file(path)?;
    let text = format!(
        "{}: a whole backup, as of {}, made by version {}\n{}",
        path.display(),
        head.made_at,
        head.made_by,
        described(&contents)
    );
    with_parts(text, found)
}

fn folder(path: &Path) -> Result<String, String> {
    let contents = verify_store(path).map_err(|error| chain(&error))?;
    let text = format!("{}: a whole store\n{}", path.display(), described(&contents));
    with_parts(text, parts::check(path, &contents)?)
}

/// A backup that was read from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) head: BackupHead,
    pub(crate) contents: Contents,
    pub(crate) found: Vec<Found>,
}

/// Reads a backup, and whether its files belong together.
///
/// # Errors
///
/// A sentence that says what is wrong.
pub(crate) fn check_file(path: &Path) -> Result<Checked, String> {
    let source = File::open(path).map_err(|error| error.to_string())?;
    let (head, contents, files) = verify_backup_files(Progress::reading(source), parts::is_list)
        .map_err(|error| chain(&error))?;
    let found = parts::check_files(&files, &contents)?;
    Ok(Checked { head, contents, found })
}

/// Adds a line for each part; if one is not whole, that is the answer.
fn with_parts(mut text: String, found: Vec<Found>) -> Result<String, String> {
    for Found { line, missing } in found {
        if let Some(missing) = missing {
            return Err(missing);
        }
        text.push('\n');
        text.push_str(&line);
    }
    Ok(text)
}
