//! A folder that was written in the format before: `format1` is what this program wrote of the first
//! changes of a world before instances stood in the rows of entities.

use std::path::Path;

use super::open;
use super::world::World;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine/tests/format1");

/// The first bytes of the segments in a folder, which say their format.
fn versions(folder: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let segments = files.filter(|path| path.extension().is_some_and(|name| name == "segment"));
    segments.map(|path| std::fs::read(path).unwrap()[8]).collect()
}

#[tokio::test]
async fn a_folder_of_the_format_before_is_read_and_becomes_one_of_the_format_of_now() {
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(FOLDER).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    assert_eq!(versions(folder.path()), [1, 1, 1]);
    // The world is the one of which the folder tells.
    let mut world = World::new(301);
    world.change(150 + 100 + 30).await;
    let archive = open(folder.path(), &world);
    let upto = *world.store().newest().borrow();
    assert_eq!(archive.cursor(), upto);
    archive.verify().unwrap();
    // Nothing is left of the log, so that all of it comes from the folder.
    world.compare(&archive, 40).await;
    world.change(20).await;
    archive.shared().catch_up().await.unwrap();
    archive.flush().await.unwrap();
    world.compare(&archive, 40).await;
    archive.compact().await.unwrap();
    assert_eq!(versions(folder.path()), [2]);
    world.compare(&archive, 40).await;
    archive.verify().unwrap();
    assert!(archive.cursor() > upto && archive.gap().is_none());
}
