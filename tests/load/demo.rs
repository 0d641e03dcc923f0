//! The demo: how soon it serves, and how much memory it takes.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use musubi_tests::{Musubi, binary};
use tokio::time::Instant;

use crate::report::{Line, Mark, say};
use crate::sample::{Sample, number};
use crate::usage::{Processor, megabytes, memory};
use crate::{Failure, Plan};

const STARTS: usize = 5;
/// In seconds.
const READY: f64 = 1.0;
/// In megabytes.
const MEMORY: f64 = 64.0;

fn start(folder: &Path) -> Musubi {
    let mut command = Command::new(binary());
    command.arg("demo").arg("--data-dir").arg(folder);
    for flag in ["--listen", "--mqtt", "--receiver", "--town"] {
        command.args([flag, "127.0.0.1:0"]);
    }
    Musubi::start(&mut command)
}

/// Measures the demo.
///
/// # Errors
///
/// If it does not start.
pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    let mut ready = Sample::default();
    for _ in 0..STARTS {
        let folder = plan.empty_folder()?;
        let begun = Instant::now();
        let demo = start(folder.path());
        ready.add(begun.elapsed().as_secs_f64());
        demo.kill();
    }
    let folder = plan.empty_folder()?;
    let demo = start(folder.path());
    let before = Processor::now(demo.id())?;
    let begun = Instant::now();
    let mut most = 0;
    while begun.elapsed() < plan.demo {
        tokio::time::sleep(Duration::from_millis(250)).await;
        most = memory(demo.id())?.max(most);
    }
    let held = megabytes(memory(demo.id())?);
    let used = before.since()?.as_secs_f64();
    let (most, waited) = (number(megabytes(most)), begun.elapsed().as_secs());
    say(&format!("after {waited} s: {} s of CPU, at most {most} MB", number(used)));
    Ok(vec![
        Line::new(
            "demo, from its start to its ready line",
            format!("≤ {READY} s"),
            format!("{ready} s"),
            Mark::of(ready.median() <= READY),
        ),
        Line::new(
            "demo, memory",
            format!("≤ {MEMORY} MB"),
            format!("{} MB after {waited} s, at most {most} MB", number(held)),
            Mark::of(held <= MEMORY),
        ),
    ])
}
