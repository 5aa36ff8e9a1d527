//! The timers: the time of every parked run, in memory.
//!
//! In: timers that are already in the store. Out: each, once it is due, to its run. A timer that fires twice, or for a run
//! that has moved on, changes nothing there: the run knows which timers it waits for.
//! When very many come due at once, they go out no faster than runs end or park again, so that memory follows what is at work
//! and not what was due; but never slower than a floor, so that runs that hang cannot hold up the others.

use std::{
    collections::{BinaryHeap, binary_heap::PeekMut},
    time::Duration,
};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr};

use super::{
    residents::Residents,
    run::{RunKind, RunMsg},
    timer_entry::TimerEntry,
};
use crate::{
    clock,
    domain::{shard::Shard, time::Timestamp},
    store::runs::TimerRow,
    workflows::Input,
};

/// Longest sleep: a wall clock that was set forward is noticed within it.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// Timers that fire in one go before other messages get their turn.
const BATCH_MAX: usize = 512;
/// Runs at work beyond which due timers go out at the floor's pace only.
const RUNS_AT_WORK_MAX: usize = 2_048;
/// The pace when that many are at work: so many timers each [`CROWDED_PAUSE`].
const CROWDED_BATCH: usize = 64;
const CROWDED_PAUSE: Duration = Duration::from_millis(50);
/// Until the next look when some may have ended meanwhile.
const CROWDED_LOOK: Duration = Duration::from_millis(2);

/// What the timers understand.
pub enum TimersMsg {
    /// Where due timers go. Sent once, at start.
    Connect(Residents<RunKind>),
    Arm(Vec<TimerRow>),
    /// Another node holds the timers of these shards.
    Forget(Vec<Shard>),
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

    /// Lets go of the timers of these shards.
    pub fn forget(&self, shards: Vec<Shard>) {
        self.send(TimersMsg::Forget(shards));
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
    /// The earliest is on top. A cleared timer stays until it is due: its run ignores it.
    waiting: BinaryHeap<TimerEntry>,
    /// When the last batch went out at the floor's pace.
    crowded_since: Option<Timestamp>,
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
    const fn new() -> Self {
        Self {
            runs: None,
            waiting: BinaryHeap::new(),
            crowded_since: None,
            next_tick: None,
            sleeper: None,
        }
    }

    /// Takes out what is due at `now`, at most `max`. One that was armed twice comes out once.
    fn due(&mut self, now: Timestamp, max: usize) -> Vec<TimerRow> {
        let mut due: Vec<TimerRow> = Vec::new();
        while due.len() < max
            && let Some(first) = self.waiting.peek_mut()
        {
            let row = first.row();
            if row.due > now {
                break;
            }
            PeekMut::pop(first);
            if due.last() != Some(&row) {
                due.push(row);
            }
        }
        due
    }

    /// How many may go out at `now` while `at_work` runs are.
    fn allowance(&mut self, now: Timestamp, at_work: usize) -> usize {
        if at_work < RUNS_AT_WORK_MAX {
            self.crowded_since = None;
            return BATCH_MAX.min(RUNS_AT_WORK_MAX - at_work);
        }
        let since = *self.crowded_since.get_or_insert(now);
        if now.since(since) < CROWDED_PAUSE {
            return 0;
        }
        self.crowded_since = Some(now);
        CROWDED_BATCH
    }

    /// Sets the next tick, unless an earlier one is set already.
    fn schedule(&mut self, myself: &ActorRef<TimersMsg>, now: Timestamp) {
        let Some(first) = self.waiting.peek() else { return };
        let due_in = first.row().due.since(now).min(SLEEP_MAX);
        let wait = if self.crowded_since.is_some() {
            due_in.max(CROWDED_LOOK)
        } else {
            due_in
        };
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
        Ok(Armed::new())
    }

    async fn handle(
        &self,
        myself: ActorRef<TimersMsg>,
        message: TimersMsg,
        armed: &mut Armed,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TimersMsg::Connect(runs) => armed.runs = Some(runs),
            TimersMsg::Arm(timers) => armed.waiting.extend(timers.iter().map(TimerEntry::of)),
            TimersMsg::Forget(shards) => armed
                .waiting
                .retain(|entry| !shards.contains(&entry.row().run_id.shard())),
            TimersMsg::Tick => armed.next_tick = None,
        }
        let Some(runs) = armed.runs.clone() else {
            return Ok(());
        };
        let now = clock::now();
        let is_due = armed.waiting.peek().is_some_and(|first| first.row().due <= now);
        if is_due {
            let max = armed.allowance(now, runs.at_work());
            for timer in armed.due(now, max) {
                let lag = now.since(timer.due);
                metrics::histogram!("patchcord_timer_lag_seconds").record(lag.as_secs_f64());
                runs.deliver(
                    timer.run_id,
                    RunMsg::Input(Input::TimerFired { timer: timer.timer }),
                );
            }
        }
        metrics::gauge!("patchcord_timers_armed")
            .set(f64::from(u32::try_from(armed.waiting.len()).unwrap_or(u32::MAX)));
        armed.schedule(&myself, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::RunId;

    fn row(due: u64, run: u8) -> TimerRow {
        TimerRow {
            due: at(due),
            run_id: RunId::from_bytes([run; 16]),
            timer: 3,
        }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_unix_millis(millis)
    }

    #[test]
    fn what_is_due_comes_out_in_order_and_once() {
        let mut armed = Armed::new();
        armed.waiting.extend(
            [row(7, 1), row(5, 2), row(9, 3), row(5, 1), row(5, 2)]
                .iter()
                .map(TimerEntry::of),
        );
        assert_eq!(armed.due(at(4), 8), []);
        assert_eq!(armed.due(at(8), 8), [row(5, 1), row(5, 2), row(7, 1)]);
        assert_eq!(armed.due(at(9), 8), [row(9, 3)]);
        assert_eq!(armed.due(at(99), 8), []);
    }

    #[test]
    fn a_crowd_goes_out_as_runs_end_and_never_stops_wholly() {
        let mut armed = Armed::new();
        assert_eq!(armed.allowance(at(0), 0), BATCH_MAX);
        assert_eq!(armed.allowance(at(0), RUNS_AT_WORK_MAX - 3), 3);
        assert_eq!(armed.allowance(at(0), RUNS_AT_WORK_MAX), 0);
        assert_eq!(armed.allowance(at(49), RUNS_AT_WORK_MAX + 9), 0);
        assert_eq!(armed.allowance(at(50), RUNS_AT_WORK_MAX + 9), CROWDED_BATCH);
        assert_eq!(armed.allowance(at(51), RUNS_AT_WORK_MAX), 0);
        assert_eq!(armed.allowance(at(52), RUNS_AT_WORK_MAX - 1), 1);
    }
}
