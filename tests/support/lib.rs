//! What the end-to-end tests and the load runs share: the built program as a process, receivers
//! of notifications, and a server for feeds in a folder.

mod client;
mod feed;
mod interpreter;
mod mqtt;
mod process;
mod receiver;
mod wait;

use std::io::Write as _;
use std::path::PathBuf;

pub use client::{Answer, Http};
pub use feed::FeedServer;
pub use interpreter::{program, python};
pub use mqtt::Publisher;
pub use process::{Finished, Musubi, PATIENCE, binary, finish, musubi};
pub use receiver::Receiver;
pub use wait::{free_port, until};

/// Where the real feeds are, if `MUSUBI_DATA` names a folder. Says so on standard error if not.
#[must_use]
pub fn real_data() -> Option<PathBuf> {
    let folder = std::env::var_os("MUSUBI_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("MUSUBI_DATA is not set: the real feeds are left out, their synthetic twins run");
    }
    folder
}

/// Says that something could not be tested on this machine: on standard error, and in the file
/// that `MUSUBI_NOT_TESTED` names, which `tests/run` shows at its end.
///
/// # Panics
///
/// If there is such a file and it cannot be written.
pub fn not_tested(what: &str, why: &str) {
    let line = format!("NOT TESTED: {what}: {why}\n");
    eprint!("{line}");
    if let Some(path) = std::env::var_os("MUSUBI_NOT_TESTED") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        written.expect("the list of what was not tested can be written");
    }
}

/// A file or folder among the fixtures.
#[must_use]
pub fn fixture(name: &str) -> PathBuf {
    repository().join("tests/fixtures").join(name)
}

/// The folder of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests.parent().map(PathBuf::from).unwrap_or_default()
}
