//! Mapping files that cannot be used.

use crate::support::Town;

const FILE: &str = "[source]\nkind = \"file\"\npath = \"tables\"\n";
const PUSH: &str = "[source]\nkind = \"http_push\"\n";
const SNAPSHOT: &str = "[map]\npreset = \"shelter-snapshot\"\n";
const REPORTS: &str = "[map]\npreset = \"shelter-reports\"\n";

#[test]
fn a_mapping_that_asks_for_something_else_is_refused_with_a_sentence() {
    let town = Town::new();
    let check = |text: &[&str], expected: &str| {
        let error = town.adapter(&text.concat()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("shelters.toml"), "{error}");
    };
    check(&[FILE], "shelters come from kind = \"file\"");
    check(&[FILE, REPORTS], "shelters come from kind = \"file\"");
    check(&[PUSH, SNAPSHOT], "shelters come from kind = \"file\"");
    check(&[PUSH, "[map]\npreset = \"gbfs-stations\"\n"], "shelters come from");
    check(&["[source]\nkind = \"gbfs\"\nurl = \"x\"\n", SNAPSHOT], "shelters come from");
    check(&[FILE, "[decode]\nformat = \"json\"\n", SNAPSHOT], "tables of shelters are \"csv\"");
    check(&[PUSH, "[decode]\nformat = \"csv\"\n", REPORTS], "what is posted is \"json\"");
    check(&[FILE, SNAPSHOT, "vehicles = true\n"], "vehicles");
    check(&[FILE, "[[filter]]\nwhen = \"true\"\n", SNAPSHOT], "[[filter]]");
    check(&[FILE, SNAPSHOT, "[[entity]]\ntype = \"A\"\nid = \"urn:a:1\"\n"], "[[entity]]");
    check(&[FILE, SNAPSHOT, "[change]\nignore = [\"a b\"]\n"], "[change] ignore");
    let url = |url: &str| format!("[source]\nkind = \"file\"\nurl = {url:?}\n");
    check(&[&url("not an address"), SNAPSHOT], "source.url is no address");
    check(&[&url("file:///etc/passwd"), SNAPSHOT], "source.url is http or https");
    check(&["[source]\nkind = \"file\"\n", SNAPSHOT], "either path or url");
}

#[tokio::test]
async fn an_adapter_says_what_it_is() {
    let town = Town::new();
    let text = format!("name = \"tables\"\ntenant = \"city\"\n{FILE}{SNAPSHOT}");
    let adapter = town.adapter(&text).unwrap();
    let status = adapter.status();
    assert_eq!((adapter.name(), adapter.tenant().as_str()), ("tables", "city"));
    assert_eq!((&status["name"], &status["kind"]), (&"tables".into(), &"file".into()));
    assert_eq!(status["tenant"], "city");
    let posts = town.posts();
    assert_eq!(posts.status()["kind"], "http_push");
    let error = posts.run_once().await.unwrap_err();
    assert_eq!(error.to_string(), "doors: what is posted cannot be worked through once");
}
