//! Files into a broker that is a list.

use std::fs;
use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use musubi_export::{Destination, Error, Format, Import, Imported, Refusal, Row, RowWriter, Taken};
use musubi_model::{AttributeType, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Takes instances, once each, but none of the value 13.
#[derive(Debug, Default)]
struct Taker {
    instances: Mutex<Vec<(String, String, Value)>>,
    requests: Mutex<Vec<usize>>,
}

impl Taker {
    fn taken(&self, body: &[u8]) -> Result<Taken, Refusal> {
        let entities: Vec<Value> = serde_json::from_slice(body).unwrap();
        let mut new = Vec::new();
        for entity in &entities {
            let entity = entity.as_object().unwrap();
            assert!(entity["type"].is_array());
            for (name, instances) in entity {
                if name == "id" || name == "type" {
                    continue;
                }
                for instance in instances.as_array().unwrap() {
                    if instance["value"] == 13 {
                        return Err(Refusal::Instances("13 is refused".to_owned()));
                    }
                    let id = entity["id"].as_str().unwrap();
                    new.push((id.to_owned(), name.clone(), instance.clone()));
                }
            }
        }
        self.requests.lock().push(body.len());
        let mut instances = self.instances.lock();
        let mut taken = Taken::default();
        for instance in new {
            if instances.contains(&instance) {
                taken.already_there += 1;
            } else {
                instances.push(instance);
                taken.recorded += 1;
            }
        }
        Ok(taken)
    }
}

impl Destination for Taker {
    fn take(&self, body: Vec<u8>) -> BoxFuture<'_, Result<Taken, Refusal>> {
        let taken = self.taken(&body);
        async move { taken }.boxed()
    }
}

fn row(value: u64) -> Row {
    Row {
        entity: format!("urn:a:{}", value / 3),
        types: vec!["T".to_owned()],
        attribute: ["x", "y"][usize::try_from(value % 2).unwrap()].to_owned(),
        dataset_id: None,
        kind: AttributeType::Property,
        value: value.to_string(),
        unit_code: None,
        observed_at: None,
        created_at: Timestamp::EPOCH,
        modified_at: Timestamp::from_seconds(i64::try_from(value).unwrap()),
        deleted_at: None,
        instance_id: Some(format!("urn:i:{value}")),
        rest: Some(r#"{"accuracy":{"type":"Property","value":1}}"#.to_owned()),
    }
}

fn file(folder: &Path, name: &str, rows: impl IntoIterator<Item = Row>) -> PathBuf {
    let path = folder.join(name);
    let mut writer = RowWriter::create(&path, Format::of(&path).unwrap()).unwrap();
    for row in rows {
        writer.write(row).unwrap();
    }
    writer.finish().unwrap();
    path
}

fn import(paths: &[PathBuf], taker: &Taker) -> Result<Imported, Error> {
    let import = Import::open(paths)?;
    import.run(taker, &mut |_| {}).now_or_never().expect("a list answers at once")
}

#[test]
fn every_row_arrives_with_all_that_it_says() {
    let folder = TempDir::new().unwrap();
    let files = [
        file(folder.path(), "1.parquet", (0..7).map(row)),
        file(folder.path(), "2.csv", (7..9).map(row)),
    ];
    let taker = Taker::default();
    let imported = import(&files, &taker).unwrap();
    let all = Imported { rows: 9, recorded: 9, already_there: 0, superseded: 0 };
    assert_eq!(imported, all);
    let expected = json!({
        "type": "Property",
        "value": 7,
        "createdAt": "1970-01-01T00:00:00Z",
        "modifiedAt": "1970-01-01T00:00:07Z",
        "accuracy": { "type": "Property", "value": 1 },
    });
    assert!(taker.instances.lock().contains(&("urn:a:2".to_owned(), "y".to_owned(), expected)));

    // A folder without an export.json means the files in it.
    let again = import(&[folder.path().to_owned()], &taker).unwrap();
    assert_eq!(again, Imported { recorded: 0, already_there: 9, ..all });
    assert_eq!(taker.instances.lock().len(), 9);
}

#[test]
fn a_row_that_a_later_file_corrects_stays_behind() {
    let folder = TempDir::new().unwrap();
    let corrected =
        Row { value: "70".to_owned(), modified_at: Timestamp::from_seconds(99), ..row(7) };
    let files = [
        file(folder.path(), "1.parquet", (5..9).map(row)),
        file(folder.path(), "2.parquet", [corrected]),
    ];
    let taker = Taker::default();
    let imported = import(&files, &taker).unwrap();
    assert_eq!((imported.recorded, imported.superseded), (4, 1));
    let values: Vec<Value> =
        taker.instances.lock().iter().map(|(_, _, instance)| instance["value"].clone()).collect();
    assert!(values.contains(&json!(70)) && !values.contains(&json!(7)), "{values:?}");
}

#[test]
fn a_row_that_is_refused_is_named_and_those_before_it_arrive() {
    let folder = TempDir::new().unwrap();
    let files = [file(folder.path(), "1.csv", (2..40).map(row))];
    let taker = Taker::default();
    let error = import(&files, &taker).unwrap_err().to_string();
    assert_eq!(error, format!("{}, row 12: 13 is refused", files[0].display()));
    let mut values: Vec<u64> = taker
        .instances
        .lock()
        .iter()
        .map(|(_, _, instance)| instance["value"].as_u64().unwrap())
        .collect();
    values.sort_unstable();
    assert_eq!(values, (2..13).collect::<Vec<_>>());
}

#[test]
fn requests_are_as_long_as_a_broker_takes_them() {
    let folder = TempDir::new().unwrap();
    let long = |value: u64| Row { value: format!("\"{}\"", "雪".repeat(40_000)), ..row(value) };
    let rows = (0..40).map(|value| if value % 4 == 0 { long(value) } else { row(value + 100) });
    let files = [
        file(folder.path(), "1.parquet", rows),
        file(folder.path(), "2.parquet", (1_000..6_000).map(row)),
    ];
    let taker = Taker::default();
    import(&files, &taker).unwrap();
    let requests = taker.requests.lock();
    assert!(requests.iter().all(|bytes| *bytes < 3 << 19), "{requests:?}");
    assert!((4..8).contains(&requests.len()), "{requests:?}");
}

#[test]
fn a_damaged_row_is_named_and_those_before_it_arrive() {
    let folder = TempDir::new().unwrap();
    let path = file(folder.path(), "1.csv", (0..5).map(row));
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("1970-01-01T00:00:03Z", "1970-01-32T00:00:03Z")).unwrap();
    let taker = Taker::default();
    let error = import(std::slice::from_ref(&path), &taker).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}, row 4: modifiedAt: ", path.display())), "{error}");
    assert_eq!(taker.instances.lock().len(), 3);
}

#[test]
fn a_file_that_is_not_as_its_export_left_it_is_refused_before_anything_is_sent() {
    let folder = TempDir::new().unwrap();
    let path = file(folder.path(), "part-000001.csv", (0..5).map(row));
    let journal = json!({
        "version": 1, "format": "csv",
        "selection": { "tenant": null, "types": [], "attributes": [], "from": null },
        "until": null, "run": null, "runs": 1,
        "parts": [{
            "run": 0, "file": "part-000001.csv", "rows": 5, "bytes": 1, "sha256": "00",
        }],
    });
    fs::write(folder.path().join("export.json"), journal.to_string()).unwrap();
    let taker = Taker::default();
    for paths in [folder.path().to_owned(), path] {
        let error = import(&[paths], &taker).unwrap_err().to_string();
        assert!(error.contains("part-000001.csv: the file is damaged"), "{error}");
    }
    assert_eq!(taker.instances.lock().len(), 0);
}

#[test]
fn a_folder_without_history_is_refused() {
    let folder = TempDir::new().unwrap();
    let error = import(&[folder.path().to_owned()], &Taker::default()).unwrap_err().to_string();
    assert!(error.contains("there are no files of history"), "{error}");
}
