//! Rows into files and back.

use std::fs;
use std::path::{Path, PathBuf};

use musubi_export::{COLUMNS, Error, Format, Row, RowReader, RowWriter};
use musubi_model::{AttributeType, Timestamp};
use proptest::prelude::*;
use tempfile::TempDir;

const FORMATS: [Format; 2] = [Format::Parquet, Format::Csv];

fn row() -> Row {
    Row {
        entity: "urn:ngsi-ld:Shelter:1".to_owned(),
        types: vec!["Shelter".to_owned(), "https://example.org/Building".to_owned()],
        attribute: "occupancy".to_owned(),
        dataset_id: None,
        kind: AttributeType::Property,
        value: "42".to_owned(),
        unit_code: None,
        observed_at: None,
        created_at: Timestamp::EPOCH,
        modified_at: Timestamp::EPOCH,
        deleted_at: None,
        instance_id: None,
        rest: None,
    }
}

fn part(folder: &Path, format: Format) -> PathBuf {
    folder.join(format!("part-000001.{}", format.extension()))
}

fn written(folder: &Path, format: Format, rows: &[Row]) -> PathBuf {
    let path = part(folder, format);
    let mut writer = RowWriter::create(&path, format).unwrap();
    for row in rows {
        writer.write(row.clone()).unwrap();
    }
    writer.finish().unwrap();
    path
}

fn read(path: &Path) -> Result<Vec<Row>, Error> {
    let mut reader = RowReader::open(path)?;
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row()? {
        rows.push(row);
    }
    Ok(rows)
}

fn text() -> impl Strategy<Value = String> {
    // Whatever a file's format could stumble over, and the rest of Unicode.
    prop_oneof!["[\"',;|\\\\\r\n\t =+@\u{feff}#-]{1,6}", "\\PC{1,12}", "[ -~]{1,40}"]
}

fn json() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<f64>()
            .prop_filter("JSON has no such number", |number| number.is_finite())
            .prop_map(|number| serde_json::Value::from(number).to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        Just("1e400".to_owned()),
        Just("null".to_owned()),
        Just("[ 1 ,\n{\"a\" : \"\\u0000\\\"\"} ]".to_owned()),
        text().prop_map(|text| serde_json::Value::from(text).to_string()),
        prop::collection::vec(text(), 0..4).prop_map(|texts| serde_json::json!(texts).to_string()),
    ]
}

fn time() -> impl Strategy<Value = Timestamp> {
    let (first, last) = (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
    prop_oneof![
        Just(first),
        Just(last),
        (first.as_micros()..=last.as_micros()).prop_map(Timestamp::from_micros),
    ]
}

fn some_row() -> impl Strategy<Value = Row> {
    let texts = (text(), prop::collection::vec("[^|]{1,8}", 1..4), text(), json());
    let optional = (
        prop::option::of(text()),
        prop::option::of(text()),
        prop::option::of(text()),
        prop::option::of(text()),
    );
    let times = (prop::option::of(time()), time(), time(), prop::option::of(time()));
    let kind = prop::sample::select(AttributeType::ALL.to_vec());
    (texts, optional, times, kind).prop_map(|(texts, optional, times, kind)| Row {
        entity: texts.0,
        types: texts.1,
        attribute: texts.2,
        dataset_id: optional.0,
        kind,
        value: texts.3,
        unit_code: optional.1,
        observed_at: times.0,
        created_at: times.1,
        modified_at: times.2,
        deleted_at: times.3,
        instance_id: optional.2,
        rest: optional.3.map(|text| serde_json::json!({ text: 1 }).to_string()),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_come_back_as_they_were(rows in prop::collection::vec(some_row(), 0..40)) {
        for format in FORMATS {
            let folder = TempDir::new().unwrap();
            let path = written(folder.path(), format, &rows);
            prop_assert_eq!(&read(&path).unwrap(), &rows);
        }
    }

    #[test]
    fn a_damaged_file_is_refused_or_read_but_nothing_breaks(
        rows in prop::collection::vec(some_row(), 1..20),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
        keep in any::<bool>(),
    ) {
        for format in FORMATS {
            let folder = TempDir::new().unwrap();
            let path = written(folder.path(), format, &rows);
            let mut bytes = fs::read(&path).unwrap();
            let at = at.index(bytes.len());
            if keep {
                bytes[at] ^= with | 1;
            } else {
                bytes.truncate(at);
            }
            fs::write(&path, &bytes).unwrap();
            let _ = read(&path);
            if !keep && format == Format::Parquet {
                prop_assert!(read(&path).is_err());
            }
        }
    }
}

#[test]
fn many_row_groups_come_back_in_their_order() {
    let folder = TempDir::new().unwrap();
    let value =
        |n: i64| if n % 7 == 0 { format!("\"{}\"", "x".repeat(900)) } else { n.to_string() };
    let rows: Vec<Row> = (0..90_000)
        .map(|n| Row {
            value: value(n),
            observed_at: (n % 3 == 0).then_some(Timestamp::from_micros(n)),
            ..row()
        })
        .collect();
    for format in FORMATS {
        let path = written(folder.path(), format, &rows);
        assert!(read(&path).unwrap() == rows, "{format:?}");
    }
}

#[test]
fn a_file_has_its_name_when_it_is_whole() {
    for format in FORMATS {
        let folder = TempDir::new().unwrap();
        let path = part(folder.path(), format);
        let mut writer = RowWriter::create(&path, format).unwrap();
        writer.write(row()).unwrap();
        assert!(!path.exists());
        writer.finish().unwrap();
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        assert_eq!(names.collect::<Vec<_>>(), [path]);
    }
}

#[test]
fn a_csv_file_is_one_that_people_can_read() {
    let folder = TempDir::new().unwrap();
    let rows = [Row {
        value: "1.5e3".to_owned(),
        unit_code: Some("CEL".to_owned()),
        observed_at: Some("2024-01-01T09:00:00.000+09:00".parse().unwrap()),
        ..row()
    }];
    let text = fs::read_to_string(written(folder.path(), Format::Csv, &rows)).unwrap();
    let expected = "entity,types,attribute,datasetId,kind,value,number,unitCode,observedAt,createdAt,modifiedAt,deletedAt,instanceId,rest\n\
        urn:ngsi-ld:Shelter:1,Shelter|https://example.org/Building,occupancy,,Property,1.5e3,1500.0,CEL,2024-01-01T00:00:00Z,1970-01-01T00:00:00Z,1970-01-01T00:00:00Z,,,\n";
    assert_eq!(text, expected);
}

#[test]
fn numbers_are_told_as_numbers_and_nothing_else_is() {
    let check = |value: &str, number: Option<f64>| {
        let row = Row { value: value.to_owned(), ..row() };
        assert_eq!(row.number(), number, "{value}");
    };
    check("42", Some(42.0));
    check("-1.5E3", Some(-1500.0));
    check("\"42\"", None);
    check("null", None);
    check("[1]", None);
}

/// The lines of a CSV file with one row, in which one cell is replaced.
fn csv_with(column: &str, cell: &str) -> String {
    let mut cells = [
        "urn:a:1",
        "T",
        "a",
        "",
        "Property",
        "1",
        "1",
        "",
        "",
        "2024-01-01T00:00:00Z",
        "2024-01-01T00:00:00Z",
        "",
        "",
        "",
    ];
    cells[COLUMNS.iter().position(|name| *name == column).unwrap()] = cell;
    format!("{}\n{}\n", COLUMNS.join(","), cells.join(","))
}

fn refusal(text: &str) -> String {
    let folder = TempDir::new().unwrap();
    let path = part(folder.path(), Format::Csv);
    fs::write(&path, text).unwrap();
    let reason = read(&path).unwrap_err().to_string();
    reason.replace(&format!("{}", folder.path().display()), "")
}

#[test]
fn what_is_wrong_with_a_row_is_told_with_file_and_row() {
    let check = |column: &str, cell: &str, expected: &str| {
        let reason = refusal(&csv_with(column, cell));
        assert_eq!(reason, format!("/part-000001.csv, row 1: {expected}"));
    };
    check("entity", "", "entity is empty");
    check("types", "", "types is empty");
    check("types", "A||B", "types has an empty type");
    check("attribute", "", "attribute is empty");
    check("kind", "Thing", "\"Thing\" is no kind of attribute");
    check("createdAt", "", "createdAt is empty");
    check(
        "modifiedAt",
        "2024-13-01T00:00:00Z",
        "modifiedAt: a time is written as in 2024-01-11T09:00:00Z, and \"2024-13-01T00:00:00Z\" is not",
    );
    check("rest", "[]", "rest is no JSON object");
    assert!(refusal(&csv_with("value", "{")).starts_with("/part-000001.csv, row 1: value is no"));
    assert!(refusal(&csv_with("rest", "{")).starts_with("/part-000001.csv, row 1: rest is no"));
}

#[test]
fn a_missing_column_is_named() {
    let text = csv_with("value", "1").replace("modifiedAt", "changed");
    assert_eq!(refusal(&text), "/part-000001.csv: there is no column modifiedAt");
    assert_eq!(refusal(""), "/part-000001.csv: there is no column entity");
}

#[test]
fn columns_may_stand_in_any_order_beside_others() {
    let folder = TempDir::new().unwrap();
    let path = part(folder.path(), Format::Csv);
    let text = csv_with("value", "1");
    let turned: String = text
        .lines()
        .map(|line| {
            let mut cells: Vec<&str> = line.split(',').collect();
            cells.push("more");
            cells.reverse();
            cells.join(",") + "\r\n"
        })
        .collect();
    fs::write(&path, format!("\u{feff}{turned}")).unwrap();
    let rows = read(&path).unwrap();
    assert_eq!((rows.len(), rows[0].entity.as_str()), (1, "urn:a:1"));
}

#[test]
fn a_row_with_too_few_cells_is_refused() {
    let reason = refusal(&format!("{}\nurn:a:1,T\n", COLUMNS.join(",")));
    assert!(reason.starts_with("/part-000001.csv, row 1: "), "{reason}");
}

#[test]
fn a_file_of_another_kind_is_refused() {
    let folder = TempDir::new().unwrap();
    for (name, expected) in [
        ("rows.txt", "a file of history ends in .parquet or .csv"),
        ("rows.parquet", "rows.parquet: "),
        ("rows.csv", "there is no column entity"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, "hello, world\n").unwrap();
        let reason = read(&path).unwrap_err().to_string();
        assert!(reason.contains(expected), "{reason}");
    }
    assert!(matches!(read(&folder.path().join("none.csv")), Err(Error::File { .. })));
}
