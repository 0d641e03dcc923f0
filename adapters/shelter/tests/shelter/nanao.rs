//! The tables that Nanao published after the earthquake of January 2024, in the folder that
//! `MUSUBI_DATA` names. Without it these tests say so and do nothing; `tables.rs` has the
//! synthetic twin.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::support::Town;

fn real_tables() -> Option<Vec<PathBuf>> {
    let Some(data) = std::env::var_os("MUSUBI_DATA") else {
        eprintln!("MUSUBI_DATA is not set: the test on real data does nothing");
        return None;
    };
    let folder = PathBuf::from(data).join("shelters/nanao-2024");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.file_name().unwrap().to_str().unwrap().starts_with("open_shelter"));
    // The moment stands in the name, so this is their order.
    files.sort();
    assert_eq!(files.len(), 80);
    Some(files)
}

/// Ids and head counts of a file, read in another way than the adapter's.
fn read(file: &Path) -> BTreeMap<String, u64> {
    let mut reader = csv::Reader::from_path(file).unwrap();
    let headers = reader.headers().unwrap().clone();
    let people = headers.iter().position(|name| name.starts_with("人数")).unwrap();
    let id = headers.iter().position(|name| name.trim_start_matches('\u{feff}') == "ID").unwrap();
    reader
        .records()
        .map(|row| {
            let row = row.unwrap();
            (row[id].to_owned(), row[people].parse().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn each_of_the_80_tables_gives_exactly_its_shelters_and_their_people() {
    let Some(files) = real_tables() else { return };
    let town = Town::new();
    let adapter = town.tables("path = \"tables\"");
    let mut openings: BTreeMap<String, usize> = BTreeMap::new();
    let mut closings: BTreeMap<String, usize> = BTreeMap::new();
    let mut before: BTreeMap<String, u64> = BTreeMap::new();
    for file in &files {
        town.copy(file);
        Arc::clone(&adapter).run_once().await.unwrap();
        let open = town.open();
        assert_eq!(open, read(file), "{}", file.display());
        for id in open.keys().filter(|id| !before.contains_key(*id)) {
            *openings.entry(id.clone()).or_default() += 1;
        }
        for id in before.keys().filter(|id| !open.contains_key(*id)) {
            *closings.entry(id.clone()).or_default() += 1;
            assert_eq!(town.people(id), Some(0));
        }
        before = open;
    }
    let named: BTreeSet<String> = files.iter().flat_map(|file| read(file).into_keys()).collect();
    assert!(openings.keys().eq(&named));
    assert!(openings.values().all(|count| *count == 1), "{openings:?}");
    assert!(closings.values().all(|count| *count == 1), "{closings:?}");
    assert_eq!(openings.len() - closings.len(), before.len());
    for id in openings.keys() {
        assert!(town.value(id, "openedAt").is_some());
        assert_eq!(town.value(id, "closedAt").is_some(), closings.contains_key(id), "{id}");
    }
    assert!(town.letters().is_empty());
}

#[tokio::test]
async fn the_80_tables_at_once_end_as_one_by_one_and_a_second_run_writes_nothing() {
    let Some(files) = real_tables() else { return };
    let (one_by_one, at_once) = (Town::new(), Town::new());
    let adapter = one_by_one.tables("path = \"tables\"");
    for file in &files {
        one_by_one.copy(file);
        Arc::clone(&adapter).run_once().await.unwrap();
        at_once.copy(file);
    }
    // The folder also holds a table of all shelters without their people.
    at_once.copy(&files[0].with_file_name("reference_data.csv"));
    at_once.run().await;
    assert_eq!(at_once.everything(), one_by_one.everything());
    assert_eq!(at_once.letters().len(), 1);
    let calls = at_once.memory.write_calls();
    assert_eq!(calls, 81);
    at_once.run().await;
    assert_eq!(at_once.memory.write_calls(), calls);
}
