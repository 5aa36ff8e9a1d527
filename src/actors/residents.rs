//! Activation on demand: one child actor per key, made when a message for it arrives, gone when it is idle.
//!
//! In: messages for keys. Out: the same messages, each to its key's one actor, in order.
//! Restarts: a child that panics or fails is made anew and told to recover from its durable state; its brothers notice
//! nothing. A child that fails [`FAILURES_MAX`] times within [`FAILURES_WINDOW`] is given up: its kind says what that means. It
//! gets another try after the window, then after twice as long, and so on up to [`PAUSE_MAX`].
//!
//! Several parents share the keys between them, because every link takes one process-wide lock and a parent is one mailbox.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use tokio::time::Instant;

/// Failures of one child within the window before it is given up.
pub const FAILURES_MAX: usize = 3;
/// The window they are counted in.
pub const FAILURES_WINDOW: Duration = Duration::from_secs(60);
/// Longest time a child that was given up is left alone: a disk that was full is not full for ever.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// Enough to reach it from the window.
const PAUSE_DOUBLINGS_MAX: u32 = 6;
/// Parents that share the keys of one kind.
const SHARDS: usize = 16;

/// A kind of child: calls, leads, runs.
pub trait Resident: Clone + Send + Sync + 'static {
    type Key: Ord + Hash + Clone + Debug + Send + Sync + 'static;
    type Msg: ractor::Message;
    type Child: Actor<Msg = Self::Msg, Arguments = (Self::Key, Desk<Self>)>;

    /// Makes the child's actor; cheap, it loads its state on the first message.
    fn child(&self) -> Self::Child;
    /// What a child is told after it was made anew because the one before failed.
    fn recover() -> Self::Msg;
    /// Passes a message on whose actor belongs to another node; gives it back when the actor belongs here.
    fn here(&self, _key: &Self::Key, message: Self::Msg) -> Option<Self::Msg> {
        Some(message)
    }
    /// A child failed too often. Its key takes no messages until the window has passed.
    fn gave_up(&self, key: &Self::Key, error: &str);
    /// Word for logs and metrics: `call`, `lead`, `run`.
    const NAME: &'static str;
}

/// Which keys are meant.
pub type Meant<R> = Arc<dyn Fn(&<R as Resident>::Key) -> bool + Send + Sync>;

/// What a parent understands.
pub enum DeskMsg<R: Resident> {
    /// For the child of this key, made if need be. Counted as arriving until it is handled.
    Arrive(R::Key, R::Msg),
    /// The same from what a child started itself: it is counted as alive.
    Deliver(R::Key, R::Msg),
    /// The child has handled this many messages and has nothing to do.
    Idle(R::Key, u64),
    /// For the child of this key, unless it is alive: take up what is in the store.
    Wake(R::Key),
    /// Let the children that are meant go: they are given back, and messages for them find a new one or another node.
    Evict(Meant<R>, RpcReplyPort<Vec<ActorRef<R::Msg>>>),
    /// The window since the child of this key was given up is over: it gets another try.
    TryAgain(R::Key),
}

/// A child's way back to its parent.
pub struct Desk<R: Resident>(ActorRef<DeskMsg<R>>);

impl<R: Resident> Clone for Desk<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R: Resident> Desk<R> {
    /// Brings `message` to the key's actor, the way every message comes: what a child starts answers through here.
    pub fn send(&self, key: R::Key, message: R::Msg) {
        send(&self.0, DeskMsg::Deliver(key, message));
    }

    /// Says that the child has handled `handled` messages in all and may be stopped if no more are on their way.
    pub fn idle(&self, key: R::Key, handled: u64) {
        send(&self.0, DeskMsg::Idle(key, handled));
    }
}

/// The handle: delivers a message to the one actor of a key. Cheap to clone.
pub struct Residents<R: Resident> {
    kind: R,
    shards: Arc<[ActorRef<DeskMsg<R>>]>,
    count: Arc<Count>,
}

/// How much a kind has to do; shared by its parents.
#[derive(Default)]
struct Count {
    /// Children there are.
    alive: AtomicUsize,
    /// Messages that no parent has seen yet: their children may not be there.
    arriving: AtomicUsize,
}

impl<R: Resident> Clone for Residents<R> {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind.clone(),
            shards: Arc::clone(&self.shards),
            count: Arc::clone(&self.count),
        }
    }
}

impl<R: Resident> Residents<R> {
    /// Starts the parents under `supervisor`.
    ///
    /// # Errors
    /// When the supervisor is no longer alive.
    pub async fn start(kind: R, supervisor: ActorCell) -> Result<Self, ractor::SpawnErr> {
        let mut shards = Vec::with_capacity(SHARDS);
        let count = Arc::new(Count::default());
        for _ in 0..SHARDS {
            let parent = Parent {
                kind: kind.clone(),
                count: Arc::clone(&count),
            };
            let (shard, _) = Actor::spawn_linked(None, parent, (), supervisor.clone()).await?;
            shards.push(shard);
        }
        Ok(Self {
            kind,
            shards: shards.into(),
            count,
        })
    }

    /// Children that are at work or about to rest, and messages that may need one more each.
    #[must_use]
    pub fn at_work(&self) -> usize {
        self.count.alive.load(Ordering::Relaxed) + self.count.arriving.load(Ordering::Relaxed)
    }

    /// Delivers `message` to the key's actor. One-way: what must not be lost is in the store already.
    pub fn deliver(&self, key: R::Key, message: R::Msg) {
        let Some(message) = self.kind.here(&key, message) else {
            return;
        };
        self.count.arriving.fetch_add(1, Ordering::Relaxed);
        send(self.shard(&key), DeskMsg::Arrive(key, message));
    }

    /// Lets the child of a key take up what is in the store, unless it is alive: then it knows.
    pub fn wake(&self, key: R::Key) {
        send(self.shard(&key), DeskMsg::Wake(key));
    }

    /// Lets every child that is meant handle what it was sent, then stop. Returns when they have; one that takes longer than
    /// `patience` is stopped in the middle.
    pub async fn evict(&self, is_meant: Meant<R>, patience: Duration) {
        let mut going = Vec::new();
        for parent in self.shards.iter() {
            let (sender, children) = ractor::concurrency::oneshot();
            send(
                parent,
                DeskMsg::Evict(Arc::clone(&is_meant), RpcReplyPort::from(sender)),
            );
            // A parent that has stopped has no children.
            going.extend(children.await.into_iter().flatten());
        }
        let gone = going.into_iter().map(|child| async move {
            if child.drain_and_wait(Some(patience)).await.is_err() {
                child.kill();
            }
        });
        futures_util::future::join_all(gone).await;
    }

    fn shard(&self, key: &R::Key) -> &ActorRef<DeskMsg<R>> {
        let mut hasher = std::collections::hash_map::DefaultHasher::new();
        key.hash(&mut hasher);
        let hash = std::hash::Hasher::finish(&hasher);
        let at = usize::try_from(hash % u64::try_from(SHARDS).unwrap_or(1)).unwrap_or(0);
        &self.shards[at]
    }
}

fn send<M: ractor::Message>(to: &ActorRef<M>, message: M) {
    if to.send_message(message).is_err() {
        tracing::debug!(actor = ?to.get_id(), "message for an actor that has stopped");
    }
}

struct Parent<R: Resident> {
    kind: R,
    count: Arc<Count>,
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
        let myself = myself.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            send(&myself, DeskMsg::TryAgain(key));
        });
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
                let meant: Vec<R::Key> = rooms.by_key.keys().filter(|key| is_meant(key)).cloned().collect();
                let going = meant.iter().filter_map(|key| rooms.by_key.remove(key));
                // Nobody waits any more when the time to let go was over.
                let _ = reply.send(going.map(|room| room.child).collect());
            }
            DeskMsg::TryAgain(key) => {
                rooms.failures.remove(&key);
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

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[derive(Clone)]
    struct Echo {
        heard: mpsc::UnboundedSender<(u32, &'static str)>,
        given_up: Arc<AtomicUsize>,
    }
    struct EchoActor(Echo);
    struct EchoState {
        key: u32,
        desk: Desk<Echo>,
        handled: u64,
    }

    impl Resident for Echo {
        type Key = u32;
        type Msg = &'static str;
        type Child = EchoActor;
        const NAME: &'static str = "echo";
        fn child(&self) -> EchoActor {
            EchoActor(self.clone())
        }
        fn recover() -> &'static str {
            "recover"
        }
        fn gave_up(&self, _key: &u32, _error: &str) {
            self.given_up.fetch_add(1, Ordering::SeqCst);
            let _ = self.heard.send((0, "gave up"));
        }
    }

    impl Actor for EchoActor {
        type Msg = &'static str;
        type State = EchoState;
        type Arguments = (u32, Desk<Echo>);
        async fn pre_start(
            &self,
            _: ActorRef<&'static str>,
            (key, desk): (u32, Desk<Echo>),
        ) -> Result<EchoState, ActorProcessingErr> {
            let _ = self.0.heard.send((key, "made"));
            Ok(EchoState {
                key,
                desk,
                handled: 0,
            })
        }
        async fn handle(
            &self,
            _: ActorRef<&'static str>,
            message: &'static str,
            state: &mut EchoState,
        ) -> Result<(), ActorProcessingErr> {
            state.handled += 1;
            let _ = self.0.heard.send((state.key, message));
            match message {
                "panic" => panic!("asked to"),
                "rest" => state.desk.idle(state.key, state.handled),
                _ => {}
            }
            Ok(())
        }
    }

    struct Root;
    impl Actor for Root {
        type Msg = ();
        type State = ();
        type Arguments = ();
        async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
            Ok(())
        }
        async fn handle_supervisor_evt(
            &self,
            _: ActorRef<()>,
            _: SupervisionEvent,
            (): &mut (),
        ) -> Result<(), ActorProcessingErr> {
            Ok(())
        }
    }

    async fn start() -> (Residents<Echo>, mpsc::UnboundedReceiver<(u32, &'static str)>) {
        let (heard, hearing) = mpsc::unbounded_channel();
        let (root, _) = Actor::spawn(None, Root, ()).await.expect("the root starts");
        let kind = Echo {
            heard,
            given_up: Arc::default(),
        };
        (
            Residents::start(kind, root.get_cell())
                .await
                .expect("the parents start"),
            hearing,
        )
    }

    #[tokio::test]
    async fn a_panic_restarts_that_child_only_and_tells_it_to_recover() {
        let (residents, mut hearing) = start().await;
        residents.deliver(1, "hello");
        residents.deliver(2, "hello");
        residents.deliver(1, "panic");
        let mut of_one = Vec::new();
        while of_one.last() != Some(&"recover") {
            let (key, word) = hearing.recv().await.expect("alive");
            if key == 1 {
                of_one.push(word);
            }
        }
        assert_eq!(of_one, ["made", "hello", "panic", "made", "recover"]);
        residents.deliver(2, "still here");
        loop {
            let (key, word) = hearing.recv().await.expect("alive");
            assert!(key != 2 || word != "recover");
            if (key, word) == (2, "still here") {
                break;
            }
        }
    }

    #[tokio::test]
    async fn a_child_that_keeps_failing_is_given_up_and_does_not_spin() {
        let (residents, mut hearing) = start().await;
        let mut made = 0;
        residents.deliver(1, "panic");
        loop {
            match hearing.recv().await.expect("alive").1 {
                "made" => made += 1,
                "recover" => residents.deliver(1, "panic"),
                "gave up" => break,
                _ => {}
            }
        }
        assert_eq!(made, FAILURES_MAX);
        residents.deliver(1, "hello");
        residents.deliver(2, "hello");
        assert_eq!(hearing.recv().await, Some((2, "made")));
    }

    #[tokio::test]
    async fn an_idle_child_is_stopped_and_made_again_for_the_next_message() {
        let (residents, mut hearing) = start().await;
        residents.deliver(1, "rest");
        // A message that was on its way when the child asked to rest is not lost.
        residents.deliver(1, "rest");
        let mut words = Vec::new();
        while words.iter().filter(|word| **word == "rest").count() < 2 {
            words.push(hearing.recv().await.expect("alive").1);
        }
        residents.deliver(1, "hello");
        while words.last() != Some(&"hello") {
            words.push(hearing.recv().await.expect("alive").1);
        }
        assert!(
            words.iter().filter(|word| **word == "rest").count() == 2,
            "{words:?}"
        );
    }
}
