//! `musubi backup`: everything that a broker holds, in one file.

mod progress;
mod target;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use musubi_model::{Clock as _, SystemClock, Timestamp};
use musubi_store::StoreError;
use musubi_store_embedded::{Contents, backup_folder};
use tokio::time::{Instant, sleep_until};

pub(crate) use self::progress::Progress;
use self::target::{Finished, Target};
use crate::api::Api;
use crate::args::Backup;
use crate::parts;
use crate::server::chain;

const PATH: &str = "/musubi/v1/backup";

/// Carries the command out, and writes what it has to say to `out`.
///
/// # Errors
///
/// A sentence for the operator.
pub(crate) async fn run(command: Backup, out: &mut dyn Write) -> Result<(), String> {
    let now = SystemClock.now();
    let target = Target::create(&command.folder, &file_name(now))?;
    let target = match command.data_dir {
        Some(data) => blocking(move || copy(&data, target, now)).await?,
        None => receive(&Api::new(&command.broker, None)?, target, command.rate).await?,
    };
    let finished = blocking(move || target.finish()).await?;
    let Finished { path, contents, bytes, found } = finished;
    let mut text = format!("{}: {bytes} bytes\n{}", path.display(), described(&contents));
    // A gap of the history is no reason to have no backup.
    for missing in found.into_iter().filter_map(|found| found.missing) {
        text.push('\n');
        text.push_str(&missing);
    }
    writeln!(out, "{text}").map_err(|error| error.to_string())
}

/// The name of a backup that is made now.
fn file_name(now: Timestamp) -> String {
    let text: String = now.to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let seconds = text.get(..15).unwrap_or(&text);
    format!("musubi-{seconds}Z.backup")
}

/// Reads from a broker that runs, no faster than that many MB per second.
async fn receive(api: &Api, mut target: Target, rate: Option<u32>) -> Result<Target, String> {
    let mut answer = api.download(PATH).await?;
    let start = Instant::now();
    loop {
        let piece = answer.piece().await.map_err(|error| {
            format!("the backup was broken off by the broker and is not complete: {error}")
        })?;
        let Some(piece) = piece else { return Ok(target) };
        target = blocking(move || target.write(&piece).map(|()| target)).await?;
        if let Some(rate) = rate {
            // A million bytes take a second at a rate of 1.
            let micros = target.bytes() / u64::from(rate);
            sleep_until(start + Duration::from_micros(micros)).await;
        }
    }
}

/// Reads the data folder of a broker that does not run.
fn copy(data: &Path, mut target: Target, now: Timestamp) -> Result<Target, String> {
    let files = parts::attached(data);
    let files = files.map_err(|error| format!("--data-dir {}: {error}", data.display()))?;
    backup_folder(data, files, now, |piece| target.write(piece).map_err(Failure::Said)).map_err(
        |failure| match failure {
            Failure::Said(text) => text,
            Failure::Store(error) => format!("--data-dir {}: {}", data.display(), chain(&error)),
        },
    )?;
    Ok(target)
}

/// Why a copy was given up.
enum Failure {
    Said(String),
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What a backup or a store holds, in lines.
pub(crate) fn described(contents: &Contents) -> String {
    let Contents { entities, records, changes, oldest, newest, files, file_bytes, .. } = contents;
    let log = match changes {
        0 => "no changes".to_owned(),
        _ => format!("{changes} changes, {} to {}", oldest.0, newest.0),
    };
    let rows = format!("{entities} entities\n{records} records\n{log}");
    match files {
        0 => rows,
        _ => format!("{rows}\n{files} files of the history, {file_bytes} bytes"),
    }
}

/// Does something that waits for the disk.
///
/// # Errors
///
/// What it says.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_named_after_its_second() {
        let moment = Timestamp::parse_utc("2026-04-01T03:02:01.5Z").unwrap();
        assert_eq!(file_name(moment), "musubi-20260401T030201Z.backup");
    }
}
