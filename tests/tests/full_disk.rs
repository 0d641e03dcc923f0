//! A full disk: reads go on, writes are refused, and once there is room writes succeed again
//! without a restart.
//!
//! The disk is a small tmpfs in a mount namespace of its own, for which the test has to be root,
//! or to be allowed to make user namespaces. Where it is not, it says so and ends, and `tests/run`
//! says so at its end.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use musubi_tests::{Http, Musubi, Publisher, Receiver, binary, finish, not_tested, until};
use serde_json::{Value, json};

/// Bytes of the disk, and of the room that the store is to leave.
const DISK: u64 = 48 << 20;
const MIN_FREE: u64 = 4 << 20;

/// A mount namespace with a small disk, kept by a process that does nothing.
struct SmallDisk {
    keeper: Child,
    user: bool,
}

impl SmallDisk {
    /// Mounts the disk at `folder`; none if that is not permitted.
    fn mount(folder: &Path) -> Option<Self> {
        [&["-m"][..], &["-r", "-m"]].into_iter().find_map(|flags| {
            let probe = finish(
                Command::new("unshare")
                    .args(flags)
                    .args(["mount", "-t", "tmpfs", "none"])
                    .arg(folder),
            );
            if probe.code != Some(0) {
                eprintln!("{}", probe.stderr.trim());
                return None;
            }
            let script = format!(
                "mount -t tmpfs -o size={DISK} none '{}' && echo mounted && exec cat",
                folder.display()
            );
            let mut keeper = Command::new("unshare")
                .args(flags)
                .args(["sh", "-c", &script])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .ok()?;
            let mut mounted = [0_u8; 8];
            let output = keeper.stdout.as_mut()?;
            std::io::Read::read_exact(output, &mut mounted).ok()?;
            Some(Self { keeper, user: flags.len() > 1 })
        })
    }

    /// A command that runs inside.
    fn enter(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-m", "-t", &self.keeper.id().to_string()]);
        if self.user {
            command.args(["-U", "--preserve-credentials"]);
        }
        command.arg(program).process_group(0);
        command
    }

    fn shell(&self, script: &str) {
        let finished = finish(self.enter(Path::new("sh")).args(["-c", script]));
        assert_eq!(finished.code, Some(0), "{script}: {}", finished.stderr);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

fn entity(number: usize) -> Value {
    // A body that fills a disk of this size soon.
    json!({ "id": format!("urn:ngsi-ld:Full:{number}"), "type": "Full", "number": number,
            "filling": "x".repeat(20_000) })
}

async fn create(http: &Http, number: usize) -> u16 {
    let answer = http.post("/ngsi-ld/v1/entities", &entity(number)).await;
    let problem = matches!(answer.status, 503 | 507);
    assert!(
        answer.status == 201 || (problem && !answer.json()["title"].is_null()),
        "{} {}",
        answer.status,
        answer.text
    );
    answer.status
}

/// Everything that was created is there. Of what was refused, that may be there of which nothing
/// was known: `unknown` at most.
async fn check_reads(http: &Http, created: &[usize], unknown: usize) {
    let path = "/ngsi-ld/v1/entities?type=Full&limit=1&count=true&attrs=number";
    let answer = http.get(path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let count = answer.header("NGSILD-Results-Count").parse().expect("a count");
    assert!((created.len()..=created.len() + unknown).contains(&count), "{count} of {created:?}");
    for number in created.iter().rev().take(5).chain(created.first()) {
        let one = http.get(&format!("/ngsi-ld/v1/entities/urn:ngsi-ld:Full:{number}")).await;
        assert_eq!(one.status, 200, "{}", one.text);
    }
    assert_eq!(http.get("/health/live").await.status, 200);
}

/// A small disk with the data of a server, and beside it the mapping file of an adapter.
struct Place {
    disk: SmallDisk,
    folder: tempfile::TempDir,
    /// What the store is to leave.
    min_free: u64,
}

impl Place {
    /// None where no disk can be mounted.
    fn new(min_free: u64) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mount = folder.path().join("disk");
        std::fs::create_dir(&mount).expect("a folder");
        let Some(disk) = SmallDisk::mount(&mount) else {
            not_tested("a full disk", "a mount namespace is not permitted here");
            return None;
        };
        let text =
            "[source]\nkind = \"mqtt\"\n[groups.full]\ntype = \"Sensor\"\ndevices = \"any\"\n";
        std::fs::write(folder.path().join("sensors.toml"), text).expect("a file");
        Some(Self { disk, folder, min_free })
    }

    /// A server that does not wait long before it tries again, and does not give up.
    fn serve(&self) -> Musubi {
        let mut command = self.disk.enter(binary());
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--data-dir"])
            .arg(self.folder.path().join("disk/data"))
            .arg("--adapter")
            .arg(self.folder.path().join("sensors.toml"))
            .env("MUSUBI_MIN_FREE_DISK", self.min_free.to_string())
            .env("MUSUBI_NOTIFY_FIRST_RETRY", "20ms")
            .env("MUSUBI_NOTIFY_LONGEST_RETRY", "100ms")
            .env("MUSUBI_NOTIFY_ATTEMPTS", "1000000");
        Musubi::start(&mut command)
    }

    /// Somebody else fills the disk, to the last byte.
    fn fill(&self) {
        let filling = self.folder.path().join("disk/filling");
        self.disk.shell(&format!("cat /dev/zero > '{}' 2>/dev/null || true", filling.display()));
    }

    /// And makes room again.
    fn clear(&self) {
        let filling = self.folder.path().join("disk/filling");
        self.disk.shell(&format!("rm '{}'", filling.display()));
    }
}

const SUBSCRIPTION: &str = "urn:ngsi-ld:Subscription:full";

async fn subscribe(http: &Http, receiver: &Receiver) {
    let body = json!({
        "id": SUBSCRIPTION, "type": "Subscription",
        "entities": [{ "type": "Full" }],
        "notification": { "attributes": ["number"], "format": "simplified",
                          "endpoint": { "uri": receiver.url() } },
    });
    assert_eq!(http.post("/ngsi-ld/v1/subscriptions", &body).await.status, 201);
}

/// Creates entities until ten were refused. Those that were created are added; the number of the
/// next one is returned.
async fn create_until_refused(http: &Http, created: &mut Vec<usize>, first: usize) -> usize {
    let mut number = first;
    let mut refused = 0;
    while refused < 10 {
        match create(http, number).await {
            201 => created.push(number),
            _ => refused += 1,
        }
        number += 1;
        assert!(number < 5000, "a full disk takes everything");
    }
    number
}

/// Creates entities until one is taken, and returns its number.
async fn create_until_taken(http: &Http, first: usize) -> usize {
    let next = Cell::new(first);
    until("writes succeed again", || async {
        let number = next.replace(next.get() + 1);
        (create(http, number).await == 201).then_some(number)
    })
    .await
}

async fn survives(min_free: u64) {
    let Some(place) = Place::new(min_free) else { return };
    let server = place.serve();
    let http = Http::new(server.url());
    let receiver = Receiver::start().await;
    subscribe(&http, &receiver).await;

    let mut created = Vec::new();
    for number in 0..5 {
        assert_eq!(create(&http, number).await, 201);
        created.push(number);
    }
    place.fill();
    let number = create_until_refused(&http, &mut created, 5).await;
    let refused = number - created.len();
    // A write that is refused for the reserve was not begun. One that met the end of the disk is
    // answered as not done, and may be.
    let unknown = if min_free > 0 { 0 } else { refused };
    check_reads(&http, &created, unknown).await;

    place.clear();
    let after = create_until_taken(&http, number).await;
    created.push(after);
    let unknown = if min_free > 0 { 0 } else { unknown + after - number };
    check_reads(&http, &created, unknown).await;
    let mut publisher = Publisher::new(server.mqtt(), "full");
    publisher.publish("/json/full/roof/attrs", "{\"temperature\":20}").await;
    let sensor = http.get("/ngsi-ld/v1/entities/urn:ngsi-ld:Sensor:roof").await;
    assert_eq!(sensor.status, 200, "{}", sensor.text);
    let expected: Vec<u64> = created.iter().map(|n| u64::try_from(*n).expect("small")).collect();
    receiver
        .until("a notification of every entity", |received| {
            let came = told(received);
            expected.iter().all(|number| came.contains(number))
        })
        .await;
    // And what is there is there after a restart.
    assert_eq!(server.stop().0, Some(0));
    let server = place.serve();
    check_reads(&Http::new(server.url()), &created, unknown).await;
    receiver.stop();
}

#[tokio::test]
async fn a_disk_with_less_room_than_is_to_be_left_refuses_writes_until_there_is_more() {
    survives(MIN_FREE).await;
}

/// Without a reserve the store meets the end of the disk in the middle of a write.
#[tokio::test]
async fn a_disk_that_ends_in_the_middle_of_a_write_refuses_writes_until_there_is_room() {
    survives(0).await;
}

async fn ledger(http: &Http) -> Value {
    http.get(&format!("/musubi/v1/subscriptions/{SUBSCRIPTION}/ledger")).await.json()
}

/// The numbers of which a receiver has been told, and that each came under one notification id.
fn told(received: &[Value]) -> BTreeSet<u64> {
    let mut ids = BTreeMap::new();
    for notification in received {
        for entity in notification["data"].as_array().expect("data") {
            let number = entity["number"].as_u64().expect("a number");
            let id = notification["id"].as_str().expect("an id");
            let before = ids.insert(number, id);
            assert!(before.is_none_or(|before| before == id), "{number} came under two ids");
        }
    }
    ids.into_keys().collect()
}

/// Nobody takes notifications until the disk has room again.
async fn delivers_what_is_pending(min_free: u64) {
    let Some(place) = Place::new(min_free) else { return };
    let server = place.serve();
    let http = Http::new(server.url());
    let receiver = Receiver::start().await;
    receiver.refuse(true);
    subscribe(&http, &receiver).await;
    let mut created = Vec::new();
    for number in 0..5 {
        assert_eq!(create(&http, number).await, 201);
        created.push(number);
    }
    until("all of them are pending and were tried", || async {
        let ledger = ledger(&http).await;
        let is_tried = ledger["timesFailed"].as_u64().is_some_and(|times| times > 0);
        (ledger["pending"] == 5 && is_tried).then_some(())
    })
    .await;
    place.fill();
    let number = create_until_refused(&http, &mut created, 5).await;
    let full = ledger(&http).await;
    assert_eq!((&full["delivered"], &full["dead"]), (&json!(0), &json!(0)), "{full}");
    place.clear();
    created.push(create_until_taken(&http, number).await);
    receiver.refuse(false);

    // What met the end of the disk may have been written. If it was, it is due.
    let list = "/ngsi-ld/v1/entities?type=Full&limit=1&count=true&attrs=number";
    let answer = http.get(list).await;
    let written: usize = answer.header("NGSILD-Results-Count").parse().expect("a count");
    if min_free > 0 {
        assert_eq!(written, created.len(), "what was refused for the reserve was not written");
    }
    let settled = until("all are delivered", || async {
        let ledger = ledger(&http).await;
        (ledger["pending"] == 0 && ledger["due"] == written).then_some(ledger)
    })
    .await;
    assert_eq!(settled["delivered"], written, "{settled}");
    assert_eq!((&settled["dead"], &settled["suppressed"]), (&json!(0), &json!(0)), "{settled}");
    let numbers = told(&receiver.received());
    assert_eq!(numbers.len(), written);
    for number in created {
        assert!(numbers.contains(&u64::try_from(number).expect("small")), "{number}");
    }
    // The ledger is that of a server that begins again, too.
    assert_eq!(server.stop().0, Some(0));
    let server = place.serve();
    let again = ledger(&Http::new(server.url())).await;
    for member in ["due", "delivered", "pending", "dead", "suppressed"] {
        assert_eq!(again[member], settled[member], "{member}");
    }
    receiver.stop();
}

#[tokio::test]
async fn what_is_pending_on_a_disk_without_the_room_to_be_left_is_delivered_in_the_end() {
    delivers_what_is_pending(MIN_FREE).await;
}

#[tokio::test]
async fn what_is_pending_on_a_disk_that_ends_in_the_middle_of_a_write_is_delivered_in_the_end() {
    delivers_what_is_pending(0).await;
}
