//! The part of the notifier that minds the clock: ticks, beginnings, and silence.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use musubi_model::{Cause, Entity, EntityChange, EntityId, Sequence, Tenant, Timestamp};
use musubi_store::{Change, RecordKind, Subject};
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use crate::engine::account::AccountKey;
use crate::engine::notifier::{State, Wake};
use crate::engine::start::Pages;
use crate::occasions::gather::{Gathering, gather};
use crate::occasions::schedule::{Schedule, Timetable};
use crate::occasions::silence::{Silence, SilenceWatch, Told};
use crate::occasions::silences::{End, MOST_WATCHED, Sign, Silences};
use crate::occasions::{Occasion, OccasionKind};
use crate::{NotifyError, Status, Subscription};

/// How many occasions come at once before anything else gets its turn.
const AT_ONCE: usize = 256;

/// The shortest wait for a clock that has almost reached a moment.
const LEAST_PAUSE: Duration = Duration::from_millis(1);

/// How long to wait when the store does not give the entities.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How often it is written down that the notifier is alive while there are watches for silence,
/// so that it knows after a kill how long it was away.
const HEARTBEAT: Duration = Duration::from_mins(1);

/// What is due at a time and not because of a change.
#[derive(Debug, Default)]
pub(crate) struct Occasions {
    timetable: Timetable,
    silences: Silences,
    /// The looks for the entities of new watches, the first of which is under way.
    surveys: BTreeMap<AccountKey, Gathering>,
    /// Not to be gone on with before.
    survey_after: Option<Instant>,
    /// Silence is told up to this moment once the log has been read up to that change: what came
    /// in before the moment may be among it.
    hearing: Option<(Timestamp, Sequence)>,
    /// When the notifier wakes by itself for all this.
    planned: Option<Instant>,
    /// When the notifier was last known to be alive before it began, and when it began.
    pub(crate) alive: Option<Timestamp>,
    began: Timestamp,
    beat_at: Option<Instant>,
    /// Whether it was said that there are too many entities.
    is_full: bool,
}

impl State<'_> {
    /// Takes up what the subscriptions that were loaded wait for.
    pub(crate) async fn load_watches(&mut self) -> Result<(), NotifyError> {
        self.occasions.began = self.clock.now();
        let mut told = self.load_silences().await?;
        let keys: Vec<_> = self.accounts.keys().cloned().collect();
        for key in keys {
            self.put_on_timetable(&key);
            let told = told.remove(&key).unwrap_or_default();
            self.watch_silence(&key, told);
        }
        for (key, told) in told {
            for (entity, _) in told {
                self.keep_silence(&key, &entity, None);
            }
        }
        Ok(())
    }

    async fn load_silences(
        &mut self,
    ) -> Result<FxHashMap<AccountKey, Vec<(EntityId, Told)>>, NotifyError> {
        let mut told = FxHashMap::<_, Vec<_>>::default();
        let mut pages = Pages::new(RecordKind::Silence, "", 500);
        while let Some(records) = pages.next(self).await? {
            for record in records {
                match serde_json::from_slice::<Silence>(&record.value) {
                    Ok(silence) => {
                        let key =
                            AccountKey { tenant: record.key.tenant, id: silence.subscription };
                        told.entry(key).or_default().push((silence.entity, silence.told));
                    }
                    Err(error) => {
                        let key = &record.key.key;
                        tracing::error!(%error, key, "the record of a silence is unreadable");
                    }
                }
            }
        }
        Ok(told)
    }

    /// A subscription came into force.
    pub(crate) fn begin_occasions(&mut self, key: &AccountKey) {
        let Some(account) = self.accounts.get_mut(key) else { return };
        let subscription = Arc::clone(&account.applied.subscription);
        let at = subscription.created_at();
        account.book.ticked = subscription.time_interval().map(|_| at);
        self.put_on_timetable(key);
        self.watch_silence(key, Vec::new());
        if subscription.initial_notification() && subscription.status(at) == Status::Active {
            self.occur(key, Occasion { at, kind: OccasionKind::Initial });
        }
    }

    /// A subscription was changed from what it was `before`.
    pub(crate) fn change_occasions(&mut self, key: &AccountKey, before: &Subscription) {
        let Some(account) = self.accounts.get_mut(key) else { return };
        let subscription = Arc::clone(&account.applied.subscription);
        if subscription.time_interval() != before.time_interval() {
            account.book.ticked = Some(subscription.modified_at());
            self.touch(key);
        }
        self.put_on_timetable(key);
        if self.is_same_silence(key, &subscription, before) {
            return;
        }
        let told = self.occasions.silences.end(key);
        if subscription.silent_for().is_some() {
            self.watch_silence(key, told);
        } else {
            self.forget_silences(key, told);
        }
    }

    /// Whether what was changed of a subscription has nothing to do with the silence that it waits
    /// for.
    fn is_same_silence(
        &self,
        key: &AccountKey,
        subscription: &Subscription,
        before: &Subscription,
    ) -> bool {
        let now = self.clock.now();
        subscription.silent_for() == before.silent_for()
            && subscription.status(now) == Status::Active
            && before.status(now) == Status::Active
            && before.query.as_ref().map(|query| &query.text)
                == subscription.query.as_ref().map(|query| &query.text)
            && self.occasions.silences.has_same(key, subscription)
    }

    /// A subscription is gone.
    pub(crate) fn end_occasions(&mut self, key: &AccountKey) {
        self.occasions.timetable.remove(key);
        let told = self.occasions.silences.end(key);
        self.forget_silences(key, told);
    }

    fn forget_silences(&mut self, key: &AccountKey, told: Vec<(EntityId, Told)>) {
        for (entity, _) in told {
            self.keep_silence(key, &entity, None);
        }
    }

    fn put_on_timetable(&mut self, key: &AccountKey) {
        let Some(account) = self.accounts.get(key) else { return };
        let now = self.clock.now();
        let subscription = &account.applied.subscription;
        let interval = subscription.time_interval().map(micros);
        match interval.filter(|_| subscription.status(now) != Status::Expired) {
            Some(interval) => {
                let anchor = account.book.ticked.unwrap_or(subscription.created_at());
                let schedule = Schedule::new(anchor, interval);
                self.occasions.timetable.put(key.clone(), schedule, now);
            }
            None => self.occasions.timetable.remove(key),
        }
    }

    /// Begins to watch for silence, if the subscription asks for it. While it is paused, only what
    /// it was told is kept.
    fn watch_silence(&mut self, key: &AccountKey, told: Vec<(EntityId, Told)>) {
        let Some(account) = self.accounts.get(key) else { return };
        let now = self.clock.now();
        let subscription = &account.applied.subscription;
        let Some(patience) = subscription.silent_for().map(micros) else { return };
        let not_before = self.occasions.not_before(patience).max(subscription.modified_at());
        let watch = SilenceWatch::new(patience, not_before, told);
        self.occasions.silences.begin(key, subscription, watch);
        self.occasions.surveys.remove(key);
        if subscription.status(now) == Status::Active {
            let pages = gather(&self.store, &account.applied, now);
            self.occasions.surveys.insert(key.clone(), pages);
        }
    }

    /// Hears of a change, which is a sign of life to these subscriptions, ordered by id.
    pub(crate) fn hear(&mut self, logged: &Change, alive: &[Arc<Subscription>]) {
        let Subject::Entity(change) = &logged.subject else { return };
        if !self.occasions.minds_silence() {
            return;
        }
        let (tenant, time) = (&logged.tenant, logged.time);
        let watchers = self.occasions.silences.watchers(tenant, &change.id);
        if logged.cause == Cause::Expiry {
            for key in watchers {
                self.listen(&key, (change, time), Sign::Expiry);
            }
            return;
        }
        for key in watchers {
            let is_active = self
                .accounts
                .get(&*key)
                .is_some_and(|account| account.applied.subscription.status(time) == Status::Active);
            if is_active && alive.binary_search_by(|it| it.id().cmp(&key.id)).is_err() {
                self.listen(&key, (change, time), Sign::None);
            }
        }
        for subscription in alive {
            let key = AccountKey { tenant: tenant.clone(), id: subscription.id().clone() };
            self.listen(&key, (change, time), Sign::Alive);
        }
    }

    fn listen(&mut self, key: &AccountKey, change: (&EntityChange, Timestamp), sign: Sign) {
        let entity = &change.0.id;
        let end = self.occasions.silences.listen(key, change, sign);
        self.end_silence(key, entity, end);
    }

    /// Tells and keeps what became of an entity that was silent.
    fn end_silence(&mut self, key: &AccountKey, entity: &EntityId, end: Option<End>) {
        match end {
            None => {}
            Some(End::Forgotten) => self.keep_silence(key, entity, None),
            Some(End::Returned(told, at)) => {
                let (entity, since) = (entity.clone(), told.since);
                self.keep_silence(key, &entity, None);
                self.occur(key, Occasion { at, kind: OccasionKind::Returned { entity, since } });
            }
        }
    }

    /// Keeps, or no longer keeps, that a subscription was told of an entity's silence.
    fn keep_silence(&mut self, key: &AccountKey, entity: &EntityId, told: Option<Told>) {
        let silence =
            told.map(|told| Silence { subscription: key.id.clone(), entity: entity.clone(), told });
        // Times and text: nothing that JSON cannot hold.
        let value = silence.map(|it| Arc::from(serde_json::to_vec(&it).unwrap_or_default()));
        let name: (Tenant, String) = (key.tenant.clone(), Silence::key(&key.id, entity));
        self.unsaved.silences.insert(name, value);
        self.save_within(self.options.cursor_delay);
    }

    /// Does what its time has come for, and plans when to look again.
    pub(crate) async fn mind_occasions(&mut self) {
        let now = self.clock.now();
        self.tick(now);
        self.tell_silence(now);
        self.survey().await;
        self.beat();
        self.mind_the_limit();
        self.plan_occasions(now);
    }

    fn tick(&mut self, now: Timestamp) {
        for (key, at) in self.occasions.timetable.take(now, AT_ONCE) {
            let Some(account) = self.accounts.get_mut(&key) else { continue };
            match account.applied.subscription.status(now) {
                Status::Active => {
                    account.book.ticked = Some(at);
                    self.occur(&key, Occasion { at, kind: OccasionKind::Periodic });
                }
                Status::Paused => {}
                Status::Expired => self.occasions.timetable.remove(&key),
            }
        }
    }

    fn tell_silence(&mut self, now: Timestamp) {
        if self.occasions.hearing.is_none() {
            let is_time = self.occasions.silences.next().is_some_and(|at| at <= now);
            self.occasions.hearing = is_time.then(|| (now, *self.store.newest().borrow()));
        }
        let Some((upto, newest)) = self.occasions.hearing else { return };
        if self.cursor < newest {
            return;
        }
        let silent = self.occasions.silences.tell(upto, AT_ONCE);
        if silent.len() < AT_ONCE {
            self.occasions.hearing = None;
        }
        for (key, entity, told) in silent {
            self.tell_of(&key, entity, told, now);
        }
    }

    fn tell_of(&mut self, key: &AccountKey, entity: EntityId, told: Told, now: Timestamp) {
        let Some(account) = self.accounts.get(key) else { return };
        if account.applied.subscription.status(now) == Status::Active {
            self.keep_silence(key, &entity, Some(told));
            let Told { since, at } = told;
            self.occur(key, Occasion { at, kind: OccasionKind::Silent { entity, since } });
        } else {
            // It has expired. Only what was told before this is kept, for the case that its end
            // is put off.
            let mut kept = self.occasions.silences.end(key);
            kept.retain(|(other, _)| *other != entity);
            self.watch_silence(key, kept);
        }
    }

    /// Looks at a page of the entities of a new watch.
    async fn survey(&mut self) {
        if self.occasions.survey_after.is_some_and(|at| at > Instant::now()) {
            return;
        }
        self.occasions.survey_after = None;
        let Some((key, mut pages)) = self.occasions.surveys.pop_first() else { return };
        match pages.next().await {
            Ok(Some(found)) => {
                self.find(&key, &found);
                self.occasions.surveys.insert(key, pages);
            }
            Ok(None) => {
                for entity in self.occasions.silences.all_found(&key) {
                    self.keep_silence(&key, &entity, None);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the notifier cannot read entities that may be silent");
                self.occasions.survey_after = Some(Instant::now() + LOOK_AGAIN);
                self.occasions.surveys.insert(key, pages);
            }
        }
    }

    fn find(&mut self, key: &AccountKey, found: &[Arc<Entity>]) {
        for entity in found {
            let end = self.occasions.silences.found(key, entity);
            self.end_silence(key, &entity.id, end);
        }
    }

    /// Says once that there are too many entities.
    fn mind_the_limit(&mut self) {
        let is_full = self.occasions.silences.is_full();
        if is_full && !self.occasions.is_full {
            tracing::error!(
                limit = MOST_WATCHED,
                "the silence of further entities is not noticed, because too many are watched"
            );
        }
        self.occasions.is_full = is_full;
    }

    /// Has it written down from time to time that the notifier is alive.
    fn beat(&mut self) {
        let now = Instant::now();
        let is_time = self.occasions.beat_at.is_none_or(|at| at <= now);
        if is_time && !self.occasions.silences.is_empty() {
            self.occasions.beat_at = Some(now + HEARTBEAT);
            self.save_within(Duration::ZERO);
        }
    }

    fn plan_occasions(&mut self, now: Timestamp) {
        let occasions = &self.occasions;
        let here = Instant::now();
        let next = match occasions.hearing {
            // It goes on when the log has been read, or at once if there is more to tell.
            Some((_, newest)) => (self.cursor >= newest).then_some(now),
            None => occasions.silences.next(),
        };
        let next = [next, occasions.timetable.next()].into_iter().flatten().min();
        let next = next.map(|at| {
            let ahead = at.as_micros().saturating_sub(now.as_micros());
            let pause = Duration::from_micros(u64::try_from(ahead).unwrap_or_default());
            // A clock may jump; whoever sweeps looks again anyway.
            here + pause.clamp(LEAST_PAUSE, self.options.sweep.max(LEAST_PAUSE))
        });
        let survey =
            (!occasions.surveys.is_empty()).then(|| occasions.survey_after.unwrap_or(here));
        let Some(at) = [next, survey].into_iter().flatten().min() else { return };
        if occasions.planned.is_none_or(|planned| at < planned) {
            self.occasions.planned = Some(at);
            self.wake_at(at, Wake::Occasions);
        }
    }

    /// It woke for this.
    pub(crate) fn wake_occasions(&mut self) {
        let now = Instant::now();
        self.occasions.planned = self.occasions.planned.filter(|at| *at > now);
    }
}

impl Occasions {
    /// Whether a subscription waits for silence.
    pub(crate) fn minds_silence(&self) -> bool {
        !self.silences.is_empty()
    }

    /// The moment before which no silence is told after a start: what could not be written while
    /// the notifier, and most likely the broker with it, was away, is given as long again to
    /// come in, and no longer than the silence that is waited for.
    fn not_before(&self, patience: i64) -> Timestamp {
        let began = self.began.as_micros();
        let away = self.alive.map_or(i64::MAX, |alive| began.saturating_sub(alive.as_micros()));
        self.began.plus_micros(away.clamp(0, patience))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
