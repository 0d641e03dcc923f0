//! Backups of a broker that serves: made, verified, restored, and what becomes of broken ones.

use std::fs;
use std::path::{Path, PathBuf};

use musubi_tests::{Finished, Http, Musubi, musubi};
use serde_json::{Value, json};

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}

fn entity(number: u32) -> Value {
    json!({ "id": format!("urn:ngsi-ld:Sensor:{number}"), "type": "Sensor", "level": number })
}

/// The only backup in a folder.
fn backup_in(folder: &Path) -> PathBuf {
    let names: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [path] = &names[..] else { panic!("{names:?}") };
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("musubi-2") && name.ends_with("Z.backup"), "{name}");
    path.clone()
}

fn succeeds(finished: &Finished) {
    assert_eq!(finished.code, Some(0), "{}\n{}", finished.stdout, finished.stderr);
}

async fn count(http: &Http) -> String {
    let answer = http.get("/ngsi-ld/v1/entities?type=Sensor&count=true&limit=1").await;
    answer.header("NGSILD-Results-Count").to_owned()
}

#[tokio::test]
async fn a_backup_of_a_serving_broker_is_restored_to_one_that_serves_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backups) = (folder.path().join("data"), folder.path().join("backups"));
    let broker = Musubi::serve(&data, &[]);
    let http = Http::new(broker.url());
    for number in 0..30 {
        let created = http.post("/ngsi-ld/v1/entities", &entity(number)).await;
        assert_eq!(created.status, 201, "{}", created.text);
    }
    let town = http.tenant("town");
    assert_eq!(town.post("/ngsi-ld/v1/entities", &entity(1)).await.status, 201);

    let made = musubi(&["backup", text(&backups), "--broker", &broker.url()]);
    succeeds(&made);
    assert!(made.stdout.contains("31 entities"), "{}", made.stdout);
    let file = backup_in(&backups);
    // What comes later is not in it.
    assert_eq!(http.post("/ngsi-ld/v1/entities", &entity(100)).await.status, 201);

    let verified = musubi(&["verify", text(&file)]);
    succeeds(&verified);
    assert!(verified.stdout.contains("a whole backup"), "{}", verified.stdout);
    let busy = musubi(&["verify", text(&data)]);
    assert_eq!(busy.code, Some(1));
    assert!(busy.stderr.contains("in use by another process"), "{}", busy.stderr);
    assert_eq!(broker.stop().0, Some(0));

    let copy = folder.path().join("copy");
    succeeds(&musubi(&["restore", text(&file), "--data-dir", text(&copy)]));
    succeeds(&musubi(&["verify", text(&copy)]));
    let again = musubi(&["restore", text(&file), "--data-dir", text(&copy)]);
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("is not empty"), "{}", again.stderr);

    let broker = Musubi::serve(&copy, &[]);
    let http = Http::new(broker.url());
    assert_eq!(count(&http).await, "30");
    let found = http.get("/ngsi-ld/v1/entities/urn:ngsi-ld:Sensor:7?format=simplified").await;
    assert_eq!(found.json()["level"], 7, "{}", found.text);
    let found = http.tenant("town").get("/ngsi-ld/v1/entities/urn:ngsi-ld:Sensor:1").await;
    assert_eq!(found.status, 200, "{}", found.text);
    assert_eq!(http.post("/ngsi-ld/v1/entities", &entity(30)).await.status, 201);
    assert_eq!(count(&http).await, "31");
}

#[tokio::test]
async fn the_folder_of_a_broker_that_does_not_run_is_backed_up() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backups) = (folder.path().join("data"), folder.path().join("backups"));
    let broker = Musubi::serve(&data, &[]);
    let http = Http::new(broker.url());
    assert_eq!(http.post("/ngsi-ld/v1/entities", &entity(1)).await.status, 201);
    let busy = musubi(&["backup", text(&backups), "--data-dir", text(&data)]);
    assert_eq!(busy.code, Some(1));
    assert!(busy.stderr.contains("in use by another process"), "{}", busy.stderr);
    assert_eq!(fs::read_dir(&backups).unwrap().count(), 0, "a part was left behind");
    broker.kill();

    // What belongs to the folder beside the store goes with it.
    fs::create_dir_all(data.join("history/parts")).unwrap();
    fs::write(data.join("history/parts/1"), "a part").unwrap();
    succeeds(&musubi(&["backup", text(&backups), "--data-dir", text(&data)]));
    let copy = folder.path().join("copy");
    succeeds(&musubi(&["restore", text(&backup_in(&backups)), "--data-dir", text(&copy)]));
    assert_eq!(fs::read_to_string(copy.join("history/parts/1")).unwrap(), "a part");
}

#[tokio::test]
async fn a_damaged_backup_is_found_and_what_was_restored_of_it_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backups) = (folder.path().join("data"), folder.path().join("backups"));
    let broker = Musubi::serve(&data, &[]);
    let http = Http::new(broker.url());
    assert_eq!(http.post("/ngsi-ld/v1/entities", &entity(1)).await.status, 201);
    succeeds(&musubi(&["backup", text(&backups), "--broker", &broker.url(), "--rate", "50"]));
    broker.kill();
    let file = backup_in(&backups);
    let whole = fs::read(&file).unwrap();

    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    let verified = musubi(&["verify", text(&file)]);
    assert_eq!(verified.code, Some(1));
    assert!(verified.stderr.contains("is not complete"), "{}", verified.stderr);
    let copy = folder.path().join("copy");
    assert_eq!(musubi(&["restore", text(&file), "--data-dir", text(&copy)]).code, Some(1));
    let served = musubi(&["serve", "--listen", "127.0.0.1:0", "--data-dir", text(&copy)]);
    assert_eq!(served.code, Some(1));
    assert!(served.stderr.contains("did not come to its end"), "{}", served.stderr);

    let mut damaged = whole;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&file, damaged).unwrap();
    let verified = musubi(&["verify", text(&file)]);
    assert_eq!(verified.code, Some(1));
    assert!(verified.stderr.contains("is damaged"), "{}", verified.stderr);
}

#[test]
fn a_backup_of_no_broker_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let made = musubi(&["backup", text(folder.path()), "--broker", "http://127.0.0.1:1"]);
    assert_eq!(made.code, Some(1));
    assert!(made.stderr.contains("could not be reached"), "{}", made.stderr);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
