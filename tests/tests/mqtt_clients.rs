//! Clients that others wrote, against the listener inside and through a broker in between.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use musubi_tests::{
    Finished, Http, Musubi, PATIENCE, Publisher, finish, free_port, musubi, python, until,
};
use serde_json::Value;

/// A folder with mapping files.
struct Setting {
    folder: tempfile::TempDir,
}

impl Setting {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn mapping(&self, name: &str, text: &str) -> String {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).expect("a file");
        file.to_str().expect("UTF-8").to_owned()
    }

    /// A server with the listener, and devices in the group `k`.
    fn listener(&self, group: &str) -> Musubi {
        let text = format!(
            "name = \"sensors\"\n[source]\nkind = \"mqtt\"\n[groups.k]\ntype = \"Sensor\"\n{group}\n"
        );
        let mapping = self.mapping("sensors.toml", &text);
        Musubi::serve(&self.data(), &["--mqtt", "127.0.0.1:0", "--adapter", &mapping])
    }
}

async fn temperature(http: &Http, device: &str) -> Value {
    let path = format!("/ngsi-ld/v1/entities/urn:ngsi-ld:Sensor:{device}?format=simplified");
    http.get(&path).await.json()["temperature"].clone()
}

fn mosquitto_pub(port: u16, version: &str, topic: &str, payload: &str) -> Finished {
    finish(
        Command::new("mosquitto_pub")
            .args(["-V", version, "-q", "1", "-h", "127.0.0.1", "-p", &port.to_string()])
            .args(["-t", topic, "-m", payload]),
    )
}

/// Each of its arguments after the port is a topic and a payload, in turn.
const PAHO: &str = r"
import sys
import paho.mqtt.client as mqtt
version = mqtt.MQTTv5 if sys.argv[2] == '5' else mqtt.MQTTv311
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, 'paho', protocol=version)
client.connect('127.0.0.1', int(sys.argv[1]))
client.loop_start()
for topic, payload in zip(sys.argv[3::2], sys.argv[4::2]):
    message = client.publish(topic, payload, qos=1)
    message.wait_for_publish(60)
    assert message.is_published(), topic
client.disconnect()
client.loop_stop()
";

#[tokio::test]
async fn mosquitto_pub_is_served_in_both_versions_with_and_without_the_first_slash() {
    let setting = Setting::new();
    let server = setting.listener("devices = \"any\"");
    let http = Http::new(server.url()).own_context();
    let mut value = 10;
    for version in ["311", "5"] {
        for start in ["/json/", "json/", "/", ""] {
            value += 1;
            let topic = format!("{start}k/roof/attrs");
            let sent = mosquitto_pub(
                server.mqtt().port(),
                version,
                &topic,
                &format!("{{\"temperature\":{value}}}"),
            );
            assert_eq!(sent.code, Some(0), "{version} {topic}: {}", sent.stderr);
            // It has gone only after the acknowledgement, and that is after the commit.
            assert_eq!(temperature(&http, "roof").await, value, "{version} {topic}");
        }
        let sent =
            mosquitto_pub(server.mqtt().port(), version, "/json/k/roof/attrs/temperature", "7.5");
        assert_eq!(sent.code, Some(0), "{}", sent.stderr);
        assert_eq!(temperature(&http, "roof").await, 7.5);
    }
}

#[tokio::test]
async fn rumqttc_is_served_with_and_without_the_first_slash() {
    let setting = Setting::new();
    let server = setting.listener("devices = \"any\"");
    let http = Http::new(server.url()).own_context();
    let mut publisher = Publisher::new(server.mqtt(), "gateway");
    for (value, topic) in
        ["/json/k/yard/attrs", "json/k/yard/attrs", "/k/yard/attrs"].iter().enumerate()
    {
        publisher.publish(topic, format!("{{\"temperature\":{value}}}")).await;
        assert_eq!(temperature(&http, "yard").await, value, "{topic}");
    }
}

#[tokio::test]
async fn paho_is_served_in_both_versions_with_and_without_the_first_slash() {
    let python = python("paho.mqtt", "paho-mqtt==2.1.0");
    let setting = Setting::new();
    let server = setting.listener("devices = \"any\"");
    let http = Http::new(server.url()).own_context();
    for version in ["311", "5"] {
        let device = format!("door-{version}");
        let topics = [format!("/json/k/{device}/attrs"), format!("json/k/{device}/attrs")];
        let sent = finish(
            Command::new(&python)
                .args(["-c", PAHO, &server.mqtt().port().to_string(), version])
                .args([&topics[0], "{\"temperature\":1}", &topics[1], "{\"temperature\":2}"]),
        );
        assert_eq!(sent.code, Some(0), "{}", sent.stderr);
        assert_eq!(temperature(&http, &device).await, 2);
    }
}

/// A real Mosquitto, and what it logs. Killed when it is dropped.
struct Mosquitto {
    child: Child,
    port: u16,
    log: Receiver<String>,
}

impl Mosquitto {
    fn start(folder: &Path) -> Self {
        let port = free_port();
        let configuration = folder.join("mosquitto.conf");
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n\
             log_dest stderr\nlog_type all\n"
        );
        std::fs::write(&configuration, text).expect("a file");
        let standard = Path::new("/usr/sbin/mosquitto");
        let program = if standard.exists() { standard } else { Path::new("mosquitto") };
        let mut child = Command::new(program)
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this test needs Mosquitto: bash tests/run installs it");
        let output = child.stderr.take().expect("a pipe");
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mosquitto = Self { child, port, log };
        mosquitto.until(" running");
        mosquitto
    }

    /// Waits for a line of its log.
    fn until(&self, part: &str) {
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(part) => return,
                Ok(_) => {}
                Err(error) => panic!("Mosquitto does not say {part:?}: {error}"),
            }
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn what_goes_through_a_real_mosquitto_arrives_even_if_we_were_away() {
    let setting = Setting::new();
    let mosquitto = Mosquitto::start(setting.folder.path());
    let text = format!(
        "name = \"sensors\"\n[source]\nkind = \"mqtt\"\nurl = \"mqtt://127.0.0.1:{}\"\n\
         client_id = \"musubi-sensors\"\n[groups.k]\ntype = \"Sensor\"\ndevices = \"any\"\n",
        mosquitto.port
    );
    let mapping = setting.mapping("sensors.toml", &text);
    let server = Musubi::serve(&setting.data(), &["--adapter", &mapping]);
    mosquitto.until("SUBACK to musubi-sensors");
    let publish = |version: &str, topic: &str, value: u64| {
        let sent =
            mosquitto_pub(mosquitto.port, version, topic, &format!("{{\"temperature\":{value}}}"));
        assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    };
    let http = Http::new(server.url()).own_context();
    for (value, (version, topic)) in
        [("311", "/json/k/lake/attrs"), ("5", "json/k/lake/attrs")].iter().enumerate()
    {
        let value = u64::try_from(value).expect("small");
        publish(version, topic, value);
        until("the reading", || async {
            (temperature(&http, "lake").await == value).then_some(())
        })
        .await;
    }
    // Its session is kept while we are away, whether we went or were killed.
    server.kill();
    publish("5", "/json/k/lake/attrs", 20);
    publish("311", "/json/k/river/attrs", 21);
    let server = Musubi::serve(&setting.data(), &["--adapter", &mapping]);
    let http = Http::new(server.url()).own_context();
    for (device, value) in [("lake", 20), ("river", 21)] {
        until("the reading that waited", || async {
            (temperature(&http, device).await == value).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn json_of_any_form_is_mapped_by_a_file() {
    let setting = Setting::new();
    let text = "name = \"machines\"\n[source]\nkind = \"mqtt\"\ntopics = [\"plant/+/state\"]\n\
                topic_vars = \"plant/{machine}/state\"\n[[filter]]\nwhen = \"has(m.reading)\"\n\
                [[entity]]\ntype = \"Machine\"\nid = \"urn:ngsi-ld:Machine:${topic.machine}\"\n\
                [entity.attr]\ntemperature = { expr = \"m.reading.t\", unit = \"CEL\", range = [-40, 400] }\n";
    let mapping = setting.mapping("machines.toml", text);
    let server = Musubi::serve(&setting.data(), &["--mqtt", "127.0.0.1:0", "--adapter", &mapping]);
    let mut publisher = Publisher::new(server.mqtt(), "plant");
    publisher.publish("plant/press/state", "{\"reading\":{\"t\":81.5}}").await;
    publisher.publish("plant/saw/state", "{\"other\":1}").await;
    let http = Http::new(server.url()).own_context();
    let press = http.get("/ngsi-ld/v1/entities/urn:ngsi-ld:Machine:press").await.json();
    assert_eq!(press["temperature"]["value"], 81.5, "{press}");
    assert_eq!(press["temperature"]["unitCode"], "CEL");
    assert_eq!(http.get("/ngsi-ld/v1/entities/urn:ngsi-ld:Machine:saw").await.status, 404);
}

fn dead_letters(arguments: &[&str], server: &Musubi) -> Finished {
    let url = server.url();
    let mut all = vec!["dead-letters"];
    all.extend(arguments);
    all.extend(["--broker", &url]);
    musubi(&all)
}

#[tokio::test]
async fn what_an_unknown_device_says_is_kept_and_replayed_once_it_is_known() {
    let setting = Setting::new();
    let server = setting.listener("devices = \"known\"\nknown = [\"roof\"]");
    let mut publisher = Publisher::new(server.mqtt(), "gateway");
    publisher.publish("/json/k/roof/attrs", "{\"temperature\":1}").await;
    publisher.publish("/json/k/cellar/attrs", "{\"temperature\":2}").await;
    publisher.publish("/json/k/attic/attrs", "{\"temperature\":3}").await;
    let http = Http::new(server.url()).own_context();
    assert_eq!(temperature(&http, "roof").await, 1);
    assert_eq!(temperature(&http, "cellar").await, Value::Null);

    let list = dead_letters(&["list"], &server);
    assert_eq!(list.code, Some(0), "{}", list.stderr);
    let ids = |list: &Finished, device: &str| -> Vec<String> {
        let lines = list.stdout.lines().filter(|line| line.contains(&format!("/k/{device}/")));
        lines.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
    };
    let (cellar, attic) = (ids(&list, "cellar"), ids(&list, "attic"));
    assert_eq!(
        (cellar.len(), attic.len(), list.stdout.lines().count()),
        (1, 1, 3),
        "{}",
        list.stdout
    );
    let shown = dead_letters(&["show", &cellar[0]], &server);
    let shown: Value = serde_json::from_str(&shown.stdout).expect("a letter is JSON");
    assert_eq!(shown["payload"], "{\"temperature\":2}");
    assert_eq!(shown["adapter"], "sensors");
    let devices = musubi(&["adapter", "devices", "--unknown", "--broker", &server.url()]);
    assert!(
        devices.stdout.contains("cellar") && devices.stdout.contains("attic"),
        "{}",
        devices.stdout
    );
    assert!(!devices.stdout.contains("roof"), "{}", devices.stdout);
    // As long as nothing has changed it is refused again, and kept.
    let again = dead_letters(&["replay", &cellar[0]], &server);
    assert_eq!(again.code, Some(1), "{}", again.stdout);
    assert_eq!(ids(&dead_letters(&["list"], &server), "cellar"), cellar);
    assert_eq!(server.stop().0, Some(0));

    let server = setting.listener("devices = \"known\"\nknown = [\"roof\", \"cellar\"]");
    let http = Http::new(server.url()).own_context();
    let replayed = dead_letters(&["replay", &cellar[0]], &server);
    assert_eq!(replayed.code, Some(0), "{} {}", replayed.stdout, replayed.stderr);
    assert_eq!(temperature(&http, "cellar").await, 2);
    let list = dead_letters(&["list"], &server);
    assert_eq!((ids(&list, "cellar").len(), ids(&list, "attic").len()), (0, 1), "{}", list.stdout);
    assert_eq!(dead_letters(&["purge", &attic[0]], &server).code, Some(0));
    assert!(dead_letters(&["list"], &server).stdout.contains("no dead letters"));
    assert_eq!(dead_letters(&["show", &attic[0]], &server).code, Some(1));
}
