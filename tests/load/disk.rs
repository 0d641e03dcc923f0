//! The disk's own speed.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::Failure;
use crate::sample::rate;

/// The bytes of a group of writes, about: twenty-five entities with their log records.
const GROUP: usize = 16 * 1024;

/// How often per second a group's bytes can be appended to a file in this folder and be made
/// durable with `fdatasync`, one after the other.
///
/// # Errors
///
/// If the disk cannot be written.
pub(crate) fn syncs(folder: &Path, time: Duration) -> Result<f64, Failure> {
    let mut file = tempfile::tempfile_in(folder)?;
    let group = vec![0x5a; GROUP];
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < time {
        file.write_all(&group)?;
        file.sync_data()?;
        count += 1;
    }
    Ok(rate(count, start.elapsed()))
}
