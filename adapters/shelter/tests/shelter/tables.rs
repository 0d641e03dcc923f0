//! Tables of open shelters: what they make of the shelters, one after the other.

use std::sync::Arc;

use musubi_model::Tenant;
use serde_json::json;

use crate::support::{Town, counts, fixtures, shelter_id, table};

#[tokio::test]
async fn each_table_gives_exactly_its_shelters_and_their_people() {
    let town = Town::new();
    let expected = [
        counts(&[("K01", 120), ("K02", 40), ("K03", 9)]),
        counts(&[("K01", 150), ("K02", 40), ("K03", 9), ("K04", 80)]),
        counts(&[("K01", 155), ("K02", 38), ("K04", 77)]),
        counts(&[("K01", 90), ("K04", 75)]),
    ];
    for (file, expected) in fixtures("town").iter().zip(expected) {
        town.copy(file);
        town.run().await;
        assert_eq!(town.open(), expected, "{}", file.display());
    }
    assert_eq!(town.value("K01", "openedAt"), Some(json!("2024-02-01T09:00:00Z")));
    assert_eq!(town.value("K01", "closedAt"), None);
    assert_eq!(town.value("K03", "closedAt"), Some(json!("2024-02-02T09:00:00Z")));
    assert_eq!(town.value("K03", "occupancy"), Some(json!(0)));
    assert_eq!(town.value("K04", "openedAt"), Some(json!("2024-02-01T21:00:00Z")));
    // 80 of 80 is full; 77 of 80 is less than a hand below and still full; 75 of 80 is not.
    assert_eq!(town.value("K04", "congestionLevel"), Some(json!("congested")));
    assert!(town.letters().is_empty());
}

#[tokio::test]
async fn a_folder_in_any_order_ends_as_its_tables_one_by_one() {
    let (one_by_one, at_once) = (Town::new(), Town::new());
    for file in fixtures("town") {
        one_by_one.copy(&file);
        one_by_one.run().await;
    }
    for (index, file) in fixtures("town").iter().rev().enumerate() {
        // Neither the names nor the times of the files say in which order they belong.
        std::fs::copy(file, at_once.path(&format!("{index}.csv"))).unwrap();
    }
    at_once.run().await;
    assert_eq!(at_once.everything(), one_by_one.everything());
}

#[tokio::test]
async fn what_seldom_changes_is_written_too() {
    let town = Town::new();
    town.copy(&fixtures("town")[0]);
    town.run().await;
    assert_eq!(town.value("K01", "name"), Some(json!("(合成)第一小学校")));
    assert_eq!(town.value("K01", "alternateName"), Some(json!("ダイイチショウガッコウ")));
    assert_eq!(town.value("K01", "capacity"), Some(json!(300)));
    assert_eq!(town.value("K01", "occupancyRate"), Some(json!(0.4)));
    assert_eq!(town.value("K01", "congestionLevel"), Some(json!("free")));
    assert_eq!(town.value("K01", "telephone"), Some(json!("000-000-0001")));
    assert_eq!(town.value("K01", "areaServed"), Some(json!("東")));
    assert_eq!(town.value("K01", "attribution"), Some(json!("架空市, CC BY 4.0")));
    let point = json!({ "type": "Point", "coordinates": [136.9001, 35.1001] });
    assert_eq!(town.value("K01", "location"), Some(point));
    assert_eq!(town.value("K03", "location"), None);
    assert_eq!(town.value("K03", "capacity"), None);
    assert_eq!(town.value("K03", "congestionLevel"), Some(json!("unknown")));
    assert_eq!(town.value("K03", "dataQuality"), Some(json!("ok")));
    assert_eq!(town.value("K03", "countMethod"), Some(json!("headcount")));
}

#[tokio::test]
async fn a_second_run_writes_nothing() {
    let town = Town::new();
    for file in fixtures("town") {
        town.copy(&file);
    }
    let adapter = town.tables("path = \"tables\"");
    Arc::clone(&adapter).run_once().await.unwrap();
    let (calls, everything) = (town.memory.write_calls(), town.everything());
    Arc::clone(&adapter).run_once().await.unwrap();
    town.run().await;
    assert_eq!((town.memory.write_calls(), town.everything()), (calls, everything));
}

#[tokio::test]
async fn a_table_that_comes_after_a_newer_one_changes_nothing() {
    let town = Town::new();
    town.put("b.csv", &table("令和6年2月2日", &[("1", "20")]));
    town.run().await;
    town.put("a.csv", &table("令和6年2月1日", &[("1", "10"), ("2", "5")]));
    town.run().await;
    assert_eq!(town.open(), counts(&[("1", 20)]));
}

#[tokio::test]
async fn a_shelter_that_is_named_again_is_opened_again() {
    let town = Town::new();
    for (day, rows) in [(1, &[("1", "10"), ("2", "5")][..]), (2, &[("1", "9")]), (3, &[("2", "6")])]
    {
        town.put(&format!("{day}.csv"), &table(&format!("令和6年2月{day}日"), rows));
        town.run().await;
    }
    assert_eq!(town.open(), counts(&[("2", 6)]));
    assert_eq!(town.value("2", "openedAt"), Some(json!("2024-02-02T15:00:00Z")));
    assert_eq!(town.value("2", "closedAt"), Some(json!("2024-02-01T15:00:00Z")));
}

#[tokio::test]
async fn a_head_count_that_cannot_be_read_closes_nothing_and_keeps_the_last_one() {
    let town = Town::new();
    town.put("1.csv", &table("令和6年2月1日", &[("1", "10"), ("2", "5")]));
    town.put("2.csv", &table("令和6年2月2日", &[("1", "11"), ("2", "調査中"), ("3", "")]));
    let status = town.run().await;
    assert_eq!(town.status("2"), "open");
    assert_eq!(town.people("2"), Some(5));
    let occupancy = town.everything().remove(&("2".into(), "urn:musubi:ns:occupancy".into()));
    let counted_at = occupancy.unwrap().1.unwrap();
    assert_eq!(counted_at.to_string(), "2024-01-31T15:00:00Z", "nobody has counted since");
    assert_eq!(town.value("2", "dataQuality"), Some(json!("\"調査中\" is no head count")));
    assert_eq!((town.status("3").as_str(), town.people("3")), ("open", None));
    assert_eq!(town.people("1"), Some(11));
    assert_eq!(status["skipped"]["bad_value"], 2);
    town.put("3.csv", &table("令和6年2月3日", &[("1", "11"), ("2", "7")]));
    town.run().await;
    assert_eq!(town.value("2", "dataQuality"), Some(json!("ok")));
    assert_eq!(town.status("3"), "closed");
}

#[tokio::test]
async fn households_are_known_only_as_long_as_somebody_counts_them() {
    let town = Town::new();
    let files = fixtures("town");
    town.copy_all(&files[..3]);
    town.run().await;
    assert_eq!(town.value("K02", "occupancyHouseholds"), Some(json!(20)));
    assert_eq!(town.value("K03", "occupancyHouseholds"), None);
    town.copy(&files[3]);
    town.run().await;
    // Closed: nobody is there. Opened again: nobody knows.
    assert_eq!(town.value("K02", "occupancyHouseholds"), Some(json!(0)));
    town.put("9.csv", &table("令和6年2月9日", &[("K02", "3")]));
    town.run().await;
    assert_eq!(town.value("K02", "occupancyHouseholds"), None);
}

#[tokio::test]
async fn another_file_of_the_same_moment_corrects_the_first_once() {
    let town = Town::new();
    town.put("a.csv", &table("令和6年2月1日", &[("1", "10"), ("2", "5")]));
    town.run().await;
    town.put("b.csv", &table("令和6年2月2日", &[("1", "10")]));
    town.run().await;
    assert_eq!(town.status("2"), "closed");
    town.put("c.csv", &table("令和6年2月2日", &[("1", "12"), ("2", "5")]));
    town.run().await;
    assert_eq!(town.open(), counts(&[("1", 12), ("2", 5)]));
    assert_eq!(town.value("2", "openedAt"), Some(json!("2024-01-31T15:00:00Z")));
    assert_eq!(town.value("2", "closedAt"), None, "it was never closed");
    let calls = town.memory.write_calls();
    town.run().await;
    assert_eq!(town.memory.write_calls(), calls);
}

#[tokio::test]
async fn what_somebody_reported_later_is_not_undone_by_an_earlier_table() {
    let town = Town::new();
    town.put("1.csv", &table("2024-02-01 06:00", &[("1", "10"), ("2", "5")]));
    town.run().await;
    let report = br#"[{"shelter":"1","at":"2024-02-02T10:00:00+09:00","people":30},
        {"shelter":"2","at":"2024-02-02T10:00:00+09:00","people":6}]"#;
    let answer = town.posts().receive("reports", &Tenant::default(), report).await.unwrap();
    assert_eq!(answer["applied"], 2);
    // Published at noon, but counted in the morning.
    town.put("2.csv", &table("2024-02-02 06:00", &[("1", "12")]));
    town.run().await;
    assert_eq!(town.open(), counts(&[("1", 30), ("2", 6)]));
    town.put("3.csv", &table("2024-02-03 06:00", &[("1", "31")]));
    town.run().await;
    assert_eq!(town.open(), counts(&[("1", 31)]));
    assert_eq!(town.value("2", "closedAt"), Some(json!("2024-02-02T21:00:00Z")));
}

#[tokio::test]
async fn tables_of_two_tenants_stay_apart() {
    let town = Town::new();
    town.put("1.csv", &table("令和6年2月1日", &[("1", "10")]));
    town.run().await;
    let other = town
        .adapter(
            "tenant = \"other\"\n[source]\nkind = \"file\"\npath = \"tables/1.csv\"\n[map]\n\
             preset = \"shelter-snapshot\"\n",
        )
        .unwrap();
    let other_tenant: Tenant = "other".parse().unwrap();
    town.put("1.csv", &table("令和6年2月2日", &[("1", "99")]));
    other.run_once().await.unwrap();
    assert!(town.memory.entity(&other_tenant, &shelter_id("1")).is_some());
    assert_eq!(town.people("1"), Some(10));
}

#[tokio::test]
async fn a_pattern_finds_files_in_several_folders() {
    let town = Town::new();
    for (folder, day) in [("east", 1), ("west", 2)] {
        std::fs::create_dir(town.path(folder)).unwrap();
        let moment = format!("令和6年2月{day}日");
        town.put(&format!("{folder}/latest.csv"), &table(&moment, &[("1", &day.to_string())]));
        town.put(&format!("{folder}/broken.csv"), folder);
    }
    town.tables("path = \"tables/*/*.csv\"").run_once().await.unwrap();
    assert_eq!(town.open(), counts(&[("1", 2)]));
    assert_eq!(town.letters().len(), 2);
}
