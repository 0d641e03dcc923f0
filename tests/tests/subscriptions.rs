//! What an operator sees of subscriptions and does about dead letters, with the program itself.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use musubi_tests::{Finished, Http, Musubi, Receiver, binary, free_port, musubi, until};
use serde_json::{Value, json};

const FINE: &str = "urn:ngsi-ld:Subscription:a-fine";
const DOWN: &str = "urn:ngsi-ld:Subscription:b-down";
const LETTERS: &str = "/musubi/v1/dead-letters";

/// A server that gives up soon.
fn serve(data: &Path, settings: &[(&str, &str)]) -> Musubi {
    let folder = data.to_str().expect("UTF-8");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", folder];
    let hasty = [
        ("MUSUBI_NOTIFY_ATTEMPTS", "2"),
        ("MUSUBI_NOTIFY_FIRST_RETRY", "10ms"),
        ("MUSUBI_NOTIFY_LONGEST_RETRY", "20ms"),
    ];
    let settings = hasty.iter().chain(settings).copied();
    Musubi::start(Command::new(binary()).args(arguments).envs(settings))
}

/// Runs a command against the server.
fn ask(server: &Musubi, arguments: &[&str]) -> Finished {
    let url = server.url();
    let mut all = arguments.to_vec();
    all.extend(["--broker", &url]);
    musubi(&all)
}

async fn subscribe(http: &Http, id: &str, name: &str, uri: &str) {
    let body = json!({
        "id": id,
        "type": "Subscription",
        "subscriptionName": name,
        "entities": [{ "type": "Shelter" }],
        "notification": { "endpoint": { "uri": uri } },
    });
    let answer = http.post("/ngsi-ld/v1/subscriptions", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
}

/// Writes so many changes of one shelter.
async fn change(http: &Http, count: u64) {
    for open in 0..count {
        let id = "urn:ngsi-ld:Shelter:1";
        let entity = json!([{ "id": id, "type": "Shelter", "occupancy": { "type": "Property", "value": open } }]);
        let answer = http.post("/ngsi-ld/v1/entityOperations/upsert", &entity).await;
        assert!(answer.status < 300, "{}", answer.text);
    }
}

async fn ledger(http: &Http, id: &str) -> Value {
    http.get(&format!("/musubi/v1/subscriptions/{id}/ledger")).await.json()
}

/// How many changes the letters of a subscription tell of.
async fn in_letters(http: &Http, id: &str) -> u64 {
    let letters = http.get(&format!("{LETTERS}?subscription={id}&limit=1000")).await.json();
    let letters = letters["deadLetters"].as_array().expect("a list").clone();
    letters.iter().map(|letter| letter["changes"].as_u64().expect("a count")).sum()
}

/// Waits until nothing is pending, so many changes are dead, and so many are in letters, which are
/// written a little later than they are counted.
async fn until_dead(http: &Http, id: &str, (count, kept): (u64, u64)) -> Value {
    until("what cannot be delivered is given up", async || {
        let ledger = ledger(http, id).await;
        let is_over = ledger["pending"] == 0 && ledger["dead"] == count;
        (is_over && in_letters(http, id).await == kept).then_some(ledger)
    })
    .await
}

#[tokio::test]
async fn subscriptions_in_trouble_come_first_and_their_letters_are_replayed_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path(), &[]);
    let http = Http::new(server.url());
    assert_eq!(ask(&server, &["subscriptions"]).stdout.trim(), "there are no subscriptions");
    let receiver = Receiver::start().await;
    let port = free_port();
    subscribe(&http, FINE, "Fine", &receiver.url()).await;
    subscribe(&http, DOWN, "避難所", &format!("http://127.0.0.1:{port}/notify")).await;
    change(&http, 6).await;
    let account = until_dead(&http, DOWN, (6, 6)).await;
    assert_eq!(account["due"], 6, "{account}");
    assert!(account["lastFailureReason"].is_string() && account["lastSuccess"].is_null());
    until("all is delivered", async || (ledger(&http, FINE).await["delivered"] == 6).then_some(()))
        .await;

    let table = ask(&server, &["subscriptions"]);
    assert_eq!(table.code, Some(0), "{}", table.stderr);
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert!(lines[0].starts_with("SUBSCRIPTION"), "{}", table.stdout);
    assert!(lines[1].starts_with("避難所"), "{}", table.stdout);
    assert!(lines[2].starts_with("Fine"), "{}", table.stdout);
    assert!(lines[1].contains(&format!("127.0.0.1:{port}")), "{}", table.stdout);
    let listed = ask(&server, &["subscriptions", "--json"]);
    let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    assert_eq!((&listed[0]["id"], &listed[0]["dead"]), (&json!(DOWN), &json!(6)), "{listed}");
    assert_eq!((&listed[1]["id"], &listed[1]["delivered"]), (&json!(FINE), &json!(6)), "{listed}");
    let metrics = http.get("/metrics").await.text;
    let line = format!("musubi_subscription_dead{{tenant=\"\",subscription=\"{DOWN}\"}} 6");
    assert!(metrics.lines().any(|it| it == line), "{metrics}");

    let count = |arguments: &[&str]| {
        let listed = ask(&server, &[&["dead-letters", "list", "--json"][..], arguments].concat());
        let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
        let changes = listed.as_array().expect("a list").iter();
        changes.map(|letter| letter["changes"].as_u64().expect("a count")).sum::<u64>()
    };
    assert_eq!(count(&["--subscription", DOWN]), 6);
    assert_eq!(count(&["--subscription", FINE]), 0);
    assert_eq!(count(&["--older-than", "1h"]), 0);
    let list = ask(&server, &["dead-letters", "list"]);
    assert!(list.stdout.starts_with("ID") && list.stdout.contains(DOWN), "{}", list.stdout);

    let refused = ask(&server, &["dead-letters", "replay", "--subscription", DOWN]);
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    assert!(refused.stderr.contains("refused again"), "{}", refused.stderr);
    assert_eq!(count(&[]), 6);
    let back = Receiver::start_at(SocketAddr::from(([127, 0, 0, 1], port))).await;
    let replayed = ask(&server, &["dead-letters", "replay", "--subscription", DOWN]);
    assert_eq!(replayed.code, Some(0), "{} {}", replayed.stdout, replayed.stderr);
    let occupancies: Vec<u64> = back
        .received()
        .iter()
        .flat_map(|notification| notification["data"].as_array().expect("entities").clone())
        .filter_map(|entity| entity["occupancy"]["value"].as_u64())
        .collect();
    assert_eq!(occupancies, [0, 1, 2, 3, 4, 5]);
    let list = ask(&server, &["dead-letters", "list"]);
    assert_eq!(list.stdout.trim(), "there are no dead letters");
    assert_eq!(ledger(&http, DOWN).await["dead"], 6, "a replay is no delivery");
    assert_eq!(server.stop().0, Some(0));
}

#[tokio::test]
async fn letters_are_thrown_away_by_command_and_by_age() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path(), &[]);
    let http = Http::new(server.url());
    subscribe(&http, DOWN, "Down", &format!("http://127.0.0.1:{}/notify", free_port())).await;
    change(&http, 3).await;
    until_dead(&http, DOWN, (3, 3)).await;
    let purge = |arguments: &[&str]| {
        let all = [&["dead-letters", "purge"][..], arguments].concat();
        let purged = ask(&server, &all);
        (purged.code, purged.stdout.trim().to_owned())
    };
    let nothing = (Some(0), "0 letters thrown away".to_owned());
    assert_eq!(purge(&["--older-than", "1h"]), nothing);
    assert_eq!(purge(&["--subscription", FINE]), nothing);
    assert_eq!(purge(&[]).0, Some(2), "nothing is meant, so nothing is thrown away");
    assert_eq!(purge(&["all", "--subscription", DOWN]).0, Some(2));
    let (code, said) = purge(&["--subscription", DOWN]);
    assert_eq!((code, said.ends_with("thrown away")), (Some(0), true), "{said}");
    assert_ne!((code, said), nothing);
    change(&http, 1).await;
    until_dead(&http, DOWN, (4, 1)).await;
    assert_eq!(server.stop().0, Some(0));

    let settings = [("MUSUBI_DEAD_LETTERS_KEEP", "10ms"), ("MUSUBI_LOG_FORMAT", "json")];
    let server = serve(folder.path(), &settings);
    let http = Http::new(server.url());
    until("old letters are thrown away", async || {
        let letters = http.get(LETTERS).await.json();
        (letters["deadLetters"] == json!([])).then_some(())
    })
    .await;
    assert_eq!(ledger(&http, DOWN).await["dead"], 4, "they were, all the same");
    let said = until("it is said", async || {
        server.complaints().into_iter().find(|line| line.contains("old dead letters"))
    })
    .await;
    assert!(said.contains("\"letters\":1"), "{said}");
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn help_shows_examples() {
    for command in [
        &["subscriptions"][..],
        &["dead-letters", "list"],
        &["dead-letters", "show"],
        &["dead-letters", "replay"],
        &["dead-letters", "purge"],
    ] {
        let help = musubi(&[command, &["--help"]].concat());
        assert_eq!(help.code, Some(0));
        assert!(help.stdout.contains("Examples:"), "{command:?}: {}", help.stdout);
    }
    assert_eq!(musubi(&["dead-letters", "replay"]).code, Some(2));
}
