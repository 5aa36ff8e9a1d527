//! The timers: the near future of every parked run, in memory.
//!
//! In: timers that are already in the store. Out: each, once it is due, to its run. A timer that fires twice, or for a run
//! that has moved on, changes nothing there: the run knows which timers it waits for.

use std::{collections::BTreeSet, time::Duration};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr};

use super::{
    residents::Residents,
    run::{RunKind, RunMsg},
};
use crate::{clock, domain::time::Timestamp, store::runs::TimerRow, workflows::Input};

/// Longest sleep: a wall clock that was set forward is noticed within it.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// Timers that fire in one go before other messages get their turn.
const BATCH_MAX: usize = 512;

/// What the timers understand.
pub enum TimersMsg {
    /// Where due timers go. Sent once, at start.
    Connect(Residents<RunKind>),
    Arm(Vec<TimerRow>),
    /// It is time to look.
    Tick,
}

/// The timers. Cheap to clone.
#[derive(Clone)]
pub struct TimersHandle(ActorRef<TimersMsg>);

impl TimersHandle {
    /// Starts the timers under `supervisor`; nothing fires before [`TimersHandle::connect`].
    ///
    /// # Errors
    /// When the supervisor is no longer alive.
    pub async fn start(supervisor: ActorCell) -> Result<Self, SpawnErr> {
        let (actor, _) = Actor::spawn_linked(None, TimersActor, (), supervisor).await?;
        Ok(Self(actor))
    }

    /// Says where due timers go.
    pub fn connect(&self, runs: Residents<RunKind>) {
        self.send(TimersMsg::Connect(runs));
    }

    /// Holds timers that are in the store until they are due.
    pub fn arm(&self, timers: Vec<TimerRow>) {
        if !timers.is_empty() {
            self.send(TimersMsg::Arm(timers));
        }
    }

    fn send(&self, message: TimersMsg) {
        if self.0.send_message(message).is_err() {
            tracing::error!("the timers have stopped: they are taken up again at the next start");
        }
    }
}

struct TimersActor;

/// What is armed.
pub struct Armed {
    runs: Option<Residents<RunKind>>,
    /// Ordered by due time. A cleared timer stays until it is due: its run ignores it.
    waiting: BTreeSet<TimerRow>,
    /// The moment the next tick is set for.
    next_tick: Option<Timestamp>,
    sleeper: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for Armed {
    fn drop(&mut self) {
        if let Some(sleeper) = self.sleeper.take() {
            sleeper.abort();
        }
    }
}

impl Armed {
    /// Takes out what is due at `now`, at most one batch.
    fn due(&mut self, now: Timestamp) -> Vec<TimerRow> {
        let mut due = Vec::new();
        while due.len() < BATCH_MAX
            && let Some(first) = self.waiting.first()
            && first.due <= now
        {
            due.extend(self.waiting.pop_first());
        }
        due
    }

    /// Sets the next tick, unless an earlier one is set already.
    fn schedule(&mut self, myself: &ActorRef<TimersMsg>, now: Timestamp) {
        let Some(first) = self.waiting.first() else { return };
        let wait = first.due.since(now).min(SLEEP_MAX);
        let at = now.plus(wait);
        if self.next_tick.is_some_and(|set| set <= at) {
            return;
        }
        self.next_tick = Some(at);
        let myself = myself.clone();
        let sleeper = tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            // The timers have stopped with the server when nobody takes it.
            let _ = myself.send_message(TimersMsg::Tick);
        });
        if let Some(earlier) = self.sleeper.replace(sleeper) {
            earlier.abort();
        }
    }
}

impl Actor for TimersActor {
    type Msg = TimersMsg;
    type State = Armed;
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<TimersMsg>, (): ()) -> Result<Armed, ActorProcessingErr> {
        Ok(Armed {
            runs: None,
            waiting: BTreeSet::new(),
            next_tick: None,
            sleeper: None,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<TimersMsg>,
        message: TimersMsg,
        armed: &mut Armed,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TimersMsg::Connect(runs) => armed.runs = Some(runs),
            TimersMsg::Arm(timers) => armed.waiting.extend(timers),
            TimersMsg::Tick => armed.next_tick = None,
        }
        let Some(runs) = armed.runs.clone() else {
            return Ok(());
        };
        let now = clock::now();
        for timer in armed.due(now) {
            let lag = now.since(timer.due);
            metrics::histogram!("patchcord_timer_lag_seconds").record(lag.as_secs_f64());
            runs.deliver(
                timer.run_id,
                RunMsg::Input(Input::TimerFired { timer: timer.timer }),
            );
        }
        metrics::gauge!("patchcord_timers_armed")
            .set(f64::from(u32::try_from(armed.waiting.len()).unwrap_or(u32::MAX)));
        armed.schedule(&myself, now);
        Ok(())
    }
}
