//! The arguments of `musubi backup`, `restore` and `verify`.

use std::path::PathBuf;

use clap::Args;

/// Flags of `musubi backup`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The file is musubi-<UTC time>.backup. It holds all tenants, as of one moment: every \
    write that was acknowledged before. It has the end .part until it is complete and has been read \
    again; what is left with that end is worth nothing.\n\nExamples:\n  \
    musubi backup /mnt/backups\n  \
    musubi backup /mnt/backups --broker http://127.0.0.1:1026 --rate 20\n  \
    musubi backup /mnt/backups --data-dir /var/lib/musubi     of a broker that does not run"
)]
pub(crate) struct Backup {
    /// Folder to put the file in.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// The broker.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:1026")]
    pub(crate) broker: String,
    /// Data folder of a broker that does not run, instead of one that does.
    #[arg(long, value_name = "DIR", conflicts_with = "broker")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The most that is read from the broker, in MB per second.
    #[arg(long, value_name = "MB/s", conflicts_with = "data_dir",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
}

/// Flags of `musubi restore`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The folder must be empty, or not be there. It can be served once the command has \
    ended with 0; after anything else, delete it and restore again.\n\nExamples:\n  \
    musubi restore musubi-20260401T030000Z.backup --data-dir /var/lib/musubi\n  \
    musubi serve --data-dir /var/lib/musubi"
)]
pub(crate) struct Restore {
    /// The backup.
    pub(crate) file: PathBuf,
    /// The folder to make.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
}

/// Flags of `musubi verify`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Ends with 0 if everything is as it was written, with 1 if not.\n\nExamples:\n  \
    musubi verify /mnt/backups/musubi-20260401T030000Z.backup\n  \
    musubi verify /var/lib/musubi"
)]
pub(crate) struct Verify {
    /// A backup, or a data folder that no broker has open.
    #[arg(value_name = "FILE|DIR")]
    pub(crate) path: PathBuf,
}
