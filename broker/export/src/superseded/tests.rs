use std::path::Path;

use musubi_model::{AttributeType, Timestamp};
use tempfile::TempDir;

use super::*;
use crate::{Format, RowWriter};

fn row(id: u64, modified_at: i64) -> Row {
    Row {
        entity: "urn:a:1".to_owned(),
        types: vec!["T".to_owned()],
        attribute: "a".to_owned(),
        dataset_id: None,
        kind: AttributeType::Property,
        value: "1".to_owned(),
        unit_code: None,
        observed_at: None,
        created_at: Timestamp::EPOCH,
        modified_at: Timestamp::from_seconds(modified_at),
        deleted_at: None,
        instance_id: Some(format!("urn:i:{id}")),
        rest: None,
    }
}

fn file(folder: &Path, name: &str, rows: &[Row]) -> PathBuf {
    let path = folder.join(name);
    let mut writer = RowWriter::create(&path, Format::Csv).unwrap();
    for row in rows {
        writer.write(row.clone()).unwrap();
    }
    writer.finish().unwrap();
    path
}

#[test]
fn the_last_of_several_corrections_counts_however_few_names_are_held() {
    let folder = TempDir::new().unwrap();
    let first: Vec<Row> = (0..20).map(|id| row(id, 1)).collect();
    let second: Vec<Row> = (0..10).map(|id| row(id, 2)).collect();
    let third: Vec<Row> = (5..30).map(|id| row(id, 3)).collect();
    let files = [
        file(folder.path(), "1.csv", &first),
        file(folder.path(), "2.csv", &second),
        file(folder.path(), "3.csv", &third),
    ];
    for at_once in [5, 9, 1000] {
        let superseded = Superseded::find_with(&files, at_once).unwrap();
        let left = |rows: &[Row]| -> Vec<u64> {
            let ids = 0..30_u64;
            let is = |id: &u64| {
                rows.iter().any(|row| {
                    row.instance_id == self::row(*id, 1).instance_id && !superseded.has(row)
                })
            };
            ids.filter(is).collect()
        };
        assert_eq!(left(&first), Vec::<u64>::new(), "{at_once}");
        assert_eq!(left(&second), (0..5).collect::<Vec<_>>(), "{at_once}");
        assert_eq!(left(&third), (5..30).collect::<Vec<_>>(), "{at_once}");
    }
}

#[test]
fn of_one_file_every_row_counts() {
    let folder = TempDir::new().unwrap();
    let files = [file(folder.path(), "1.csv", &[row(1, 1), row(1, 2)])];
    assert!(!Superseded::find(&files).unwrap().has(&row(1, 1)));
}
