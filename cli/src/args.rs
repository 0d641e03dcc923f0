//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod copies;
mod dead_letters;
mod history;

pub(crate) use copies::{Backup, Restore, Verify};
pub(crate) use dead_letters::{DeadLetters, Meant, Which};
pub(crate) use history::{Export, ExportHistory, FileFormat, Import, ImportHistory};

/// A city's data-linkage platform: an NGSI-LD context broker with the adapters that feed it.
#[derive(Debug, Parser)]
#[command(
    name = "musubi",
    version,
    after_help = "Examples:\n  \
        musubi demo                                  a simulated town on top of a real broker\n  \
        musubi serve --data-dir /var/lib/musubi      the broker\n  \
        musubi serve --mqtt 127.0.0.1:1883 --adapter tokyo.toml\n  \
        musubi adapter preview tokyo.toml            what a source would write; writes nothing\n  \
        musubi subscriptions                         who was told what, and who could not be"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the broker, with the adapters and listeners that the configuration names.
    Serve(Serve),
    /// Runs the broker with a simulated town: share-cycle docks, shelters, sensors, and a vendor.
    Demo(Demo),
    /// Looks at, checks and runs sources.
    #[command(subcommand)]
    Adapter(Adapter),
    /// Lists subscriptions and what became of all that they had to be told.
    Subscriptions(Subscriptions),
    /// What could not be delivered or mapped.
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Copies everything that a broker holds into one file, while it serves.
    Backup(Backup),
    /// Makes a data folder of a backup.
    Restore(Restore),
    /// Reads a backup, or the data folder of a broker that does not run, and says whether it is whole.
    Verify(Verify),
    /// Writes what is kept into files.
    #[command(subcommand)]
    Export(Export),
    /// Brings back what stands in files.
    #[command(subcommand)]
    Import(Import),
    /// The data models that come with the program, and whether entities in files follow them.
    #[command(subcommand)]
    Schemas(SchemasCommand),
}

/// Flags of a server. Each has a key in musubi.toml and an environment variable; see
/// `musubi serve --print-config`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Every setting has a key in musubi.toml and an environment variable \
    MUSUBI_...; --print-config lists them all.\n\nExamples:\n  \
    musubi serve\n  \
    musubi serve --listen 127.0.0.1:0 --durability interval\n  \
    musubi serve --config /etc/musubi.toml --adapter tokyo.toml --adapter sensors.toml")]
pub(crate) struct Serve {
    /// File of settings; ./musubi.toml is read if there is one.
    #[arg(long, value_name = "FILE", env = "MUSUBI_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Address of the HTTP API; port 0 picks a free one [default: 127.0.0.1:1026]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Folder of the store [default: ./data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,
    /// Address of the MQTT listener, or off [default: off]
    #[arg(long, value_name = "ADDR|off")]
    pub(crate) mqtt: Option<String>,
    /// When a write is answered: when it is on the disk, or when it has left the process
    /// [default: sync]
    #[arg(long, value_name = "sync|interval")]
    pub(crate) durability: Option<String>,
    /// Private addresses that notifications and contexts may reach [default: loopback]
    #[arg(long, value_name = "loopback|deny|allow")]
    pub(crate) outbound_private: Option<String>,
    /// Mapping file of a source to run in this process; may be repeated.
    #[arg(long, value_name = "FILE")]
    pub(crate) adapter: Vec<PathBuf>,
    /// error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// Prints every setting with its default and meaning, and ends.
    #[arg(long)]
    pub(crate) print_config: bool,
}

impl Serve {
    /// The flags that were given, by the key that each sets.
    pub(crate) fn flags(&self) -> Vec<(&'static str, String)> {
        let mut flags = Vec::new();
        let mut add = |key, value: &Option<String>| {
            if let Some(value) = value {
                flags.push((key, value.clone()));
            }
        };
        add("listen", &self.listen);
        add("data_dir", &self.data_dir);
        add("mqtt.listen", &self.mqtt);
        add("durability", &self.durability);
        add("outbound.private", &self.outbound_private);
        add("log.level", &self.log_level);
        flags
    }
}

/// Flags of the demo.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    musubi demo\n  \
    musubi demo --seed 7 --data-dir /tmp/town")]
pub(crate) struct Demo {
    /// Which town: the same number gives the same town.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Address of the vendor's receiver of notifications; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:1027")]
    pub(crate) receiver: String,
    /// Address of the town's own server: the GBFS feed, and the switch of the receiver.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:1028")]
    pub(crate) town: String,
    #[command(flatten)]
    pub(crate) serve: Serve,
}

/// What to do with a source.
#[derive(Debug, Subcommand)]
pub(crate) enum Adapter {
    /// Shows what a source would write, and writes nothing.
    #[command(after_help = "Examples:\n  \
        musubi adapter preview tokyo.toml\n  \
        musubi adapter preview tokyo.toml --broker http://127.0.0.1:1026 --limit 5")]
    Preview {
        /// Mapping file of the source.
        file: PathBuf,
        /// Broker to compare with; without one everything is new.
        #[arg(long, value_name = "URL")]
        broker: Option<String>,
        /// How many of the source's items to look at.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Checks a mapping file without touching its source.
    Check {
        /// Mapping file of the source.
        file: PathBuf,
    },
    /// Runs the tests that stand in a mapping file.
    Test {
        /// Mapping file of the source.
        file: PathBuf,
    },
    /// Runs a source as a process of its own, towards a broker.
    #[command(after_help = "Examples:\n  \
        musubi adapter run tokyo.toml --broker http://127.0.0.1:1026\n  \
        musubi adapter run nanao.toml --broker http://127.0.0.1:1026 --once")]
    Run {
        /// Mapping file of the source.
        file: PathBuf,
        /// The broker.
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:1026")]
        broker: String,
        /// Folder for what the source has to remember.
        #[arg(long, value_name = "DIR", default_value = "./adapter-data")]
        data_dir: PathBuf,
        /// Works through what the source has now, and ends.
        #[arg(long)]
        once: bool,
    },
    /// Lists devices of a running broker's sources.
    Devices {
        /// Those that report and that no mapping file knows; the only list there is.
        #[arg(long, required = true)]
        unknown: bool,
        /// The broker.
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:1026")]
        broker: String,
    },
}

/// What to do with data models. Needs no broker.
#[derive(Debug, Subcommand)]
pub(crate) enum SchemasCommand {
    /// Lists the models.
    List,
    /// Shows the JSON Schema of a model.
    #[command(after_help = "Examples:\n  \
        musubi schemas show EvacuationShelter\n  \
        musubi schemas show EvacuationShelter --example")]
    Show {
        /// Name of the model.
        name: String,
        /// Shows an invented entity that follows the model instead.
        #[arg(long)]
        example: bool,
    },
    /// Checks entities in files: one NGSI-LD entity each, or an array of them.
    #[command(after_help = "Names are read in the project's context (musubi.jsonld), whatever \
        @context an entity has.\n\nExamples:\n  \
        musubi schemas check shelters.json\n  \
        musubi schemas check --model Device sensors/*.json\n  \
        musubi schemas show Event --example | musubi schemas check -")]
    Check {
        /// Files of entities; - is the standard input.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Model to follow [default: that of the entity's type]
        #[arg(long, value_name = "NAME")]
        model: Option<String>,
    },
}

/// Flags of `musubi subscriptions`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Those in trouble come first: endpoints that are left alone because they keep \
    failing, then those that failed last, then what waits, then what was given up.\n\n\
    due = delivered + pending + dead + suppressed\n\nExamples:\n  \
    musubi subscriptions\n  \
    musubi subscriptions --tenant nanao\n  \
    musubi subscriptions --json --broker http://127.0.0.1:1026"
)]
pub(crate) struct Subscriptions {
    /// Prints them as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Which broker and tenant.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// The broker.
    #[arg(
        long,
        visible_alias = "url",
        value_name = "URL",
        default_value = "http://127.0.0.1:1026"
    )]
    pub(crate) broker: String,
    /// The tenant; the default one if none is named.
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
