//! The walks through the API in `examples/api/`, each run against a broker as its reader runs it.

use std::path::Path;
use std::process::Command;

use musubi_tests::{Http, Musubi, finish, program, python, repository};

/// Runs a walk twice, because a walk tidies up behind itself; gives what it printed.
fn walk(interpreter: &Path, name: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Musubi::serve(folder.path(), &[]);
    let script = repository().join("examples/api").join(name);
    for _ in 0..2 {
        let walked = finish(Command::new(interpreter).arg(&script).arg(server.url()));
        let said = format!("{}\n{}", walked.stdout, walked.stderr);
        assert_eq!(walked.code, Some(0), "{said}");
        assert!(walked.stdout.contains("# 12. ") && walked.stdout.contains("is done"), "{said}");
    }
}

#[test]
fn the_walk_with_curl_works() {
    let _ = program("curl");
    walk(Path::new(program("bash")), "walk.sh");
}

#[test]
fn the_walk_with_python_works() {
    walk(&python("requests", "requests==2.32.5"), "walk.py");
}

#[test]
fn the_walk_with_javascript_works() {
    walk(Path::new(program("node")), "walk.mjs");
}

#[tokio::test]
async fn a_walk_fails_where_the_broker_answers_something_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Musubi::serve(folder.path(), &[]);
    // A third station near the first: the walk expects to find what it made, and nothing else.
    let station = serde_json::json!({
        "id": "urn:ngsi-ld:Other:1", "type": "Other",
        "location": {"type": "Point", "coordinates": [136.968, 37.041]},
    });
    let http = Http::new(server.url()).tenant("walk").own_context();
    assert_eq!(http.post("/ngsi-ld/v1/entities", &station).await.status, 201);
    let walks = [
        (program("bash").into(), "walk.sh"),
        (python("requests", "requests==2.32.5"), "walk.py"),
        (program("node").into(), "walk.mjs"),
    ];
    for (interpreter, name) in walks {
        let script = repository().join("examples/api").join(name);
        let walked = finish(Command::new(&interpreter).arg(&script).arg(server.url()));
        assert_eq!(walked.code, Some(1), "{name}: {}\n{}", walked.stdout, walked.stderr);
        assert!(walked.stdout.contains("# 5. ") && !walked.stdout.contains("# 6. "), "{name}");
    }
}
