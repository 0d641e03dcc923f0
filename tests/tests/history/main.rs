//! Nothing that was acknowledged is lost from the history when the process is killed while it
//! records, writes files, merges them, or is being backed up; and nothing is recorded twice.
//!
//! Every writer changes the state of sensors of its own, which is recorded by itself, and tells of
//! the past of one: it adds instances late and out of order, corrects some and removes some. After
//! each kill all that is recorded of its entities is held against what was acknowledged; what was
//! sent and not acknowledged may be there or not, but not by half and not twice.
//!
//! `MUSUBI_KILL_ROUNDS` says how often the process is killed; 4 by default. `MUSUBI_KILL_INSTANCES`
//! says how many instances are there before the first kill; 20,000 by default.

mod past;
mod sensors;
mod town;

use std::path::Path;
use std::process::{Command, Stdio};

use musubi_tests::{Musubi, PATIENCE, binary, musubi};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;

use crate::town::Town;

/// Bytes of what is recorded before it becomes a file: so few that files are written and merged all
/// the time.
const MEMORY: &str = "262144";

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn serve(data: &Path) -> Musubi {
    let mut command = Command::new(binary());
    command.args(["serve", "--listen", "127.0.0.1:0", "--durability", "interval"]);
    command.args(["--log-level", "warn", "--data-dir"]).arg(data);
    Musubi::start(command.env("MUSUBI_HISTORY_MEMORY", MEMORY))
}

/// Begins a backup, and gives back once it has written something or has ended.
fn begin_backup(server: &Musubi, copies: &Path) -> std::process::Child {
    let mut backup = Command::new(binary())
        .args(["backup", "--broker", &server.url()])
        .arg(copies)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the backup starts");
    let has_begun = || {
        let mut files = std::fs::read_dir(copies).expect("a folder").map_while(Result::ok);
        files.any(|file| file.metadata().is_ok_and(|metadata| metadata.len() > 0))
    };
    let begun = Instant::now();
    while !has_begun() && backup.try_wait().expect("a process").is_none() {
        assert!(begun.elapsed() < PATIENCE, "the backup neither begins nor ends");
        std::thread::yield_now();
    }
    backup
}

fn copies(folder: &Path) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(folder).expect("a folder");
    let paths = files.map(|file| file.expect("a file").path());
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "backup")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_recorded_is_lost_or_doubled_by_kills() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, backups) = (folder.path().join("data"), folder.path().join("backups"));
    std::fs::create_dir(&backups).expect("a folder");
    let mut random = StdRng::seed_from_u64(number("MUSUBI_SEED", 5));
    let mut town = Town::new();
    let mut server = serve(&data);
    town.fill(&server, number("MUSUBI_KILL_INSTANCES", 20_000)).await;
    for round in 0..number("MUSUBI_KILL_ROUNDS", 4) {
        let enough = random.random_range(200..1000);
        if round % 2 == 0 {
            town.write_until_killed(server, enough).await;
        } else {
            // Killed while it is being copied, or soon after.
            let mut backup = None;
            let amid = |server: &Musubi| backup = Some(begin_backup(server, &backups));
            town.write_until_killed_amid(server, enough, amid).await;
            let ended = backup.expect("it was begun").wait().expect("it ends");
            assert_eq!(ended.success(), !copies(&backups).is_empty(), "a copy is whole or is none");
            for copy in copies(&backups) {
                std::fs::remove_file(copy).expect("a file");
            }
        }
        server = serve(&data);
        town.check(&server).await;
    }

    let before = town.clone_of_what_is_certain();
    let url = server.url();
    let back_up = || {
        let finished = musubi(&["backup", "--broker", &url, backups.to_str().expect("UTF-8")]);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        copies(&backups).pop().expect("a copy")
    };
    let copy = town.write_meanwhile(&server, back_up).await;
    town.check(&server).await;
    let copy = copy.to_str().expect("UTF-8");
    assert_eq!(musubi(&["verify", copy]).code, Some(0));
    let restored = folder.path().join("restored");
    let restored = restored.to_str().expect("UTF-8");
    let finished = musubi(&["restore", copy, "--data-dir", restored]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let restored = serve(Path::new(restored));
    before.check_at_least(&town, &restored).await;
}
