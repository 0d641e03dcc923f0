//! How long what is kept of the past, as the configuration says it: what is old is not shown, counts
//! in aggregates, and the answer says so.

use std::process::Command;

use musubi_tests::{Http, Musubi, binary};
use serde_json::json;

const CONFIGURATION: &str = "[history]\nkeep = \"30d\"\n[[history.retention]]\ntype = \"Room\"\n\
                             attribute = \"temperature\"\nkeep = \"1d\"\nhourly = \"forever\"\n";

const ID: &str = "urn:ngsi-ld:Room:1";
const LATE: &str = "2020-05-01T10:20:00Z";

#[tokio::test]
async fn an_answer_without_what_is_old_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("musubi.toml"), CONFIGURATION).expect("a file");
    let mut command = Command::new(binary());
    command.current_dir(folder.path()).args(["serve", "--listen", "127.0.0.1:0"]);
    let server = Musubi::start(&mut command);
    let http = Http::new(server.url());
    let temperature =
        |value: u32, time: &str| json!({ "type": "Property", "value": value, "observedAt": time });
    let body = json!({
        "id": ID,
        "type": "Room",
        "temperature": [
            temperature(10, LATE),
            temperature(20, "2020-05-01T10:40:00Z"),
            temperature(30, "2999-01-01T00:00:00Z"),
        ],
    });
    let created = http.post("/ngsi-ld/v1/temporal/entities", &body).await;
    assert_eq!(created.status, 201, "{}", created.text);

    let path = format!("/ngsi-ld/v1/temporal/entities/{ID}");
    let answer = http.get(&path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let left = answer.json()["temperature"].clone();
    assert_eq!(left.as_array().map(Vec::len), Some(1), "{left}");
    assert_eq!(left[0]["value"], 30, "{left}");
    let warning = answer.header("NGSILD-Warning");
    assert!(warning.starts_with("199 musubi \"values of before 20"), "{warning}");

    let hours = format!(
        "{path}?timerel=before&timeAt=2021-01-01T00:00:00Z&aggrMethods=avg,totalCount\
         &aggrPeriodDuration=PT1H&options=aggregatedValues"
    );
    let answer = http.get(&hours).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let hour = json!([[15, "2020-05-01T10:00:00Z", "2020-05-01T11:00:00Z"]]);
    assert_eq!(answer.json()["temperature"]["avg"], hour, "{}", answer.text);
    assert!(!answer.header("NGSILD-Warning").is_empty());

    let later = format!("{path}?timerel=after&timeAt=2998-01-01T00:00:00Z");
    let answer = http.get(&later).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("NGSILD-Warning"), "", "nothing of that time is gone");
    assert_eq!(server.stop().0, Some(0));
}
