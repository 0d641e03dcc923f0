//! The arguments of `musubi dead-letters`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::Target;

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// Lists them, in the order of their ids.
    #[command(after_help = "Examples:\n  \
        musubi dead-letters list\n  \
        musubi dead-letters list --subscription urn:ngsi-ld:Subscription:shelters --limit 20\n  \
        musubi dead-letters list --adapter sensors --older-than 7d --json")]
    List {
        #[command(flatten)]
        meant: Meant,
        /// The most that are listed.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// Begins after the letter of this id.
        #[arg(long, value_name = "ID", default_value = "")]
        after: String,
        /// Prints them as JSON, with their payloads.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Shows one, with its payload.
    #[command(after_help = "Examples:\n  \
        musubi dead-letters show urn:ngsi-ld:Notification:6fa459ea-ee8a-5ca4-894e-db77e160355e\n  \
        musubi dead-letters show 0f2b9a0c5f7e5d0c9a4e1b7c3d8e6f21")]
    Show {
        /// Its id: that of a notification, or 32 digits of what an adapter could not map.
        id: String,
        #[command(flatten)]
        target: Target,
    },
    /// Sends one on its way once more, or those that are meant, in the order of their changes.
    #[command(
        after_help = "One that arrives is a letter no more; one that is refused again stays. \
        Ends with 0 if all of them arrived, with 1 if not.\n\nExamples:\n  \
        musubi dead-letters replay urn:ngsi-ld:Notification:6fa459ea-ee8a-5ca4-894e-db77e160355e\n  \
        musubi dead-letters replay --subscription urn:ngsi-ld:Subscription:shelters\n  \
        musubi dead-letters replay all --tenant nanao"
    )]
    Replay {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        target: Target,
    },
    /// Throws one away, or those that are meant.
    #[command(after_help = "Examples:\n  \
        musubi dead-letters purge urn:ngsi-ld:Notification:6fa459ea-ee8a-5ca4-894e-db77e160355e\n  \
        musubi dead-letters purge --older-than 30d\n  \
        musubi dead-letters purge --subscription urn:ngsi-ld:Subscription:gone\n  \
        musubi dead-letters purge all")]
    Purge {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        target: Target,
    },
}

/// Which letters are meant: those that fit everything that is given.
#[derive(Clone, Debug, Args)]
pub(crate) struct Meant {
    /// Those of this subscription.
    #[arg(long, value_name = "ID")]
    pub(crate) subscription: Option<String>,
    /// Those of this adapter.
    #[arg(long, value_name = "NAME")]
    pub(crate) adapter: Option<String>,
    /// Those that were given up so long ago, as in 36h or 30d.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) older_than: Option<Duration>,
}

impl Meant {
    /// Whether all letters are.
    pub(crate) fn is_all(&self) -> bool {
        self.subscription.is_none() && self.adapter.is_none() && self.older_than.is_none()
    }
}

/// One letter, or those that are meant.
#[derive(Clone, Debug, Args)]
pub(crate) struct Which {
    /// Its id, or all.
    #[arg(
        required_unless_present_any = ["subscription", "adapter", "older_than"],
        conflicts_with_all = ["subscription", "adapter", "older_than"]
    )]
    pub(crate) id: Option<String>,
    #[command(flatten)]
    pub(crate) meant: Meant,
}
