//! Activation on demand: one child actor per key, made when a message for it arrives, gone when it is idle.
//!
//! In: messages for keys. Out: the same messages, each to its key's one actor, in order.
//! Restarts: a child that panics or fails is made anew and told to recover from its durable state; its brothers notice
//! nothing. A child that fails [`parent::FAILURES_MAX`] times within [`parent::FAILURES_WINDOW`] is given up: its kind says what that means. It
//! gets another try after the window, then after twice as long, and so on up to [`parent::PAUSE_MAX`].
//!
//! Several parents share the keys between them, because every link takes one process-wide lock and a parent is one mailbox.

mod parent;
#[cfg(test)]
mod tests;

use std::{
    error::Error,
    fmt::Debug,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ractor::{Actor, ActorCell, ActorRef, RpcReplyPort};

use self::parent::Parent;
use super::runs::RunError;
use crate::store::StoreError;

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
    /// Whether a child failed for a reason that is not its own and will pass.
    fn is_passing(error: &(dyn Error + Send + Sync + 'static)) -> bool {
        is_passing(error)
    }
    /// A child failed too often. Its key takes no messages until the window has passed.
    fn gave_up(&self, key: &Self::Key, error: &str);
    /// Word for logs and metrics: `call`, `lead`, `run`.
    const NAME: &'static str;
}

/// Whether an error of the store, or of a run, will pass.
pub fn is_passing(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    let of_store = error
        .downcast_ref::<StoreError>()
        .is_some_and(StoreError::is_passing);
    of_store || error.downcast_ref::<RunError>().is_some_and(RunError::is_passing)
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
    /// The window since the child of this key was given up, or the pause since it failed, is over: it gets another try.
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
