//! Where each thing stands in a table, and what its cells say. Columns are found by their names,
//! because the names stay when the order changes.

use musubi_model::Timestamp;
use unicode_normalization::UnicodeNormalization as _;

use super::{Row, SnapshotError};
use crate::MAX_PEOPLE;
use crate::era::parse_moment;
use crate::map::shelter_id;

/// Where each thing stands.
#[derive(Debug)]
pub(super) struct Columns {
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
    pub(super) moment: Option<usize>,
    /// The moment, if the name of the column of people says it.
    pub(super) moment_in_header: Option<Timestamp>,
}

/// 収容人数 is not among them: that is how many there is room for.
const PEOPLE: [&str; 3] = ["人数", "避難者数", "避難者"];
/// What stands in the place of a name in the row that adds the others up.
const SUMS: [&str; 6] = ["合計", "総計", "小計", "計", "総合計", "総数"];

impl Columns {
    pub(super) fn find(headers: &csv::StringRecord) -> Result<Self, SnapshotError> {
        let names: Vec<String> = headers.iter().map(normal).collect();
        let any = |wanted: &[&str]| {
            wanted.iter().find_map(|wanted| names.iter().position(|name| name == wanted))
        };
        let (people, moment_in_header) = match any(&PEOPLE) {
            Some(column) => (column, None),
            None => people_with_moment(&names)
                .ok_or(SnapshotError::NoColumn("the head count (人数)"))?,
        };
        Ok(Self {
            id: any(&["ID", "共通ID", "施設ID", "避難所ID"]),
            name: any(&["名称", "避難所名", "避難所", "施設名", "施設・場所名"])
                .ok_or(SnapshotError::NoColumn("the name (名称)"))?,
            kana: any(&["名称_カナ", "名称カナ"]),
            people,
            households: any(&["世帯数", "世帯"]),
            capacity: any(&["想定収容人数", "収容人数", "収容可能人数", "定員"]),
            latitude: any(&["緯度"]),
            longitude: any(&["経度"]),
            address: any(&["所在地_連結表記", "住所", "所在地"]),
            district: any(&["地区", "地区名"]),
            telephone: any(&["電話番号"]),
            moment: any(&["時点", "集計日時", "更新日時"]),
            moment_in_header,
        })
    }

    /// Whether anything that is written stands in this column.
    pub(super) fn are_used(&self, column: usize) -> bool {
        let optional = [
            self.id,
            self.kana,
            self.households,
            self.capacity,
            self.latitude,
            self.longitude,
            self.address,
            self.district,
            self.telephone,
            self.moment,
        ];
        column == self.name || column == self.people || optional.contains(&Some(column))
    }

    /// Whether a row has nothing in it, or the sum of the others.
    pub(super) fn is_no_shelter(&self, record: &csv::StringRecord) -> bool {
        if record.iter().all(|cell| cell.trim().is_empty()) {
            return true;
        }
        let id = self.id.and_then(|column| field(record, column));
        let named = |cell: &str| SUMS.contains(&normal(cell).as_str());
        id.is_none_or(|id| named(&id)) && record.get(self.name).is_some_and(named)
    }

    /// The shelter of a row, or why nobody can say which one it is.
    pub(super) fn row(&self, record: &csv::StringRecord) -> Result<Row, String> {
        let optional = |column: Option<usize>| column.and_then(|column| field(record, column));
        let name = field(record, self.name).ok_or("the shelter has no name")?;
        let id = shelter_id(optional(self.id).as_deref().unwrap_or(&name))
            .map_err(|error| format!("{name}: {error}"))?;
        let people = match field(record, self.people) {
            None => Err("no head count is given".to_owned()),
            Some(text) => {
                count(&text).ok_or_else(|| format!("{:?} is no head count", shown(&text)))
            }
        };
        Ok(Row {
            id,
            name,
            kana: optional(self.kana),
            people,
            households: optional(self.households).and_then(|text| count(&text)),
            capacity: optional(self.capacity).and_then(|text| indoor_capacity(&text)),
            position: self.position(record),
            address: optional(self.address),
            district: optional(self.district),
            telephone: optional(self.telephone),
        })
    }

    fn position(&self, record: &csv::StringRecord) -> Option<(f64, f64)> {
        let degrees = |column: Option<usize>| field(record, column?)?.parse::<f64>().ok();
        let (longitude, latitude) = (degrees(self.longitude)?, degrees(self.latitude)?);
        let is_a_place = (-180.0..=180.0).contains(&longitude)
            && (-90.0..=90.0).contains(&latitude)
            && (longitude, latitude) != (0.0, 0.0);
        is_a_place.then_some((longitude, latitude))
    }
}

/// `人数_令和6年1月9日午後6時時点`
fn people_with_moment(names: &[String]) -> Option<(usize, Option<Timestamp>)> {
    names.iter().enumerate().find_map(|(column, name)| {
        let text = PEOPLE.iter().find_map(|people| name.strip_prefix(people))?;
        let text = text.trim_start_matches(['_', '(']).trim_end_matches(')');
        Some((column, Some(parse_moment(text).ok()?)))
    })
}

/// A name as it is compared: without white space, full-width signs as others.
fn normal(text: &str) -> String {
    text.trim_start_matches('\u{feff}').nfkc().filter(|c| !c.is_whitespace()).collect()
}

/// What stands in a cell, if anything does; full-width signs as others.
pub(super) fn field(record: &csv::StringRecord, column: usize) -> Option<String> {
    let text: String = record.get(column)?.nfkc().collect();
    let text = text.trim();
    if text.is_empty() { None } else { Some(text.to_owned()) }
}

/// The beginning of a cell, for a sentence.
fn shown(text: &str) -> String {
    text.chars().take(20).collect()
}

/// `1,234人` is as good as `1234` and `1234.0`.
fn count(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(|c| !matches!(c, ',' | ' ')).collect();
    let digits = digits.trim_end_matches("世帯").trim_end_matches(['人', '名']);
    let count = digits.strip_suffix(".0").unwrap_or(digits).parse().ok()?;
    (count <= MAX_PEOPLE).then_some(count)
}

/// People who can stay inside: the number after 屋内 in `屋内1,700人/屋外2,250人`, or else the first
/// number of people, or a number that stands alone. None inside is no capacity, because a
/// shelter that reports people has some room.
fn indoor_capacity(text: &str) -> Option<u64> {
    let text: String = text.chars().filter(|c| !c.is_whitespace() && *c != ',').collect();
    let first = |text: &str, is_whole: fn(&str) -> bool| {
        let mut rest = text;
        loop {
            rest = rest.get(rest.find(|c: char| c.is_ascii_digit())?..)?;
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (digits, after) = rest.split_at(end);
            if is_whole(after) {
                return digits.parse::<u64>().ok();
            }
            rest = after;
        }
    };
    let capacity = match (text.split_once("屋内"), text.contains("屋外")) {
        (Some((_, inside)), _) => first(inside.split("屋外").next()?, |_| true),
        (None, true) => None,
        (None, false) if text.chars().all(|c| c.is_ascii_digit()) => text.parse().ok(),
        (None, false) => first(&text, |after| after.starts_with(['人', '名'])),
    };
    capacity.filter(|capacity| (1..=MAX_PEOPLE).contains(capacity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_capacity_is_that_of_the_rooms_inside() {
        let check = |text: &str, expected| assert_eq!(indoor_capacity(text), expected, "{text}");
        check("屋内480人/屋外3,350人(面積の1/2)", Some(480));
        check("屋内1,371人/屋外5,470人", Some(1371));
        check("屋内2,736人屋外11,700人(面積の1/2)", Some(2736));
        check("屋外3,350人/屋内480人", Some(480));
        check("屋外1570人", None);
        check("屋内0人/屋外900人", None);
        check("屋内/屋外900人", None);
        check("300", Some(300));
        check("300.5", None);
        check("約300人", Some(300));
        check("第1体育館 200人", Some(200));
        check("第1体育館", None);
        check("99999999999999999999999人", None);
        check("不明", None);
    }

    #[test]
    fn a_head_count_is_a_number_of_people_and_nothing_else() {
        let check = |text: &str, expected| assert_eq!(count(text), expected, "{text}");
        check("0", Some(0));
        check("1,234人", Some(1234));
        check("180.0", Some(180));
        check("12 名", Some(12));
        check("30世帯", Some(30));
        for text in ["-", "約50", "-5", "1.5", "調査中", "10人/3世帯", "1e3", "99999999"] {
            check(text, None);
        }
    }
}
