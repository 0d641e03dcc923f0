//! Who may connect, and what they may publish.

use argon2::password_hash::CustomizedPasswordHasher;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params};
use musubi_adapter_mqtt::{Limits, User, Users};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

use crate::gate::{Gate, run_with};
use crate::raw::{Raw, acknowledged_v4, acknowledged_v5, connect_v5, publish_v4, publish_v5};

fn users() -> Users {
    let user = |name: &str, password: &str| {
        let params = Params::new(8, 1, 1, None).unwrap();
        let hash: PasswordHash = Argon2::default()
            .hash_password_with_params(password.as_bytes(), b"a salt of 16 byt", params)
            .unwrap();
        let topics = vec!["/json/%u/#".to_owned()];
        (name.to_owned(), User { password: hash.to_string(), topics })
    };
    Users::new([user("north", "n0rth"), user("south", "s0uth")]).unwrap()
}

async fn login_v4(raw: &mut Raw, login: Option<(&str, &str)>) -> v4::ConnectReturnCode {
    let mut connect = v4::Connect::new("a");
    if let Some((name, password)) = login {
        connect.set_login(name, password);
    }
    raw.send_v4(&v4::Packet::Connect(connect)).await;
    let Some(v4::Packet::ConnAck(answer)) = raw.packet_v4().await else { panic!() };
    answer.code
}

async fn login_v5(raw: &mut Raw, name: &str, password: &str) -> v5::ConnectReturnCode {
    let login = Some(v5::Login::new(name, password));
    raw.send_v5(&v5::Packet::Connect(connect_v5("a"), None, login)).await;
    let Some(v5::Packet::ConnAck(answer)) = raw.packet_v5().await else { panic!() };
    answer.code
}

#[tokio::test]
async fn only_a_user_with_the_right_password_connects() {
    let gate = Gate::open();
    let running = run_with(&gate, users(), Limits::default()).await;
    let wrong = [None, Some(("north", "s0uth")), Some(("north", "")), Some(("west", "n0rth"))];
    for login in wrong {
        let mut raw = Raw::open(running.address).await;
        let code = login_v4(&mut raw, login).await;
        assert_eq!(code, v4::ConnectReturnCode::BadUserNamePassword, "{login:?}");
        assert!(raw.is_closed().await);
    }
    let mut raw = Raw::open(running.address).await;
    let code = login_v5(&mut raw, "south", "n0rth").await;
    assert_eq!(code, v5::ConnectReturnCode::BadUserNamePassword);
    assert_eq!(running.traffic.unauthenticated.get(), 5);
    for _ in 0..3 {
        let mut raw = Raw::open(running.address).await;
        assert_eq!(
            login_v4(&mut raw, Some(("north", "n0rth"))).await,
            v4::ConnectReturnCode::Success
        );
    }
}

#[tokio::test]
async fn a_message_to_the_topic_of_another_is_refused_and_the_client_stays() {
    let gate = Gate::open();
    let running = run_with(&gate, users(), Limits::default()).await;
    let mut old = Raw::open(running.address).await;
    login_v4(&mut old, Some(("north", "n0rth"))).await;
    old.send_v4(&publish_v4("/json/south/d/attrs", 1, "theirs")).await;
    old.send_v4(&publish_v4("/json/north/d/attrs", 2, "mine")).await;
    assert_eq!(old.packet_v4().await, Some(acknowledged_v4(1)));
    assert_eq!(old.packet_v4().await, Some(acknowledged_v4(2)));
    let mut new = Raw::open(running.address).await;
    login_v5(&mut new, "south", "s0uth").await;
    new.send_v5(&publish_v5("json/north/d/attrs", 1, "theirs")).await;
    let Some(v5::Packet::PubAck(answer)) = new.packet_v5().await else { panic!() };
    assert_eq!(answer.reason, v5::PubAckReason::NotAuthorized);
    new.send_v5(&publish_v5("json/south/d/attrs", 2, "mine")).await;
    assert_eq!(new.packet_v5().await, Some(acknowledged_v5(2)));
    assert_eq!(gate.taken(2).await, ["mine", "mine"]);
    assert_eq!(running.traffic.unauthorized.get(), 2);
}

#[tokio::test]
async fn nobody_ends_the_connection_of_another_user() {
    let gate = Gate::open();
    let running = run_with(&gate, users(), Limits::default()).await;
    let mut north = Raw::open(running.address).await;
    login_v4(&mut north, Some(("north", "n0rth"))).await;
    let mut south = Raw::open(running.address).await;
    login_v4(&mut south, Some(("south", "s0uth"))).await;
    north.send_v4(&publish_v4("/json/north/d/attrs", 1, "x")).await;
    assert_eq!(north.packet_v4().await, Some(acknowledged_v4(1)));
    assert_eq!(running.traffic.taken_over.get(), 0);
}
