//! Subscriptions that come, change and go at random.

use musubi_tests::Http;
use rand::RngExt as _;
use rand::rngs::StdRng;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::receivers::Receivers;
use crate::writers::{TYPES, Writers};

/// One change of one subscription for so many acknowledged changes of entities.
const PACE: u64 = 40;

/// Subscriptions to everything whose receiver is away.
const FAR: usize = 4;

/// The first of them, which nobody touches.
pub(crate) const FARTHEST: &str = "far0";

/// The id of a subscription of this name, which is also what its receiver knows it by.
pub(crate) fn id(name: &str) -> String {
    format!("urn:ngsi-ld:Subscription:{name}")
}

/// Who changes subscriptions.
pub(crate) struct Churn {
    receivers: Receivers,
    random: StdRng,
    next: u64,
    /// The names of those that may be there.
    names: Vec<String>,
    /// The names of those that may have been deleted.
    gone: Vec<String>,
}

impl Churn {
    pub(crate) fn new(receivers: Receivers, random: StdRng) -> Self {
        Self { receivers, random, next: 0, names: Vec::new(), gone: Vec::new() }
    }

    /// Creates a subscription, and insists.
    pub(crate) async fn create(&mut self, http: &Http) {
        let body = self.subscription();
        let answer = http.post("/ngsi-ld/v1/subscriptions", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }

    /// Creates those that are far behind all the time.
    pub(crate) async fn create_far(&self, http: &Http) {
        for number in 0..FAR {
            let body = self.far(&format!("far{number}"));
            let answer = http.post("/ngsi-ld/v1/subscriptions", &body).await;
            assert_eq!(answer.status, 201, "{}", answer.text);
        }
    }

    /// A subscription to all changes.
    fn far(&self, name: &str) -> Value {
        let types: Vec<_> = (0..TYPES).map(|kind| format!("Thing{kind}")).collect();
        let uri = self.receivers.url(Receivers::AWAY, name);
        json!({
            "id": id(name),
            "type": "Subscription",
            "entities": [{ "type": types.join(",") }],
            "notification": {
                "format": "simplified", "endpoint": { "uri": uri, "timeout": 300 },
            },
        })
    }

    /// Deletes one that is far behind, and creates another one of the same id.
    async fn replace_far(&mut self, http: &Http) {
        let name = format!("far{}", self.random.random_range(1..FAR));
        let path = format!("/ngsi-ld/v1/subscriptions/{}", id(&name));
        ask(http, Method::DELETE, &path, None).await;
        ask(http, Method::POST, "/ngsi-ld/v1/subscriptions", Some(&self.far(&name))).await;
    }

    /// Goes on for as long as entities change.
    pub(crate) async fn run(
        mut self,
        mut whereabouts: watch::Receiver<Option<Http>>,
        writers: Writers,
    ) {
        let (mut acknowledged, stopped) = (writers.acknowledged(), writers.stopped());
        loop {
            let next = *acknowledged.borrow() + PACE;
            let wait = acknowledged.wait_for(|count| *count >= next);
            if stopped.run_until_cancelled(wait).await.is_none() {
                return;
            }
            let Ok(http) = whereabouts.wait_for(Option::is_some).await.map(|it| it.clone()) else {
                return;
            };
            if let Some(http) = http {
                self.change_one(&http).await;
            }
        }
    }

    async fn change_one(&mut self, http: &Http) {
        if self.random.random_range(0..16) == 0 {
            return self.replace_far(http).await;
        }
        let chosen = self.random.random_range(0..self.names.len());
        let path = format!("/ngsi-ld/v1/subscriptions/{}", id(&self.names[chosen]));
        let (method, path, body) = match self.random.random_range(0..10) {
            0 => (Method::POST, "/ngsi-ld/v1/subscriptions".to_owned(), Some(self.subscription())),
            1 => {
                let name = self.names.swap_remove(chosen);
                self.gone.push(name);
                (Method::DELETE, path, None)
            }
            2 | 3 => (Method::PATCH, path, Some(json!({ "isActive": false }))),
            4 | 5 => (Method::PATCH, path, Some(json!({ "isActive": true }))),
            6 => (Method::PATCH, path, Some(json!({ "q": self.query() }))),
            7 => (Method::PATCH, path, Some(json!({ "q": "urn:ngsi-ld:null" }))),
            8 => {
                let body =
                    json!({ "notification": self.notification(&self.names[chosen].clone()) });
                (Method::PATCH, path, Some(body))
            }
            _ => (Method::PATCH, path, Some(json!({ "entities": [self.selector()] }))),
        };
        ask(http, method, &path, body.as_ref()).await;
    }

    fn subscription(&mut self) -> Value {
        let name = self.name();
        let notification = self.notification(&name);
        let mut body = json!({
            "id": id(&name),
            "type": "Subscription",
            "entities": [self.selector()],
            "watchedAttributes": ["count"],
            "notification": notification,
        });
        if self.random.random_range(0..4) == 0 {
            body["q"] = self.query().into();
        }
        if self.random.random_range(0..8) == 0 {
            body["throttling"] = json!(0.05);
        }
        self.names.push(name);
        body
    }

    /// A new name, or that of one that was deleted.
    fn name(&mut self) -> String {
        if !self.gone.is_empty() && self.random.random_range(0..2) == 0 {
            let chosen = self.random.random_range(0..self.gone.len());
            return self.gone.swap_remove(chosen);
        }
        self.next += 1;
        format!("s{}", self.next)
    }

    fn notification(&mut self, name: &str) -> Value {
        let receiver = self.random.random_range(0..Receivers::COUNT);
        let uri = self.receivers.url(receiver, name);
        json!({ "format": "simplified", "endpoint": { "uri": uri, "timeout": 300 } })
    }

    fn selector(&mut self) -> Value {
        let kind = self.random.random_range(0..TYPES);
        match self.random.random_range(0..4) {
            0 => json!({ "type": format!("Thing{kind},Thing{}", (kind + 1) % TYPES) }),
            1 => {
                json!({ "type": format!("Thing{kind}"), "idPattern": "^urn:ngsi-ld:Thing:[0-3]-" })
            }
            _ => json!({ "type": format!("Thing{kind}") }),
        }
    }

    fn query(&mut self) -> String {
        let level = self.random.random_range(0..10);
        if self.random.random_range(0..2) == 0 {
            format!("level=={level}")
        } else {
            format!("level>{level}")
        }
    }
}

/// Asks for a change of subscriptions. If the server is killed in between, the log knows what has
/// happened.
async fn ask(http: &Http, method: Method, path: &str, body: Option<&Value>) {
    if let Ok(answer) = http.try_send(method.clone(), path, body).await {
        // What was sent to a server that was killed may have been done or not.
        let expected = matches!(answer.status, 201 | 204 | 404 | 409);
        assert!(expected, "{method} {path}: {} {}", answer.status, answer.text);
    }
}
