//! The notifier: one task that owns everything, and the deliveries that it sends out.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared as SharedFuture};
use musubi_model::{Clock, Sequence, Timestamp};
use musubi_outbound::Client;
use musubi_store::{Change, Store};
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::engine::account::{Account, AccountKey};
use crate::engine::aging::Aging;
use crate::engine::applied::CompiledContexts;
use crate::engine::chores::Chore;
use crate::engine::courier::Courier;
use crate::engine::notifications::Shared;
use crate::engine::persist::{MANY_BEHIND, Saving, Unsaved};
use crate::engine::reading::Readers;
use crate::engine::ticket::{Attempt, Ticket};
use crate::occasions::minding::Occasions;
use crate::queue::backoff::Backoff;
use crate::queue::endpoint::EndpointKey;
use crate::queue::outbox::Outbox;
use crate::queue::row::Batch;
use crate::queue::turns::{Bounds, Turns};
use crate::transport::transports::Transports;
use crate::{Ledger, Notifications, NotifierOptions, NotifyError, SubscriptionIndex};

/// Reads the change log, decides what is due to whom, and delivers it.
///
/// What is due is a function of the log. It is written to the store, together with the place in
/// the log up to which that holds, before anything is sent; what became of it is written soon
/// after. So a notifier that is killed and run again repeats at most what it did in
/// [`save_delay`](NotifierOptions::save_delay), with the same ids, and leaves nothing out.
#[derive(Debug)]
pub struct Notifier {
    options: NotifierOptions,
    store: Arc<dyn Store>,
    client: Client,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
}

impl Notifier {
    /// A notifier, and a handle on it. One store has one notifier at a time.
    pub fn new(
        options: NotifierOptions,
        store: Arc<dyn Store>,
        client: Client,
        clock: Arc<dyn Clock>,
    ) -> (Self, Notifications) {
        let shared = Arc::new(Shared::new(Arc::clone(&clock), options.ids));
        let notifications = Notifications(Arc::clone(&shared));
        (Self { options, store, client, clock, shared }, notifications)
    }

    /// Works until `shutdown` is there. Then it reads no more, waits
    /// [`grace`](NotifierOptions::grace) for deliveries under way, saves their results, and
    /// returns.
    ///
    /// A store that fails meanwhile is asked again; nothing new is sent until it answers.
    ///
    /// # Errors
    ///
    /// [`NotifyError::Store`] if the store does not answer at the beginning or at the end.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), NotifyError> {
        let stop = shutdown.boxed().shared();
        let newest = self.store.newest();
        let mut state = State::new(self, stop.clone());
        state.load().await?;
        state.shared.is_loaded.send_replace(true);
        state.work(newest, stop).await?;
        state.finish().await
    }
}

/// What to do when its time has come.
#[derive(Debug)]
pub(crate) enum Wake {
    /// Try again.
    Lane(AccountKey, u64),
    /// Probe the endpoint.
    Endpoint(EndpointKey),
    /// Look whether something is due at this time.
    Occasions,
}

/// Everything that a running notifier knows. One task owns it.
pub(crate) struct State<'s> {
    pub(crate) options: NotifierOptions,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) aging: Aging,
    pub(crate) shared: Arc<Shared>,
    pub(crate) courier: Arc<Courier>,
    pub(crate) stop: SharedFuture<BoxFuture<'s, ()>>,

    pub(crate) accounts: FxHashMap<AccountKey, Account>,
    pub(crate) index: SubscriptionIndex,
    pub(crate) contexts: CompiledContexts,
    pub(crate) turns: Turns,
    pub(crate) outbox: Outbox,
    /// What is due and in no row yet.
    pub(crate) batch: Batch,
    /// The subscriptions for which changes are pending.
    pub(crate) behind: FxHashSet<AccountKey>,
    /// Those of which others see something that is no longer so.
    pub(crate) stale: FxHashSet<AccountKey>,
    /// The sum over subscriptions that are no longer there.
    pub(crate) retired: Ledger,
    pub(crate) generation: u64,

    /// It is known what is due because of everything up to here.
    pub(crate) cursor: Sequence,
    /// The changes after that, as far as they have been read.
    pub(crate) ahead: VecDeque<Arc<Change>>,
    pub(crate) unsaved: Unsaved,
    pub(crate) saving: Option<Saving<'s>>,
    /// The number of the next group that is saved, and of the last one that has been.
    pub(crate) next_save: u64,
    pub(crate) saved: u64,
    /// See [`Cursor::alone`](crate::engine::persist::Cursor::alone).
    pub(crate) alone: usize,
    /// When it was last asked what is needed of the log.
    pub(crate) asked_at: Option<Instant>,
    /// Not to be read before.
    pub(crate) read_after: Option<Instant>,

    pub(crate) deliveries: JoinSet<Attempt>,
    pub(crate) tickets: FxHashMap<tokio::task::Id, Arc<Ticket>>,
    pub(crate) chores: VecDeque<Chore>,
    pub(crate) readers: Readers,
    pub(crate) occasions: Occasions,
    wakes: BTreeMap<(Instant, u64), Wake>,
    wake_count: u64,
    sweep_at: Instant,
    pub(crate) is_stopping: bool,
}

/// How long changes gather before they are read while there is no subscription: nobody waits for
/// them but the first one, which is itself read from the log, and to be woken by every commit would
/// cost the writers.
const GATHERING: Duration = Duration::from_millis(20);
/// Who is further behind than this reads on at once.
const MOST_GATHERED: u64 = 100;

/// How many ends of deliveries are looked at before anything else gets its turn.
pub(crate) const ENDS_AT_ONCE: usize = 256;

impl<'s> State<'s> {
    fn new(notifier: Notifier, stop: SharedFuture<BoxFuture<'s, ()>>) -> Self {
        let Notifier { options, store, client, clock, shared } = notifier;
        let courier = Courier {
            store: Arc::clone(&store),
            transports: Transports::new(client, Arc::clone(&clock)),
            clock: Arc::clone(&clock),
            timeout: options.timeout,
            ids: options.ids,
        };
        let bounds = Bounds {
            total: options.deliveries,
            per_endpoint: options.deliveries_per_endpoint,
            slow: options.slow,
        };
        let sweep_at = Instant::now() + options.sweep;
        let aging = Aging::new(clock.now());
        Self {
            options,
            store,
            clock,
            aging,
            shared,
            courier: Arc::new(courier),
            stop,
            accounts: FxHashMap::default(),
            index: SubscriptionIndex::default(),
            contexts: CompiledContexts::default(),
            turns: Turns::new(bounds),
            outbox: Outbox::default(),
            batch: Batch::default(),
            behind: FxHashSet::default(),
            stale: FxHashSet::default(),
            retired: Ledger::default(),
            generation: 0,
            cursor: Sequence(0),
            ahead: VecDeque::new(),
            unsaved: Unsaved::default(),
            saving: None,
            next_save: 1,
            saved: 0,
            alone: 0,
            asked_at: None,
            read_after: None,
            deliveries: JoinSet::new(),
            tickets: FxHashMap::default(),
            chores: VecDeque::new(),
            readers: Readers::default(),
            occasions: Occasions::default(),
            wakes: BTreeMap::new(),
            wake_count: 0,
            sweep_at,
            is_stopping: false,
        }
    }

    async fn work(
        &mut self,
        mut newest: watch::Receiver<Sequence>,
        stop: SharedFuture<BoxFuture<'s, ()>>,
    ) -> Result<(), NotifyError> {
        let mut is_closed = false;
        loop {
            self.do_chores().await?;
            self.mind_occasions().await;
            self.save_if_due();
            self.start_deliveries();
            // Whatever is waiting to be recorded before it is sent.
            self.save_if_due();
            self.show();
            let is_behind = self.cursor < *newest.borrow_and_update();
            let has_room = self.batch.pairs() < self.options.batch_pairs.max(1);
            let is_pausing = self.read_after.is_some();
            let may_read = is_behind && has_room && !is_pausing;
            let has_chores = !self.chores.is_empty();
            let wake_at = self.next_wake();
            tokio::select! {
                () = stop.clone() => return Ok(()),
                Some(ended) = self.deliveries.join_next_with_id() => {
                    self.end_delivery(ended);
                    for _ in 1..ENDS_AT_ONCE {
                        let Some(ended) = self.deliveries.try_join_next_with_id() else { break };
                        self.end_delivery(ended);
                    }
                }
                result = saved(&mut self.saving), if self.saving.is_some() => {
                    result?;
                    if let Some(saving) = self.saving.take() {
                        self.end_save(saving.done);
                    }
                }
                () = std::future::ready(()), if may_read => {
                    self.consume().await?;
                    self.gather(*newest.borrow());
                }
                () = std::future::ready(()), if has_chores => {}
                result = newest.changed(), if !is_behind && !is_closed && !is_pausing => {
                    is_closed = result.is_err();
                }
                () = sleep_until(wake_at) => self.wake(),
            }
        }
    }

    /// Waits for what is under way, and saves.
    async fn finish(&mut self) -> Result<(), NotifyError> {
        let deadline = Instant::now() + self.options.grace;
        while let Ok(Some(ended)) =
            tokio::time::timeout_at(deadline, self.deliveries.join_next_with_id()).await
        {
            self.end_delivery(ended);
        }
        self.deliveries.abort_all();
        // Nothing that is recorded now is sent any more.
        self.is_stopping = true;
        self.wait_for_save().await?;
        self.begin_save();
        self.wait_for_save().await?;
        self.show();
        Ok(())
    }

    /// The time now, for whoever asks next how old something is.
    pub(crate) fn look_at_clock(&mut self) -> Timestamp {
        let now = self.clock.now();
        if let Some(seconds) = self.aging.look(now) {
            tracing::warn!(seconds, "the clock has jumped; what is pending counts as new");
            self.save_within(self.options.cursor_delay);
        }
        now
    }

    /// How long to wait after failures.
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff { first: self.options.first_retry, longest: self.options.longest_retry }
    }

    /// Plans something for later.
    pub(crate) fn wake_at(&mut self, at: Instant, wake: Wake) {
        self.wake_count += 1;
        self.wakes.insert((at, self.wake_count), wake);
    }

    /// Does not read the log for a while.
    pub(crate) fn read_later(&mut self, pause: Duration) {
        self.read_after = Some(Instant::now() + pause);
    }

    /// Lets changes gather if nobody waits for them.
    fn gather(&mut self, newest: Sequence) {
        let left = newest.0.saturating_sub(self.cursor.0);
        if self.accounts.is_empty() && self.read_after.is_none() && left < MOST_GATHERED {
            self.read_later(GATHERING);
        }
    }

    fn next_wake(&self) -> Instant {
        let first = self.wakes.first_key_value().map(|((at, _), _)| *at);
        // What is to be saved waits for what is on its way.
        let save_at = self.unsaved.save_at.filter(|_| self.saving.is_none());
        let look_at = self.turns.look_at().filter(|_| !self.has_many_results());
        let others = [first, save_at, self.read_after, look_at];
        others.into_iter().flatten().fold(self.sweep_at, Instant::min)
    }

    fn wake(&mut self) {
        let now = Instant::now();
        self.read_after = self.read_after.filter(|at| *at > now);
        while let Some(entry) = self.wakes.first_entry() {
            if entry.key().0 > now {
                break;
            }
            match entry.remove() {
                Wake::Lane(key, generation) => self.retry(&key, generation),
                Wake::Endpoint(key) => self.turns.wake(&key, now),
                Wake::Occasions => self.wake_occasions(),
            }
        }
        if self.sweep_at <= now {
            self.sweep_at = now + self.options.sweep;
            self.sweep();
            if self.behind.len() > MANY_BEHIND {
                // What is needed of the log was perhaps not asked when it last changed.
                self.save_within(Duration::ZERO);
            }
        }
    }
}

/// Waits for the group on its way.
async fn saved(saving: &mut Option<Saving<'_>>) -> Result<(), NotifyError> {
    match saving {
        Some(saving) => saving.future.get_mut().await,
        None => Ok(()),
    }
}
