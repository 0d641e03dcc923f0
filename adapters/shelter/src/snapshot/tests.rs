use super::*;

const HEADER: &str = "ID,名称,人数,時点\n";

#[test]
fn columns_are_found_by_their_names_whatever_their_order() {
    let with_column =
        "ID,名称,人数,時点,緯度,経度\nA1,第一小学校,１８０,令和6年1月11日午後6時,37.0,136.9\n";
    let with_header =
        "緯度,名称,人数_令和6年1月11日午後6時時点,ID,経度\n37.0,第一小学校,180,A1,136.9\n";
    let one = parse_snapshot(with_column).unwrap();
    assert_eq!(one, parse_snapshot(with_header).unwrap());
    assert_eq!(one.at.to_string(), "2024-01-11T09:00:00Z");
    assert_eq!(one.rows[0].people, Ok(180));
    assert_eq!(one.rows[0].position, Some((136.9, 37.0)));
}

#[test]
fn the_room_that_there_is_is_no_head_count() {
    let text = "ID,名称,収容人数,人数,時点\nA1,第一小学校,500,12,令和6年1月11日\n";
    let row = parse_snapshot(text).unwrap().rows.remove(0);
    assert_eq!((row.people, row.capacity), (Ok(12), Some(500)));
    let error = parse_snapshot("ID,名称,収容人数,時点\nA1,一,500,令和6年1月11日\n").unwrap_err();
    assert_eq!(error, SnapshotError::NoColumn("the head count (人数)"));
}

#[test]
fn a_head_count_that_cannot_be_read_leaves_the_shelter_in_the_table() {
    let text = format!("{HEADER}A,一,調査中,令和6年1月11日\nB,二,,\nC,三,5,\n");
    let rows = parse_snapshot(&text).unwrap().rows;
    assert_eq!(rows[0].people, Err("\"調査中\" is no head count".to_owned()));
    assert_eq!(rows[1].people, Err("no head count is given".to_owned()));
    assert_eq!(rows[2].people, Ok(5));
}

#[test]
fn sums_and_empty_rows_are_no_shelters() {
    let text = format!("{HEADER}A,一,3,令和6年1月11日\n,合 計,3,\n,,,\n");
    let rows = parse_snapshot(&text).unwrap().rows;
    assert_eq!(rows.len(), 1);
}

#[test]
fn a_file_that_is_not_whole_is_refused() {
    let check = |text: &str, expected: &str| {
        let error = parse_snapshot(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?} gave {error}");
    };
    check("", "empty");
    check(" \r\n", "empty");
    check("unavailable", "no column");
    check("<html></html>", "not CSV");
    check("{\"message\": \"unavailable\"}", "not CSV");
    check("ID,名称,人数,時点\n", "no rows");
    check("ID,名称,人数,時点\nA,一,1,令和6年1月11日\nB,二", "line 3: the row has 2 fields");
    check("ID,名称,人数,時点\nA,\"一,1,令和6年1月11日\n", "not closed");
    check("ID,名称,人数,時点\nA,一,many,令和6年1月11日\n", "no row has a head count");
    check("ID,名称,人数,時点\nA,一,1,令和6年1月11日\nA,二,1,令和6年1月11日\n", "twice");
    check("ID,名称,人数,時点\nA,一,1,令和6年1月11日\nB,二,1,令和6年1月12日\n", "different moments");
    check("ID,名称,人数,時点\nA,,1,令和6年1月11日\n", "no name");
    check("ID,名称,人数,時点\nurn:a b,一,1,令和6年1月11日\n", "line 2: 一");
    check("ID,名称,人数\nA,一,1\n", "moment");
    check("ID,名称,時点\nA,一,令和6年1月11日\n", "head count");
}

#[test]
fn two_ids_that_differ_are_two_shelters() {
    let text = format!("{HEADER}A B,一,1,令和6年1月11日\nA/B,二,2,\nA-B,三,3,\n");
    assert_eq!(parse_snapshot(&text).unwrap().rows.len(), 3);
}

#[test]
fn a_last_cell_that_may_have_been_longer_is_not_believed() {
    let cut = |text: &str| {
        parse_snapshot(text).err().is_some_and(|error| error.to_string().contains("cut off"))
    };
    // 55 people, of which the last digit is missing.
    assert!(cut("名称,時点,人数\n一,令和6年1月11日,12\n二,,5"));
    assert!(cut("名称,人数,時点\n一,12,令和6年1月11日"));
    assert!(cut("名称,人数,時点,想定収容人数\n一,12,令和6年1月11日,48"));
    assert!(!cut("名称,時点,人数\n一,令和6年1月11日,12\n二,,5\n"));
    assert!(!cut("名称,時点,人数\n一,令和6年1月11日,12\n二,,5\r\n"));
    assert!(!cut("名称,時点,人数\n一,令和6年1月11日,12\n二,,\"5\""));
    assert!(!cut("名称,人数,時点\n一,12,令和6年1月11日\n二,5,令和6年1月11日"));
    assert!(!cut("名称,人数,時点,備考\n一,12,令和6年1月11日,毛布が"));
}

#[test]
fn every_beginning_of_a_table_is_refused_or_says_less_but_nothing_else() {
    let text = "ID,名称,時点,電話番号,人数\nA,一,令和6年1月11日午後6時,1,120\n\
                B,二,令和6年1月11日午後6時,\"2\",55\nC,三,令和6年1月11日午後6時,3,7\n";
    let whole = parse_snapshot(text).unwrap();
    let mut accepted = 0;
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        if let Ok(snapshot) = parse_snapshot(&text[..end]) {
            assert_eq!(snapshot.at, whole.at);
            assert!(whole.rows.starts_with(&snapshot.rows), "cut at {end}");
            accepted += 1;
        }
    }
    // Where a line ends, nobody can see that others would follow.
    assert_eq!(accepted, 2);
}
