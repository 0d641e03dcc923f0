//! The real feeds of `MUSUBI_DATA`. Without it these tests say so and do nothing; `feed.rs` has
//! the synthetic twin.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::support::{FeedServer, Town, id, real_data, value};
use musubi_model::Tenant;
use serde_json::{Value, json};
use tokio::task::JoinSet;

const TOKYO: &str = "docomo-cycle-tokyo-2023-01";

fn by_status(town: &Town, tenant: &Tenant) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for station in town.stations(tenant) {
        let status = value(&station, "status").unwrap_or_default();
        *counts.entry(status.as_str().unwrap_or("none").to_owned()).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn tokyo_is_written_once_and_an_unchanged_second_poll_writes_nothing() {
    let Some(data) = real_data() else { return };
    let mut tasks = JoinSet::new();
    let (_server, url) = FeedServer::serve(&data.join(TOKYO), &mut tasks).await;
    let town = Town::at(1_672_985_950);
    let adapter = town.adapter(&url, "").unwrap();
    Arc::clone(&adapter).run_once().await.unwrap();
    let tenant = Tenant::default();
    assert_eq!(town.stations(&tenant).len(), 1164);
    assert_eq!(adapter.status()["skipped"], json!({}));
    // is_renting is false wherever no vehicle is there: that is not "out of service".
    let counts = by_status(&town, &tenant);
    assert!(counts.get("outOfService").copied().unwrap_or(0) < 20, "{counts:?}");
    assert!(counts.get("empty").copied().unwrap_or(0) > 100, "{counts:?}");
    let first =
        town.sink.entity(&tenant, &id("BikeHireDockingStation:docomo-cycle-tokyo:00010001"));
    assert_eq!(value(&first.unwrap(), "totalSlotNumber"), Some(json!(17)));
    let (writes, entities) = (town.sink.write_calls(), town.sink.written_entities());
    town.clock.advance(60);
    Arc::clone(&adapter).run_once().await.unwrap();
    town.adapter(&url, "").unwrap().run_once().await.unwrap();
    assert_eq!((town.sink.write_calls(), town.sink.written_entities()), (writes, entities));
}

#[tokio::test]
async fn kamakura_and_kyoto_stay_apart_in_two_tenants() {
    let Some(data) = real_data() else { return };
    let town = Town::at(1_687_743_070);
    for (city, stations) in [("kamakura", 42), ("kyoto", 52)] {
        let folder = data.join(format!("hellocycling-{city}"));
        let url = folder.display().to_string();
        let text = format!("tenant = {city:?}\n[source]\nkind = \"gbfs\"\nurl = {url:?}\n");
        let mapping = musubi_adapter_kit::MappingFile::parse(&text, &format!("{city}.toml"));
        let adapter =
            musubi_adapter_gbfs::from_mapping(&mapping.unwrap(), town.services.clone()).unwrap();
        adapter.run_once().await.unwrap();
        let tenant: Tenant = city.parse().unwrap();
        let found = town.stations(&tenant);
        assert_eq!(found.len(), stations);
        // The capacity of these feeds stands among figures that are no capacity.
        for station in found {
            let slots = value(&station, "totalSlotNumber").as_ref().and_then(Value::as_u64);
            let bikes = value(&station, "availableBikeNumber").as_ref().and_then(Value::as_u64);
            let free = value(&station, "freeSlotNumber").as_ref().and_then(Value::as_u64);
            let Some(slots) = slots else { continue };
            assert!(slots <= bikes.unwrap_or(0) + free.unwrap_or(0) + 30, "{}", station.id);
        }
    }
    assert!(town.sink.entities(&Tenant::default()).is_empty());
}
