//! Every seed of the fuzz targets, read as the targets read it: nothing panics, and what is written
//! again is read as the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// What the fuzz targets do with their input.
#[path = "../fuzz/src/lib.rs"]
pub mod targets;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 10] = [
    ("accept", targets::accept),
    ("body", targets::body),
    ("context", targets::context),
    ("geo_query", targets::geo_query),
    ("link_header", targets::link_header),
    ("order_by", targets::order_by),
    ("projection", targets::projection),
    ("q", targets::q),
    ("scope_q", targets::scope_q),
    ("type_selection", targets::type_selection),
];

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

/// The names of what is in a folder, without their extensions.
fn names(folder: &str, is_wanted: impl Fn(&fs::DirEntry) -> bool) -> BTreeSet<String> {
    let entries = fs::read_dir(self::folder(folder)).unwrap().map(Result::unwrap);
    entries
        .filter(is_wanted)
        .map(|entry| entry.path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn every_target_has_seeds_and_is_replayed() {
    let replayed: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("fuzz_targets", |_| true), replayed);
    assert_eq!(names("corpus", |entry| entry.path().is_dir()), replayed);
}

#[test]
fn no_seed_breaks_its_target() {
    for (name, target) in TARGETS {
        let mut seeds = 0;
        for entry in fs::read_dir(folder("corpus").join(name)).unwrap() {
            let path = entry.unwrap().path();
            // Shown if the test fails, so that the last one is the one that broke.
            println!("{}", path.display());
            target(&fs::read(&path).unwrap());
            seeds += 1;
        }
        assert!(seeds >= 5, "{name} has {seeds} seeds");
    }
}
