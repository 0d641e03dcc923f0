//! The notifier beside a plain model of it, whatever is done in whatever order, and however often
//! it is killed.

use std::collections::BTreeMap;

use musubi_model::Tenant;
use musubi_notify::NotifierOptions;
use musubi_store::RecordKind;
use proptest::prelude::*;
use serde_json::json;

use crate::receiver::{Receiver, witness};
use crate::town::{Running, Town, at_most, id, ledger, quick, to};

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    /// So many changes.
    Write(u8),
    Subscribe(u8),
    Unsubscribe(u8),
    Pause(u8),
    Resume(u8),
    /// The subscription goes to the other receiver, with that many changes in a notification.
    Move(u8, usize),
    /// A receiver refuses everything for a while, or works again.
    Fail(usize),
    Work(usize),
    /// The notifier gets some turns.
    Turns(u8),
    CatchUp,
    Settle,
    Kill,
    Stop,
}

fn step() -> impl Strategy<Value = Step> {
    let subscription = 0..3_u8;
    prop_oneof![
        6 => (1..12_u8).prop_map(Step::Write),
        3 => subscription.clone().prop_map(Step::Subscribe),
        1 => subscription.clone().prop_map(Step::Unsubscribe),
        1 => subscription.clone().prop_map(Step::Pause),
        2 => subscription.clone().prop_map(Step::Resume),
        2 => (subscription, 1..6_usize).prop_map(|(n, most)| Step::Move(n, most)),
        2 => (0..2_usize).prop_map(Step::Fail),
        2 => (0..2_usize).prop_map(Step::Work),
        6 => any::<u8>().prop_map(Step::Turns),
        2 => Just(Step::CatchUp),
        1 => Just(Step::Settle),
        3 => Just(Step::Kill),
        1 => Just(Step::Stop),
    ]
}

/// What a subscription should be told.
#[derive(Clone, Debug)]
struct Wanted {
    /// Which of those that had its id.
    life: usize,
    is_active: bool,
    receiver: usize,
    due: Vec<u64>,
}

struct Trial {
    town: Town,
    receivers: Vec<Receiver>,
    options: NotifierOptions,
    running: Option<Running>,
    wanted: BTreeMap<u8, Wanted>,
    gone: Vec<(u8, Wanted)>,
    count: u64,
}

impl Trial {
    async fn new(options: NotifierOptions) -> Self {
        let (town, receivers) = (Town::new(), Receiver::start_many(2).await);
        let running = Some(town.run(options.clone()));
        let (wanted, gone) = (BTreeMap::new(), Vec::new());
        Self { town, receivers, options, running, wanted, gone, count: 0 }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    fn is_failing(&self) -> bool {
        self.receivers.iter().any(Receiver::is_failing)
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Write(number) => {
                for _ in 0..number {
                    self.town.write(self.count).await;
                    for wanted in self.wanted.values_mut().filter(|wanted| wanted.is_active) {
                        wanted.due.push(self.count);
                    }
                    self.count += 1;
                }
            }
            Step::Subscribe(n) => self.subscribe(n).await,
            Step::Unsubscribe(n) => {
                if let Some(wanted) = self.wanted.remove(&n) {
                    self.town.unsubscribe(&id(&n.to_string())).await;
                    self.gone.push((n, wanted));
                }
            }
            Step::Pause(n) => self.set_active(n, false).await,
            Step::Resume(n) => self.set_active(n, true).await,
            Step::Move(n, most) => self.move_away(n, most).await,
            Step::Fail(receiver) => self.receivers[receiver].fail(true),
            Step::Work(receiver) => self.receivers[receiver].fail(false),
            Step::Turns(number) => {
                for _ in 0..number {
                    tokio::task::yield_now().await;
                }
            }
            Step::CatchUp => {
                self.running().caught_up().await;
                self.check_due();
            }
            Step::Settle => {
                let is_held = self.wanted.values().any(|wanted| !wanted.is_active);
                if !self.is_failing() && !is_held {
                    self.running().settled().await;
                }
            }
            Step::Kill => {
                self.running.take().unwrap().kill().await;
                self.run_again();
            }
            Step::Stop => {
                self.running.take().unwrap().stop().await;
                self.run_again();
            }
        }
        let totals = self.running().notifications.totals();
        assert!(totals.is_balanced(), "{totals:?}");
    }

    fn run_again(&mut self) {
        // Never twice the same.
        let window = self.options.lane_window % 7 + 1;
        let save_results = self.options.save_results % 5 + 1;
        self.options =
            NotifierOptions { lane_window: window, save_results, ..self.options.clone() };
        self.running = Some(self.town.run(self.options.clone()));
    }

    fn url(&self, n: u8, wanted: &Wanted) -> String {
        self.receivers[wanted.receiver].url(&format!("/{n}-{}", wanted.life))
    }

    async fn subscribe(&mut self, n: u8) {
        if self.wanted.contains_key(&n) {
            return;
        }
        let life = self.gone.len();
        let wanted = Wanted { life, is_active: true, receiver: 0, due: Vec::new() };
        self.town.subscribe(&to(&n.to_string(), &self.url(n, &wanted))).await;
        self.wanted.insert(n, wanted);
    }

    async fn set_active(&mut self, n: u8, is_active: bool) {
        if let Some(wanted) = self.wanted.get_mut(&n) {
            wanted.is_active = is_active;
            self.town.patch(&id(&n.to_string()), &json!({"isActive": is_active})).await;
        }
    }

    async fn move_away(&mut self, n: u8, most: usize) {
        let Some(wanted) = self.wanted.get_mut(&n) else { return };
        wanted.receiver = 1 - wanted.receiver;
        let url = self.url(n, &self.wanted[&n]);
        let body = at_most(most, to(&n.to_string(), &url));
        let change = json!({"notification": body["notification"]});
        self.town.patch(&id(&n.to_string()), &change).await;
    }

    /// What is due is a function of the log, and known when that has been read.
    fn check_due(&self) {
        let gone = self.gone.iter().map(|(_, wanted)| wanted);
        let due: usize = self.wanted.values().chain(gone).map(|wanted| wanted.due.len()).sum();
        let totals = self.running().notifications.totals();
        assert_eq!(totals.due, u64::try_from(due).unwrap());
        for (n, wanted) in &self.wanted {
            let found = self.running().ledger(&id(&n.to_string()));
            assert!(found.is_balanced(), "{found:?}");
            assert_eq!(found.due, u64::try_from(wanted.due.len()).unwrap(), "{n}");
        }
    }

    fn witnessed(&self, n: u8, wanted: &Wanted) -> Vec<u64> {
        let path = format!("/{n}-{}", wanted.life);
        let arrivals = self.receivers.iter().flat_map(|receiver| receiver.arrivals(&path));
        let mut arrivals: Vec<_> = arrivals.collect();
        arrivals.sort_by_key(|arrival| arrival.number);
        witness(&arrivals)
    }

    async fn end(mut self) {
        for receiver in 0..2 {
            self.take(Step::Work(receiver)).await;
        }
        for n in 0..3 {
            self.take(Step::Resume(n)).await;
        }
        self.running().settled().await;
        self.check_due();
        for (n, wanted) in &self.wanted {
            assert_eq!(self.witnessed(*n, wanted), wanted.due, "{n}");
            let due = u64::try_from(wanted.due.len()).unwrap();
            assert_eq!(self.running().ledger(&id(&n.to_string())), ledger([due, 0, 0, 0]));
        }
        for (n, wanted) in &self.gone {
            let witnessed = self.witnessed(*n, wanted);
            assert!(wanted.due.starts_with(&witnessed), "{n}: {witnessed:?} of {:?}", wanted.due);
        }
        assert!(self.town.records(RecordKind::Outbox).await.is_empty());
        let before = self.running().notifications.totals();
        self.take(Step::Kill).await;
        self.running().settled().await;
        assert_eq!(self.running().notifications.totals(), before);
        let live = self.wanted.keys().map(|n| self.running().ledger(&id(&n.to_string())).due);
        let live: u64 = live.sum();
        let tenant = Tenant::default();
        for (n, _) in self.gone.iter().filter(|(n, _)| !self.wanted.contains_key(n)) {
            let found = self.running().notifications.ledger(&tenant, &id(&n.to_string()));
            assert_eq!(found, None);
        }
        assert!(live <= before.due);
    }
}

fn options() -> impl Strategy<Value = NotifierOptions> {
    (1..6_usize, 1..9_usize, 1..9_usize, 1..6_usize).prop_map(
        |(window, changes, pairs, results)| NotifierOptions {
            lane_window: window,
            batch_changes: changes,
            batch_pairs: pairs,
            save_results: results,
            attempts: u32::MAX,
            ..quick()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_each_gets_what_is_due_to_it_and_the_ledger_says_so(
        options in options(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut trial = Trial::new(options).await;
            for step in steps {
                trial.take(step).await;
            }
            trial.end().await;
        });
    }
}
