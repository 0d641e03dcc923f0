//! A broker in memory, for trying things out: `cargo run -p musubi-http --example plain -- 1026`.
//!
//! It has the whole API, notifications included, and keeps nothing: when it ends, all is gone.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use musubi_broker::{Broker, BrokerOptions, StreamOptions, WriteRules};
use musubi_context::{Contexts, ContextsOptions};
use musubi_http::{Hosts, HttpOptions, ServeOptions, router, serve};
use musubi_model::SystemClock;
use musubi_notify::{Notifier, NotifierOptions};
use musubi_outbound::{Client, Guard};
use musubi_store::{ReferenceHistory, ReferenceStore, Store};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => 1026,
    };
    let store: Arc<dyn Store> = Arc::new(ReferenceStore::new());
    let client = Client::guarded(Guard::default());
    let clock = Arc::new(SystemClock);
    let contexts = Contexts::new(ContextsOptions {
        client: Some(client.clone()),
        ..ContextsOptions::default()
    })?;
    let (notifier, notifications) =
        Notifier::new(NotifierOptions::default(), store.clone(), client, clock.clone());
    let broker = Broker::new(BrokerOptions {
        history: Some(Arc::new(ReferenceHistory::new(store.clone()))),
        store,
        contexts,
        notifications,
        clock,
        replay: None,
        attempts: BrokerOptions::ATTEMPTS,
        log_kept: BrokerOptions::LOG_KEPT,
        streams: StreamOptions::default(),
        rules: WriteRules::default(),
    });
    let options = HttpOptions { hosts: Hosts::LoopbackAnd(Vec::new()), ..HttpOptions::default() };
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    eprintln!("listening http://{}", listener.local_addr()?);
    let stop = || async {
        // Without a signal to wait for, the program runs until it is killed.
        let _ = tokio::signal::ctrl_c().await;
    };
    let serving = serve(listener, router(broker, options), ServeOptions::default(), stop());
    let (served, ended) = tokio::join!(serving, notifier.run(stop()));
    served?;
    ended?;
    Ok(())
}
