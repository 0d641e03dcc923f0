//! A table of all shelters that are open at one moment, as municipalities publish it.
//!
//! Columns are found by their names, because the names stay when the order changes. A file that
//! is not whole is refused as a whole: a row that is missing would read as a shelter that closed.

use musubi_model::Timestamp;
use unicode_normalization::UnicodeNormalization as _;

use crate::parse_moment;

/// What a file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The moment of which it speaks.
    pub at: Timestamp,
    /// The shelters that are open, in the order of the file.
    pub rows: Vec<Row>,
}

/// One shelter of a snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Its id in the table; its name if the table has no ids.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The name in kana.
    pub kana: Option<String>,
    /// People who are there.
    pub people: u64,
    /// Households that are there.
    pub households: Option<u64>,
    /// People who can stay inside.
    pub capacity: Option<u64>,
    /// Longitude and latitude, in degrees.
    pub position: Option<(f64, f64)>,
    /// The address in one line.
    pub address: Option<String>,
    /// The district.
    pub district: Option<String>,
    /// The telephone number.
    pub telephone: Option<String>,
}

/// Why a file is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// It is empty, or says nothing but that there is nothing to say.
    #[error("the file holds no table: {0}")]
    NoTable(String),
    /// The table has not the columns that are needed.
    #[error("the table has no column for {0}")]
    NoColumn(&'static str),
    /// A row cannot be read, so the table may be cut off.
    #[error("line {line}: {reason}")]
    Row {
        /// The line of the file, from 1.
        line: u64,
        /// What is wrong there.
        reason: String,
    },
}

/// The most rows of one table.
const MAX_ROWS: usize = 100_000;

/// Reads a table.
///
/// # Errors
///
/// [`SnapshotError`] if it cannot be read to its last row.
pub fn parse_snapshot(text: &str) -> Result<Snapshot, SnapshotError> {
    let first = text.trim_start().chars().next();
    match first {
        None => return Err(SnapshotError::NoTable("it is empty".to_owned())),
        Some('<' | '{' | '[') => {
            return Err(SnapshotError::NoTable("it is not CSV".to_owned()));
        }
        Some(_) => {}
    }
    if text.matches('"').count() % 2 == 1 {
        return Err(SnapshotError::NoTable("a quoted field is not closed".to_owned()));
    }
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| row_error(&error))?.clone();
    let columns = Columns::find(&headers)?;
    let mut rows = Vec::new();
    let mut moment = columns.moment_in_header;
    for record in reader.records() {
        let record = record.map_err(|error| row_error(&error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |reason: String| SnapshotError::Row { line, reason };
        if rows.len() == MAX_ROWS {
            return Err(wrong(format!("a table has at most {MAX_ROWS} rows")));
        }
        if let Some(text) = columns.moment.and_then(|column| field(&record, column)) {
            let at = parse_moment(&text).map_err(|error| wrong(error.to_string()))?;
            if moment.is_some_and(|known| known != at) {
                return Err(wrong("the rows speak of different moments".to_owned()));
            }
            moment = Some(at);
        }
        rows.push(columns.row(&record).map_err(wrong)?);
    }
    if rows.is_empty() {
        return Err(SnapshotError::NoTable("it has no rows".to_owned()));
    }
    if let Some(repeated) = repeated(&rows) {
        return Err(SnapshotError::NoTable(format!("it names {repeated} twice")));
    }
    let at = moment.ok_or(SnapshotError::NoColumn("the moment (時点)"))?;
    Ok(Snapshot { at, rows })
}

fn repeated(rows: &[Row]) -> Option<&str> {
    let mut seen = std::collections::HashSet::new();
    rows.iter().find(|row| !seen.insert(row.id.as_str())).map(|row| row.id.as_str())
}

fn row_error(error: &csv::Error) -> SnapshotError {
    let line = error.position().map_or(0, csv::Position::line);
    let reason = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the row has {len} fields and the header {expected_len}: the file may be cut off")
        }
        _ => error.to_string(),
    };
    SnapshotError::Row { line, reason }
}

/// Where each thing stands.
#[derive(Debug, Default)]
struct Columns {
    id: Option<usize>,
    name: usize,
    kana: Option<usize>,
    people: usize,
    households: Option<usize>,
    capacity: Option<usize>,
    latitude: Option<usize>,
    longitude: Option<usize>,
    address: Option<usize>,
    district: Option<usize>,
    telephone: Option<usize>,
    moment: Option<usize>,
    moment_in_header: Option<Timestamp>,
}

const PEOPLE: [&str; 4] = ["人数", "避難者数", "避難者", "収容人数"];

impl Columns {
    fn find(headers: &csv::StringRecord) -> Result<Self, SnapshotError> {
        let names: Vec<String> = headers.iter().map(normal).collect();
        let any = |wanted: &[&str]| names.iter().position(|name| wanted.contains(&name.as_str()));
        let (people, moment_in_header) = match any(&PEOPLE) {
            Some(column) => (column, None),
            None => Self::people_with_moment(&names)
                .ok_or(SnapshotError::NoColumn("the head count (人数)"))?,
        };
        Ok(Self {
            id: any(&["ID", "共通ID", "施設ID", "避難所ID"]),
            name: any(&["名称", "避難所名", "避難所", "施設名", "施設・場所名"])
                .ok_or(SnapshotError::NoColumn("the name (名称)"))?,
            kana: any(&["名称_カナ", "名称カナ"]),
            people,
            households: any(&["世帯数", "世帯"]),
            capacity: any(&["想定収容人数", "定員"]),
            latitude: any(&["緯度"]),
            longitude: any(&["経度"]),
            address: any(&["所在地_連結表記", "住所", "所在地"]),
            district: any(&["地区", "地区名"]),
            telephone: any(&["電話番号"]),
            moment: any(&["時点", "集計日時", "更新日時"]),
            moment_in_header,
        })
    }

    /// `人数_令和6年1月9日午後6時時点`
    fn people_with_moment(names: &[String]) -> Option<(usize, Option<Timestamp>)> {
        names.iter().enumerate().find_map(|(column, name)| {
            let text = PEOPLE.iter().find_map(|people| name.strip_prefix(people))?;
            let at = parse_moment(text.trim_start_matches('_')).ok()?;
            Some((column, Some(at)))
        })
    }

    fn row(&self, record: &csv::StringRecord) -> Result<Row, String> {
        let optional = |column: Option<usize>| column.and_then(|column| field(record, column));
        let name = field(record, self.name).ok_or("the shelter has no name")?;
        let people = field(record, self.people).ok_or_else(|| format!("{name} has no head count"))?;
        let people = count(&people).ok_or_else(|| format!("{name}: {people:?} is no head count"))?;
        let degrees = |column| optional(column).and_then(|text| text.parse::<f64>().ok());
        let position = degrees(self.longitude).zip(degrees(self.latitude)).filter(
            |(longitude, latitude)| {
                (-180.0..=180.0).contains(longitude)
                    && (-90.0..=90.0).contains(latitude)
                    && (*longitude, *latitude) != (0.0, 0.0)
            },
        );
        Ok(Row {
            id: optional(self.id).unwrap_or_else(|| name.clone()),
            name,
            kana: optional(self.kana),
            people,
            households: optional(self.households).and_then(|text| count(&text)),
            capacity: optional(self.capacity).and_then(|text| indoor_capacity(&text)),
            position,
            address: optional(self.address),
            district: optional(self.district),
            telephone: optional(self.telephone),
        })
    }
}

fn normal(text: &str) -> String {
    text.trim_start_matches('\u{feff}').nfkc().filter(|c| !c.is_whitespace()).collect()
}

fn field(record: &csv::StringRecord, column: usize) -> Option<String> {
    let text: String = record.get(column)?.trim().nfkc().collect();
    let text = text.trim();
    if text.is_empty() { None } else { Some(text.to_owned()) }
}

/// `1,234人` is as good as `1234` and `1234.0`.
fn count(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(|c| !matches!(c, ',' | ' ')).collect();
    let digits = digits.trim_end_matches(['人', '名']);
    digits.strip_suffix(".0").unwrap_or(digits).parse().ok()
}

/// The first number of `屋内1,700人/屋外2,250人`: people who can stay inside.
fn indoor_capacity(text: &str) -> Option<u64> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let digits: String = text
        .get(start..)?
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == ',')
        .filter(char::is_ascii_digit)
        .collect();
    digits.parse().ok().filter(|capacity| *capacity > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_their_names_whatever_their_order() {
        let with_column = "ID,名称,人数,時点,緯度,経度\nA1,第一小学校,１８０,令和6年1月11日午後6時,37.0,136.9\n";
        let with_header = "緯度,名称,人数_令和6年1月11日午後6時時点,ID,経度\n37.0,第一小学校,180,A1,136.9\n";
        let one = parse_snapshot(with_column).unwrap();
        assert_eq!(one, parse_snapshot(with_header).unwrap());
        assert_eq!(one.at.to_string(), "2024-01-11T09:00:00Z");
        assert_eq!(one.rows[0].people, 180);
        assert_eq!(one.rows[0].position, Some((136.9, 37.0)));
    }

    #[test]
    fn the_capacity_is_that_of_the_rooms_inside() {
        let check = |text: &str, expected| assert_eq!(indoor_capacity(text), expected, "{text}");
        check("屋内480人/屋外3,350人(面積の1/2)", Some(480));
        check("屋内1,371人/屋外5,470人", Some(1371));
        check("300", Some(300));
        check("不明", None);
    }

    #[test]
    fn a_file_that_is_not_whole_is_refused() {
        let check = |text: &str, expected: &str| {
            let error = parse_snapshot(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?} gave {error}");
        };
        check("", "empty");
        check("unavailable", "no column");
        check("<html></html>", "not CSV");
        check("{\"message\": \"unavailable\"}", "not CSV");
        check("ID,名称,人数,時点\n", "no rows");
        check("ID,名称,人数,時点\nA,一,1,令和6年1月11日\nB,二", "cut off");
        check("ID,名称,人数,時点\nA,\"一,1,令和6年1月11日\n", "not closed");
        check("ID,名称,人数,時点\nA,一,many,令和6年1月11日\n", "no head count");
        check("ID,名称,人数,時点\nA,一,1,令和6年1月11日\nA,二,1,令和6年1月11日\n", "twice");
        check("ID,名称,人数\nA,一,1\n", "moment");
        check("ID,名称,時点\nA,一,令和6年1月11日\n", "head count");
    }
}
