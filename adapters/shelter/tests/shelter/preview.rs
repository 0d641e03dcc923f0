//! A look at what would be written.

use crate::support::{Town, counts, fixtures, table};

#[tokio::test]
async fn a_preview_shows_what_would_be_written_and_writes_nothing() {
    let town = Town::new();
    town.copy_all(&fixtures("town")[..2]);
    town.copy_all(&fixtures("broken"));
    let adapter = town.tables("path = \"tables\"");
    let preview = adapter.preview(100).await.unwrap();
    assert_eq!(preview.counts().create, 7);
    assert_eq!(preview.counts().skipped, fixtures("broken").len());
    let text = preview.render();
    assert!(text.contains("occupancy: 120") && text.contains("empty.csv: "), "{text}");
    assert_eq!(town.memory.write_calls(), 0);
    assert!(town.memory.entities(&musubi_model::Tenant::default()).is_empty());
    assert_eq!(adapter.preview(1).await.unwrap().counts().create, 3);
}

#[tokio::test]
async fn a_preview_compares_with_what_is_there() {
    let town = Town::new();
    town.put("1.csv", &table("令和6年2月1日", &[("1", "10"), ("2", "5")]));
    town.run().await;
    town.put("2.csv", &table("令和6年2月2日", &[("1", "12")]));
    town.put("3.csv", &table("2094-02-02", &[("1", "13")]));
    let calls = town.memory.write_calls();
    let preview = town.tables("path = \"tables\"").preview(100).await.unwrap();
    let text = preview.render();
    for line in
        ["occupancy: 10 → 12", "status: \"open\" → \"closed\"", "1.csv: it, or a newer", "2094"]
    {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert_eq!((preview.counts().update, preview.counts().skipped), (2, 2));
    assert_eq!(town.memory.write_calls(), calls);
    assert_eq!(town.open(), counts(&[("1", 10), ("2", 5)]));
}

#[tokio::test]
async fn there_is_nothing_to_look_at_where_bodies_are_posted() {
    let preview = Town::new().posts().preview(5).await.unwrap();
    assert!(preview.render().contains("there is nothing to look at"));
}
