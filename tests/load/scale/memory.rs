//! The memory that a broker takes: with nothing, and for each entity.

use musubi_tests::Musubi;

use super::Stores;
use crate::report::{Line, Mark, say};
use crate::sample::number;
use crate::usage::{idle, megabytes, memory, memory_of_files};
use crate::{Failure, Plan};

/// In megabytes.
const IDLE: f64 = 20.0;
/// In bytes.
const EACH: f64 = 1200.0;

/// Measures memory.
///
/// # Errors
///
/// If a broker does not start or come to rest.
pub(crate) async fn measure(plan: &Plan, stores: &mut Stores) -> Result<Vec<Line>, Failure> {
    let folder = plan.empty_folder()?;
    let server = Musubi::serve(&folder.path().join("data"), &["--log-level", "warn"]);
    idle(server.id()).await?;
    let (nothing, files) = (memory(server.id())?, memory_of_files(server.id())?);
    drop(server);
    let mut lines = vec![Line::new(
        "memory of an empty broker",
        format!("≤ {IDLE} MB"),
        format!(
            "{} MB, {} of them pages of the program's file",
            number(megabytes(nothing)),
            number(megabytes(files))
        ),
        Mark::of(megabytes(nothing) <= IDLE),
    )];

    let store = stores.largest(plan).await?;
    let count = store.lamps.count;
    let each = |held: u64| megabytes(held.saturating_sub(nothing)) * 1e6 / f64::from(count);
    let mut before = store.filled.memory;
    for when in ["after they were written", "after the broker was started again"] {
        store.form().await?;
        let formed = store.memory().await?;
        say(&format!(
            "{when}: {} bytes for each, {} once the indexes for `q` and `near` have formed",
            number(each(before)),
            number(each(formed))
        ));
        lines.push(Line::new(
            format!("memory for each of {} entities, {when}", number(count.into())),
            format!("≤ {} bytes with indexes", number(EACH)),
            format!(
                "{} ({} before those for `q` had formed); {} MB in all",
                number(each(formed)),
                number(each(before)),
                number(megabytes(formed)),
            ),
            Mark::of(each(formed) <= EACH),
        ));
        if lines.len() < 3 {
            store.stop()?;
            store.serve()?;
            before = store.memory().await?;
        }
    }
    Ok(lines)
}
