//! `musubi export history` and `musubi import history`: what is recorded of entities, in files.

use std::io::Write;

use musubi_export::{Counts, Export, Format, Import, Imported, Options, Selection};
use musubi_model::{Clock as _, SystemClock, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::args::{ExportHistory, FileFormat, ImportHistory, Target};

mod destination;
mod progress;
mod source;

use self::destination::Broker;
use self::progress::Progress;
use self::source::Evolutions;

/// Exports, and says on `out` what came of it.
///
/// # Errors
///
/// A sentence for the operator.
pub(crate) async fn export(
    command: ExportHistory,
    out: &mut dyn Write,
    shutdown: CancellationToken,
) -> Result<(), String> {
    let ExportHistory { types, attrs, from, rows, ref target, .. } = command;
    let api = api(target)?;
    let tenant = target.tenant.clone();
    let selection = Selection { tenant, types, attributes: attrs, from };
    let format = command.format.map(|format| match format {
        FileFormat::Parquet => Format::Parquet,
        FileFormat::Csv => Format::Csv,
    });
    let source = Evolutions::new(api, &selection);
    let now = source.now(SystemClock.now()).await?;
    let behind = i64::try_from(command.behind.as_micros()).unwrap_or(i64::MAX);
    let settled = now.plus_micros(behind.saturating_neg());
    let until = command.until.map_or(settled, |until| until.min(settled));

    let options = Options { selection, format, rows };
    let mut export = Export::open(&command.out, options).map_err(|error| error.to_string())?;
    let mut progress = Progress::new();
    if let Some(bound) = export.unfinished() {
        progress.note(&format!("going on with what was modified before {bound}"));
    }
    progress.note(&format!("reading what was modified before {until}"));
    let mut told = |counts: Counts| {
        progress.show(counts.instances, |per_second| {
            let Counts { instances, entities, bytes, parts } = counts;
            let megabytes = bytes / 1_000_000;
            format!(
                "{instances} instances of {entities} entities, {megabytes} MB, {parts} files \
                whole, {per_second} per second"
            )
        });
    };
    let ran = tokio::select! {
        ran = export.run(&source, until, &mut told) => ran.map_err(|error| error.to_string()),
        () = shutdown.cancelled() => Err("stopped; run it again to go on".to_owned()),
    };
    progress.end();
    ran?;
    if let Some(warning) = source.warning() {
        progress.note(&warning);
    }
    let Counts { instances, entities, parts, .. } = export.counts();
    let end = export.until().unwrap_or(until);
    let summary = format!(
        "{instances} instances of {entities} entities in {parts} new files; everything that was \
        modified before {end} is there"
    );
    writeln!(out, "{summary}").map_err(|error| error.to_string())
}

/// Imports, and says on `out` what came of it.
///
/// # Errors
///
/// A sentence for the operator.
pub(crate) async fn import(
    command: ImportHistory,
    out: &mut dyn Write,
    shutdown: CancellationToken,
) -> Result<(), String> {
    quiet_about_damaged_files();
    let broker = Broker::new(api(&command.target)?);
    let import = Import::open(&command.files).map_err(|error| error.to_string())?;
    let mut progress = Progress::new();
    let mut told = |imported: Imported| {
        progress.show(imported.rows, |per_second| {
            let Imported { rows, recorded, already_there, .. } = imported;
            format!(
                "{rows} rows sent: {recorded} new, {already_there} already there, {per_second} \
                per second"
            )
        });
    };
    let ran = tokio::select! {
        ran = import.run(&broker, &mut told) => ran.map_err(|error| error.to_string()),
        () = shutdown.cancelled() => Err("stopped; begin again whenever you like".to_owned()),
    };
    progress.end();
    let Imported { recorded, already_there, superseded, .. } = ran?;
    let corrected = match superseded {
        0 => String::new(),
        rows => format!(", {rows} left out because later rows correct them"),
    };
    writeln!(out, "{recorded} instances new, {already_there} already there{corrected}")
        .map_err(|error| error.to_string())
}

fn api(target: &Target) -> Result<Api, String> {
    Api::new(&target.broker, target.tenant.as_deref())
}

/// The library that reads Parquet panics on some damaged files; that is caught, and told in a
/// sentence, so nothing has to be printed where it happens.
fn quiet_about_damaged_files() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_of_reader =
            panic.location().is_some_and(|location| location.file().contains("/parquet-"));
        if !is_of_reader {
            usual(panic);
        }
    }));
}

/// The time as a broker and this process both have it at most.
fn earlier(ours: Timestamp, theirs: Option<Timestamp>) -> Timestamp {
    theirs.map_or(ours, |theirs| theirs.min(ours))
}
