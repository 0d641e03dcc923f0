//! The arguments of `musubi export` and `musubi import`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use musubi_model::Timestamp;

use super::Target;

/// What to write into files.
#[derive(Debug, Subcommand)]
pub(crate) enum Export {
    /// Writes what is recorded of entities into files of rows, one for each instance of an attribute.
    History(ExportHistory),
}

/// What to bring back.
#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// Brings back what was recorded of entities, with the times at which that was.
    History(ImportHistory),
}

/// Which kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileFormat {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values.
    Csv,
}

/// Flags of `musubi export history`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The folder gets files part-000001, part-000002, ... and export.json, which says \
    what of them is whole. Run it again, with the same flags, and what was modified since comes in \
    further files; corrections too, as further rows of the same instanceId, of which the last one \
    counts. What is removed from the history stays in the files, and what is imported with times of \
    long ago comes with no later run. A run that was stopped or killed is gone on with where its last \
    whole file ends.\n\n\
    Rows have the columns entity, types (with | between them), attribute, datasetId, kind, value (JSON), \
    number, unitCode, observedAt, createdAt, modifiedAt, deletedAt, instanceId and rest (a JSON object \
    of whatever else there is). Names are those of the core context, and IRIs where it has none.\n\n\
    Examples:\n  \
    musubi export history --out /var/backups/town\n  \
    musubi export history --out temperatures --format csv --type Device --attrs temperature\n  \
    musubi export history --out 2024 --from 2024-01-01T00:00:00Z --until 2025-01-01T00:00:00Z\n  \
    musubi export history --out nanao --tenant nanao --broker http://broker:1026"
)]
pub(crate) struct ExportHistory {
    /// Folder of the files; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Kind of the files [default: that of the folder, or parquet]
    #[arg(long, value_name = "parquet|csv", hide_possible_values = true)]
    pub(crate) format: Option<FileFormat>,
    /// Entities of this type alone; may be repeated.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<String>,
    /// These attributes alone.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) attrs: Vec<String>,
    /// What was modified at this time or later.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<Timestamp>,
    /// What was modified before this time [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Timestamp>,
    /// How far behind the broker's clock a run ends at least: a write gets its time a little before it
    /// can be read.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) behind: Duration,
    /// Rows of a file.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rows: u64,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Flags of `musubi import history`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Instances keep their createdAt and modifiedAt. Those that are there already, of \
    the same attribute, data set, times and value, are left out, so an import may be repeated, and one \
    that was stopped is begun again. Of an instance that was corrected, the last row counts. Files are \
    checked against export.json if there is one beside them.\n\nExamples:\n  \
    musubi import history /var/backups/town\n  \
    musubi import history part-000001.parquet part-000002.parquet --tenant copy\n  \
    musubi import history measured.csv --broker http://broker:1026"
)]
pub(crate) struct ImportHistory {
    /// Files that end in .parquet or .csv, and folders of them.
    #[arg(required = true, value_name = "FILE|DIR")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) target: Target,
}
