//! A full disk: reads go on, writes are refused, and once there is room writes succeed again
//! without a restart.
//!
//! The disk is a small tmpfs in a mount namespace of its own, for which the test has to be root,
//! or to be allowed to make user namespaces. Where it is not, it says so and ends.

use std::cell::Cell;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use musubi_tests::{Http, Musubi, Publisher, Receiver, binary, finish, until};
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

fn command(disk: &SmallDisk, data: &Path, mapping: &Path, min_free: u64) -> Command {
    let mut command = disk.enter(binary());
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--data-dir"])
        .arg(data)
        .arg("--adapter")
        .arg(mapping)
        .env("MUSUBI_MIN_FREE_DISK", min_free.to_string());
    command
}

async fn survives(min_free: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let mount = folder.path().join("disk");
    std::fs::create_dir(&mount).expect("a folder");
    let Some(disk) = SmallDisk::mount(&mount) else {
        eprintln!("NOT TESTED: a mount namespace is not permitted here, so no disk can be filled");
        return;
    };
    let mapping = folder.path().join("sensors.toml");
    let text = "[source]\nkind = \"mqtt\"\n[groups.full]\ntype = \"Sensor\"\ndevices = \"any\"\n";
    std::fs::write(&mapping, text).expect("a file");
    let data = mount.join("data");
    let server = Musubi::start(&mut command(&disk, &data, &mapping, min_free));
    let http = Http::new(server.url());
    let receiver = Receiver::start().await;
    let body = json!({
        "id": "urn:ngsi-ld:Subscription:full", "type": "Subscription",
        "entities": [{ "type": "Full" }],
        "notification": { "attributes": ["number"], "format": "simplified",
                          "endpoint": { "uri": receiver.url() } },
    });
    assert_eq!(http.post("/ngsi-ld/v1/subscriptions", &body).await.status, 201);

    let mut created = Vec::new();
    for number in 0..5 {
        assert_eq!(create(&http, number).await, 201);
        created.push(number);
    }
    // Somebody else fills the disk, to the last byte.
    let filling = mount.join("filling");
    disk.shell(&format!("cat /dev/zero > '{}' 2>/dev/null || true", filling.display()));
    let mut number = 5;
    let mut refused = 0;
    while refused < 10 {
        match create(&http, number).await {
            201 => created.push(number),
            _ => refused += 1,
        }
        number += 1;
        assert!(number < 5000, "a full disk takes everything");
    }
    // A write that is refused for the reserve was not begun. One that met the end of the disk is
    // answered as not done, and may be.
    let unknown = if min_free > 0 { 0 } else { refused };
    check_reads(&http, &created, unknown).await;

    disk.shell(&format!("rm '{}'", filling.display()));
    let next = Cell::new(number);
    let after = until("writes succeed again", || async {
        let number = next.replace(next.get() + 1);
        (create(&http, number).await == 201).then_some(number)
    })
    .await;
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
            let came: Vec<u64> =
                received.iter().filter_map(|n| n["data"][0]["number"].as_u64()).collect();
            expected.iter().all(|number| came.contains(number))
        })
        .await;
    // And what is there is there after a restart.
    assert_eq!(server.stop().0, Some(0));
    let server = Musubi::start(&mut command(&disk, &data, &mapping, min_free));
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
