//! `musubi restore`: a data folder out of a backup.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use musubi_store_embedded::{Contents, restore_if};

use crate::args::Restore;
use crate::backup::{Progress, blocking, described};
use crate::parts::{self, Found};
use crate::server::chain;

/// Carries the command out, and writes what it has to say to `out`.
///
/// # Errors
///
/// A sentence for the operator.
pub(crate) async fn run(command: Restore, out: &mut dyn Write) -> Result<(), String> {
    let Restore { file, data_dir } = command;
    let text = blocking(move || {
        let shown = file.display().to_string();
        let source = File::open(&file).map_err(|error| format!("{shown}: {error}"))?;
        let mut found = Vec::new();
        let look = |data: &Path, contents: &Contents| {
            found = parts::check(data, contents)?;
            Ok(())
        };
        let (head, contents) = restore_if(Progress::reading(source), &data_dir, look)
            .map_err(|error| chain(&error))?;
        let mut text = format!(
            "{}: restored, as of {}\n{}",
            data_dir.display(),
            head.made_at,
            described(&contents)
        );
        // A gap of the history is no reason to do without the store: the broker says it in answers.
        for line in found.into_iter().flat_map(|Found { line, missing }| [Some(line), missing]) {
            text.extend(line.map(|line| format!("\n{line}")));
        }
        Ok(text)
    })
    .await?;
    writeln!(out, "{text}").map_err(|error| error.to_string())
}
