//! A parent: makes a child when a message for it comes, makes it anew when it fails, leaves it alone when it keeps failing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::time::Instant;

use super::{Count, Desk, DeskMsg, Resident, send};
use crate::store::away;

/// Failures of one child within the window before it is given up.
pub(super) const FAILURES_MAX: usize = 3;
/// The window they are counted in.
pub(super) const FAILURES_WINDOW: Duration = Duration::from_secs(60);
/// Longest time a child that was given up is left alone: a disk that was full is not full for ever.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// Between two looks whether a database that was away is back.
const AWAY_PAUSE: Duration = Duration::from_secs(1);
/// Enough to reach it from the window.
const PAUSE_DOUBLINGS_MAX: u32 = 6;

/// One parent: it makes the children of its keys, restarts them and lets them go.
pub(super) struct Parent<R: Resident> {
    pub kind: R,
    pub count: Arc<Count>,
}

struct Room<R: Resident> {
    child: ActorRef<R::Msg>,
    delivered: u64,
}

/// A parent's state: its living children and the recent failures.
pub struct Rooms<R: Resident> {
    by_key: BTreeMap<R::Key, Room<R>>,
    by_actor: BTreeMap<u64, R::Key>,
    failures: BTreeMap<R::Key, Vec<Instant>>,
    /// How often each child was given up since it last rested.
    given_up: BTreeMap<R::Key, u32>,
    /// Children that wait for a database that was away.
    waiting: BTreeSet<R::Key>,
}

impl<R: Resident> Rooms<R> {
    /// Counts a failure and says whether the child may be made again.
    fn may_restart(&mut self, key: &R::Key) -> bool {
        let now = Instant::now();
        self.failures
            .retain(|_, times| times.last().is_some_and(|last| now - *last < FAILURES_WINDOW));
        let times = self.failures.entry(key.clone()).or_default();
        times.retain(|time| now - *time < FAILURES_WINDOW);
        times.push(now);
        times.len() < FAILURES_MAX
    }

    fn is_given_up(&self, key: &R::Key) -> bool {
        self.failures.get(key).is_some_and(|times| {
            times.len() >= FAILURES_MAX && times.last().is_some_and(|last| last.elapsed() < FAILURES_WINDOW)
        })
    }
}

impl<R: Resident> Parent<R> {
    async fn deliver(
        &self,
        myself: &ActorRef<DeskMsg<R>>,
        rooms: &mut Rooms<R>,
        key: R::Key,
        message: R::Msg,
    ) -> Result<(), ActorProcessingErr> {
        let Some(message) = self.kind.here(&key, message) else {
            return Ok(());
        };
        if rooms.is_given_up(&key) {
            tracing::warn!(kind = R::NAME, ?key, "message for an actor that was given up");
            return Ok(());
        }
        if !rooms.by_key.contains_key(&key) {
            let arguments = (key.clone(), Desk(myself.clone()));
            let (child, _) =
                Actor::spawn_linked(None, self.kind.child(), arguments, myself.get_cell()).await?;
            rooms.by_actor.insert(child.get_id().pid(), key.clone());
            rooms.by_key.insert(key.clone(), Room { child, delivered: 0 });
            self.count.alive.fetch_add(1, Ordering::Relaxed);
            metrics::gauge!("patchcord_actors", "kind" => R::NAME).increment(1.0);
        }
        if let Some(room) = rooms.by_key.get_mut(&key) {
            room.delivered += 1;
            send(&room.child, message);
        }
        Ok(())
    }

    /// Leaves a child alone for a while, longer each time. People are told once.
    fn give_up(&self, myself: &ActorRef<DeskMsg<R>>, rooms: &mut Rooms<R>, key: R::Key, error: &str) {
        let times = rooms.given_up.entry(key.clone()).or_insert(0);
        if *times == 0 {
            self.kind.gave_up(&key, error);
        }
        let pause = FAILURES_WINDOW
            .saturating_mul(1 << (*times).min(PAUSE_DOUBLINGS_MAX))
            .min(PAUSE_MAX);
        *times = times.saturating_add(1);
        try_later(myself, key, tokio::time::sleep(pause));
    }

    /// Forgets the room of an actor that ended; its key, when the room was still its.
    fn forget(&self, rooms: &mut Rooms<R>, pid: u64) -> Option<R::Key> {
        let key = rooms.by_actor.remove(&pid)?;
        self.count.alive.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!("patchcord_actors", "kind" => R::NAME).decrement(1.0);
        let is_current = rooms
            .by_key
            .get(&key)
            .is_some_and(|room| room.child.get_id().pid() == pid);
        if !is_current {
            return None;
        }
        rooms.by_key.remove(&key);
        Some(key)
    }
}

fn try_later<R: Resident>(
    myself: &ActorRef<DeskMsg<R>>,
    key: R::Key,
    pause: impl Future<Output = ()> + Send + 'static,
) {
    let myself = myself.clone();
    tokio::spawn(async move {
        pause.await;
        send(&myself, DeskMsg::TryAgain(key));
    });
}

impl<R: Resident> Actor for Parent<R> {
    type Msg = DeskMsg<R>;
    type State = Rooms<R>;
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<Self::Msg>, (): ()) -> Result<Rooms<R>, ActorProcessingErr> {
        Ok(Rooms {
            by_key: BTreeMap::new(),
            by_actor: BTreeMap::new(),
            failures: BTreeMap::new(),
            given_up: BTreeMap::new(),
            waiting: BTreeSet::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        rooms: &mut Rooms<R>,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            DeskMsg::Arrive(key, message) => {
                self.count.arriving.fetch_sub(1, Ordering::Relaxed);
                self.deliver(&myself, rooms, key, message).await?;
            }
            DeskMsg::Deliver(key, message) => self.deliver(&myself, rooms, key, message).await?,
            DeskMsg::Idle(key, handled) => {
                // Every message goes through here, so equal counts mean an empty mailbox.
                if rooms
                    .by_key
                    .get(&key)
                    .is_some_and(|room| room.delivered == handled)
                    && let Some(room) = rooms.by_key.remove(&key)
                {
                    room.child.stop(None);
                    rooms.given_up.remove(&key);
                }
            }
            DeskMsg::Wake(key) => {
                if !rooms.by_key.contains_key(&key) {
                    self.deliver(&myself, rooms, key, R::recover()).await?;
                }
            }
            DeskMsg::Evict(is_meant, reply) => {
                rooms.failures.retain(|key, _| !is_meant(key));
                rooms.given_up.retain(|key, _| !is_meant(key));
                rooms.waiting.retain(|key| !is_meant(key));
                let meant: Vec<R::Key> = rooms.by_key.keys().filter(|key| is_meant(key)).cloned().collect();
                let going = meant.iter().filter_map(|key| rooms.by_key.remove(key));
                // Nobody waits any more when the time to let go was over.
                let _ = reply.send(going.map(|room| room.child).collect());
            }
            DeskMsg::TryAgain(key) => {
                rooms.failures.remove(&key);
                rooms.waiting.remove(&key);
                self.deliver(&myself, rooms, key, R::recover()).await?;
            }
        }
        Ok(())
    }

    /// A child that ended well is forgotten, one that failed is made anew and told to recover.
    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        rooms: &mut Rooms<R>,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(cell, error) => {
                let Some(key) = self.forget(rooms, cell.get_id().pid()) else {
                    return Ok(());
                };
                if R::is_passing(&*error) {
                    tracing::warn!(kind = R::NAME, ?key, %error, "an actor waits for the database");
                    if rooms.waiting.insert(key.clone()) {
                        try_later(&myself, key, away::pause(AWAY_PAUSE));
                    }
                    return Ok(());
                }
                tracing::error!(kind = R::NAME, ?key, %error, "an actor failed");
                metrics::counter!("patchcord_actor_failures_total", "kind" => R::NAME).increment(1);
                if rooms.may_restart(&key) {
                    self.deliver(&myself, rooms, key, R::recover()).await?;
                } else {
                    self.give_up(&myself, rooms, key, &error.to_string());
                }
            }
            SupervisionEvent::ActorTerminated(cell, _, _) => {
                self.forget(rooms, cell.get_id().pid());
            }
            _ => {}
        }
        Ok(())
    }
}
