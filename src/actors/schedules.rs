//! The schedules: starts what the clock starts.
//!
//! In: word that workflows changed, and time. Out: runs and observations, each on disk before the store is told how far its
//! workflow has come. A round keeps nothing between two looks at the store, and everything in it may be done twice: ids come
//! from the workflow and the moment, or from the fact. So a restart neither repeats nor loses a fire, and several nodes could
//! each hold a part of the workflows, or for a moment the same.
//! Restarts: none; a round that breaks off is made again. When the actor itself fails the process ends and its restart recovers.

use std::time::Duration;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr};

use super::{
    appending::world,
    cluster::Ownership,
    leads::LeadsHandle,
    plans::Plans,
    runs::{RunError, RunsHandle, TriggeredStart},
};
use crate::{
    clock,
    domain::{ids::WorkflowId, observation::Observation, time::Timestamp},
    store::{Recorded, Store, schedules::Considered, workflows::WorkflowRow},
    workflows::{
        Plan,
        clockwork::{After, Clock, KINDS, Schedule, birthday, birthdays_between, clock_of, next_quarter},
        trigger,
    },
};

/// Longest sleep: what changed without a word, and a wall clock that was set, are noticed within it.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// Until the next try when a workflow could not be served.
const PAUSE: Duration = Duration::from_secs(5);
/// Facts or leads that are read at once.
const PAGE: u32 = 500;
/// Pages of facts in one round; the rest waits for the next. As many facts may lie behind one whose start waits for an earlier run.
const PAGES_MAX: u32 = 40;

/// What the schedules understand.
pub enum SchedulesMsg {
    /// Workflows may have been published, switched or deleted.
    Changed,
    /// It is time to look.
    Look,
    /// A round has ended; the next is due then.
    Ended(Timestamp),
}

/// The schedules. Cheap to clone.
#[derive(Clone)]
pub struct SchedulesHandle(ActorRef<SchedulesMsg>);

impl SchedulesHandle {
    /// Starts the schedules under `supervisor`, with a first look at once.
    ///
    /// # Errors
    /// When the supervisor is no longer alive.
    pub async fn start(rounds: Rounds, supervisor: ActorCell) -> Result<Self, SpawnErr> {
        let (actor, _) = Actor::spawn_linked(None, SchedulesActor { rounds }, (), supervisor).await?;
        let handle = Self(actor);
        handle.changed();
        Ok(handle)
    }

    /// Says that workflows were published, switched or deleted: heard at once.
    pub fn changed(&self) {
        if self.0.send_message(SchedulesMsg::Changed).is_err() {
            tracing::error!("the schedules have stopped: they are taken up again at the next start");
        }
    }
}

struct SchedulesActor {
    rounds: Rounds,
}

/// The actor's state.
#[derive(Default)]
pub struct Watch {
    is_looking: bool,
    /// Something changed during the round.
    look_again: bool,
    sleeper: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(sleeper) = self.sleeper.take() {
            sleeper.abort();
        }
    }
}

impl SchedulesActor {
    /// Begins a round in a task of its own, so that a panic in it is one round that failed.
    fn look(&self, myself: &ActorRef<SchedulesMsg>, watch: &mut Watch) {
        if watch.is_looking {
            watch.look_again = true;
            return;
        }
        watch.is_looking = true;
        let (rounds, myself) = (self.rounds.clone(), myself.clone());
        tokio::spawn(async move {
            let round = tokio::spawn(async move { rounds.round(clock::now()).await });
            let next = match round.await {
                Ok(Ok(next)) => next,
                Ok(Err(error)) => {
                    tracing::error!(%error, "the schedules could not be looked at: they are again in a moment");
                    clock::now().plus(PAUSE)
                }
                Err(error) => {
                    tracing::error!(%error, "a look at the schedules broke off: there is another in a moment");
                    clock::now().plus(PAUSE)
                }
            };
            // The schedules have stopped with the server when nobody takes it.
            let _ = myself.send_message(SchedulesMsg::Ended(next));
        });
    }

    fn sleep(myself: &ActorRef<SchedulesMsg>, watch: &mut Watch, next: Timestamp) {
        let wait = next.since(clock::now()).min(SLEEP_MAX);
        let myself = myself.clone();
        let sleeper = tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let _ = myself.send_message(SchedulesMsg::Look);
        });
        if let Some(earlier) = watch.sleeper.replace(sleeper) {
            earlier.abort();
        }
    }
}

impl Actor for SchedulesActor {
    type Msg = SchedulesMsg;
    type State = Watch;
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<SchedulesMsg>, (): ()) -> Result<Watch, ActorProcessingErr> {
        Ok(Watch::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<SchedulesMsg>,
        message: SchedulesMsg,
        watch: &mut Watch,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SchedulesMsg::Changed | SchedulesMsg::Look => self.look(&myself, watch),
            SchedulesMsg::Ended(next) => {
                watch.is_looking = false;
                if std::mem::take(&mut watch.look_again) {
                    self.look(&myself, watch);
                } else {
                    Self::sleep(&myself, watch, next);
                }
            }
        }
        Ok(())
    }
}

/// Looks at every workflow that the clock starts.
#[derive(Clone)]
pub struct Rounds {
    pub store: Store,
    pub plans: Plans,
    pub runs: RunsHandle,
    pub leads: LeadsHandle,
    /// Each node serves the workflows of its own shards: a fire happens once in the cluster.
    pub ownership: Ownership,
}

/// One workflow in one round.
struct Turn<'a> {
    row: &'a WorkflowRow,
    plan: &'a Plan,
    /// Everything up to here is started.
    from: Timestamp,
    now: Timestamp,
}

/// How far a turn came, and when the next is due.
struct Progress {
    until: Timestamp,
    next: Timestamp,
}

impl Rounds {
    /// Starts all that is due at `now`; returns when to look again.
    ///
    /// # Errors
    /// When the store cannot be read. What was started by then stays; what was not is at the next round.
    pub async fn round(&self, now: Timestamp) -> Result<Timestamp, RunError> {
        let mut rows = self.store.schedules.live(KINDS).await?;
        rows.retain(|row| self.is_mine(row.id));
        let considered = self.store.schedules.considered().await?;
        for id in considered
            .keys()
            .filter(|id| self.is_mine(**id) && !rows.iter().any(|row| row.id == **id))
        {
            self.store.schedules.forget(*id).await?;
        }
        let mut next = now.plus(SLEEP_MAX);
        for row in &rows {
            let known = considered.get(&row.id).copied();
            match self.turn(row, known, now).await {
                Ok(turn) => next = next.min(turn),
                Err(error) => {
                    // One workflow that cannot be served must not keep the others waiting.
                    tracing::error!(workflow_id = %row.id, %error, "a workflow by the clock could not be served");
                    next = next.min(now.plus(PAUSE));
                }
            }
        }
        Ok(next)
    }

    fn is_mine(&self, id: WorkflowId) -> bool {
        self.ownership.owns(id.shard()).is_some()
    }

    async fn turn(
        &self,
        row: &WorkflowRow,
        known: Option<Considered>,
        now: Timestamp,
    ) -> Result<Timestamp, RunError> {
        let plan = self.plans.get(row.id, row.published).await?;
        let Some(clock) = clock_of(plan.definition()) else {
            return Ok(now.plus(SLEEP_MAX));
        };
        let published = row.updated_at.min(now);
        let from = match known {
            Some(known) if known.version == row.published => known.until,
            // Under another version the hours may be others: what lay before it is over.
            Some(known) => known.until.max(published),
            None => published,
        };
        if known.is_none_or(|known| known.version != row.published) {
            self.keep(row, from).await?;
        }
        let turn = Turn {
            row,
            plan: &plan,
            from,
            now,
        };
        let progress = match &clock {
            Clock::Schedule(schedule) => self.serve_schedule(&turn, schedule).await?,
            Clock::After(after) => self.serve_after(&turn, after).await?,
            Clock::Birthdays => self.serve_birthdays(&turn).await?,
        };
        if progress.until > from {
            self.keep(row, progress.until).await?;
        }
        Ok(progress.next)
    }

    async fn keep(&self, row: &WorkflowRow, until: Timestamp) -> Result<(), RunError> {
        let considered = Considered {
            version: row.published,
            until,
        };
        Ok(self.store.schedules.consider(row.id, considered).await?)
    }

    async fn serve_schedule(&self, turn: &Turn<'_>, schedule: &Schedule) -> Result<Progress, RunError> {
        let Turn { row, now, from, .. } = *turn;
        let mut until = from;
        if let Some(fire) = schedule.due(from, now) {
            let late = now.since(fire);
            if schedule.starts(late) {
                metrics::histogram!("patchcord_schedule_lag_seconds").record(late.as_secs_f64());
                let observation = schedule.observation(row.account_id, row.id, fire);
                self.start(turn, &observation).await?;
            } else {
                tracing::warn!(workflow_id = %row.id, %fire, "a fire was missed and is not caught up");
            }
            until = fire;
        }
        let next = schedule.next_after(now.max(until)).unwrap_or(now.plus(SLEEP_MAX));
        Ok(Progress { until, next })
    }

    /// Starts the run of a fire: about nobody, so no lead's mailbox is passed.
    async fn start(&self, turn: &Turn<'_>, observation: &Observation) -> Result<(), RunError> {
        let row = turn.row;
        let world = world(&self.store, row.account_id, None, None).await?;
        match trigger::matches(&turn.plan.definition().trigger, observation, &world) {
            Ok(true) => (),
            Ok(false) => return Ok(()),
            Err(error) => {
                tracing::warn!(workflow_id = %row.id, %error, "a trigger's filter could not be decided: no run was started");
                return Ok(());
            }
        }
        let start = TriggeredStart {
            observation,
            workflow_id: row.id,
            version: row.published,
            plan: turn.plan,
        };
        if self.runs.start_triggered(start).await? == Recorded::Fresh {
            tracing::info!(workflow_id = %row.id, fire = %observation.at, "run started by its schedule");
        }
        Ok(())
    }

    async fn serve_after(&self, turn: &Turn<'_>, after: &After) -> Result<Progress, RunError> {
        let Turn { row, now, from, .. } = *turn;
        let before = |at: Timestamp| at.minus(after.wait);
        let mut until = from;
        // The first wait that is not settled: this far all is started, and no farther.
        let mut open: Option<Timestamp> = None;
        let mut pages = 0;
        while pages < PAGES_MAX {
            pages += 1;
            let facts = self.facts_due(turn, after, before(until), before(now)).await?;
            let Some(last) = facts.last() else {
                until = now;
                break;
            };
            until = last.at.plus(after.wait);
            for fact in &facts {
                let is_settled = self.wait_is_over(turn, after, fact).await.unwrap_or_else(|error| {
                    // One lead that is stuck must not keep the others waiting.
                    tracing::error!(observation = %fact.id, %error, "what waits after a fact could not be started");
                    false
                });
                if !is_settled {
                    open.get_or_insert(fact.at.plus(after.wait).minus(Duration::from_millis(1)));
                }
            }
        }
        if let Some(open) = open {
            // It waits for an earlier run of its lead, or failed. All behind it is looked at again: when that is much, not too often.
            let pause = if pages > 2 { SLEEP_MAX } else { PAUSE };
            return Ok(Progress {
                until: open.max(from),
                next: now.plus(pause),
            });
        }
        if until < now {
            return Ok(Progress { until, next: now });
        }
        let latest = Timestamp::from_unix_millis(u64::MAX);
        let coming = self
            .store
            .schedules
            .facts(row.account_id, &after.source, before(now), latest, 1)
            .await?;
        // A fact that comes from here on is due a whole wait from here on.
        let next = coming.first().map_or(now, |fact| fact.at).plus(after.wait);
        Ok(Progress { until, next })
    }

    /// The next facts whose wait is over. Those of one moment come together: the next page is asked for by the last moment of this
    /// one.
    async fn facts_due(
        &self,
        turn: &Turn<'_>,
        after: &After,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Observation>, RunError> {
        let mut limit = PAGE;
        loop {
            let schedules = &self.store.schedules;
            let mut facts = schedules
                .facts(turn.row.account_id, &after.source, from, until, limit)
                .await?;
            let moment_of = |fact: Option<&Observation>| fact.map(|fact| fact.at);
            let last = moment_of(facts.last());
            if facts.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
                return Ok(facts);
            }
            if moment_of(facts.first()) != last {
                facts.retain(|fact| Some(fact.at) != last);
                return Ok(facts);
            }
            limit = limit.saturating_mul(2);
        }
    }

    /// Starts the run of a wait that is over. False when it cannot start yet.
    async fn wait_is_over(
        &self,
        turn: &Turn<'_>,
        after: &After,
        fact: &Observation,
    ) -> Result<bool, RunError> {
        let since = match (fact.lead_id, &after.unless) {
            (Some(lead_id), Some(_)) => {
                let observations = &self.store.observations;
                observations
                    .of_lead_since(fact.account_id, lead_id, fact.at)
                    .await?
            }
            (None, Some(kind)) => {
                tracing::warn!(observation = %fact.id, %kind, "a fact about nobody is not waited after");
                return Ok(true);
            }
            (_, None) => Vec::new(),
        };
        match after.observation(fact, &since) {
            None => Ok(true),
            Some(due) => self.leads.start_due(due, turn.row.id).await,
        }
    }

    async fn serve_birthdays(&self, turn: &Turn<'_>) -> Result<Progress, RunError> {
        let Turn { row, now, from, .. } = *turn;
        let settings_zone = turn.plan.definition().settings.timezone.as_deref();
        for day in birthdays_between(from, now) {
            let mut after = None;
            loop {
                let leads = self
                    .store
                    .schedules
                    .born_on(row.account_id, &day, after, PAGE)
                    .await?;
                for lead in &leads {
                    if let Some(observation) = birthday(lead, settings_zone, from, now) {
                        self.leads.observe(observation).await?;
                    }
                }
                let Some(last) = leads.last() else { break };
                after = Some(last.id);
            }
        }
        Ok(Progress {
            until: now,
            next: next_quarter(now),
        })
    }
}
