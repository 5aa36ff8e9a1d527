//! What is done now and then, as long as the process lives: looks for what was left behind, clean-ups.
//!
//! In: what to do, and how often. Out: rounds, one after the other, each in a task of its own, so that one that fails or panics is
//! one round that failed; the next comes in its time. The actor itself stands under the root and stops with it, and its rounds with it.
//! Restarts: none. When the actor itself fails the process ends and its restart recovers.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr};
use tokio::{sync::Notify, task::JoinHandle};

use crate::store::StoreResult;

type Work = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = StoreResult<()>> + Send>> + Send + Sync>;

/// What is done in a round, and when.
#[derive(Clone)]
pub struct Round {
    name: &'static str,
    every: Duration,
    work: Work,
    /// Begins a round before its time.
    called: Arc<Notify>,
    begins_at_once: bool,
}

impl Round {
    /// Does `work` at once and then `every` so often after the last one ended; `name` is for the log.
    pub fn new<F>(name: &'static str, every: Duration, work: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = StoreResult<()>> + Send + 'static,
    {
        Self {
            name,
            every,
            work: Arc::new(move || Box::pin(work())),
            called: Arc::default(),
            begins_at_once: true,
        }
    }

    /// Also when `called` says so.
    #[must_use]
    pub fn or_when(self, called: Arc<Notify>) -> Self {
        Self { called, ..self }
    }

    /// The first one in its time.
    #[must_use]
    pub fn not_at_once(self) -> Self {
        Self {
            begins_at_once: false,
            ..self
        }
    }

    /// Round after round. One that fails is told and made again in its time.
    async fn keep_on(self) {
        let mut is_due = self.begins_at_once;
        loop {
            if is_due {
                // A task of its own: dropped with this one, and a panic in it is one round that failed.
                let mut round = tokio::task::JoinSet::new();
                round.spawn((self.work)());
                match round.join_next().await {
                    Some(Ok(Ok(()))) | None => {}
                    Some(Ok(Err(error))) => {
                        tracing::warn!(round = self.name, %error, "a round failed: there is another in its time");
                    }
                    Some(Err(error)) => {
                        tracing::error!(round = self.name, %error, "a round broke off: there is another in its time");
                    }
                }
            }
            // Either way it is time.
            let _ = tokio::time::timeout(self.every, self.called.notified()).await;
            is_due = true;
        }
    }
}

/// Starts the rounds under `supervisor`.
///
/// # Errors
/// When the supervisor is no longer alive.
pub async fn start(round: Round, supervisor: ActorCell) -> Result<(), SpawnErr> {
    Actor::spawn_linked(None, RoundsActor { round }, (), supervisor).await?;
    Ok(())
}

struct RoundsActor {
    round: Round,
}

/// The task that makes the rounds; it ends with the actor.
struct Rounds(JoinHandle<()>);

impl Drop for Rounds {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What the actor understands.
enum RoundsMsg {
    /// The task of the rounds has ended, which it never does by itself.
    Ended,
}

impl Actor for RoundsActor {
    type Msg = RoundsMsg;
    type State = Rounds;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<RoundsMsg>, (): ()) -> Result<Rounds, ActorProcessingErr> {
        let round = self.round.clone();
        Ok(Rounds(tokio::spawn(async move {
            let ended = Told(myself);
            round.keep_on().await;
            drop(ended);
        })))
    }

    async fn handle(
        &self,
        _myself: ActorRef<RoundsMsg>,
        message: RoundsMsg,
        _rounds: &mut Rounds,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RoundsMsg::Ended => Err(format!("the rounds of `{}` ended", self.round.name).into()),
        }
    }
}

/// Tells the actor when the task ends, however it ends.
struct Told(ActorRef<RoundsMsg>);

impl Drop for Told {
    fn drop(&mut self) {
        // Nobody takes it when the actor has stopped, which is how the task is meant to end.
        let _ = self.0.send_message(RoundsMsg::Ended);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::{actors::root::Root, store::StoreError};

    #[tokio::test(start_paused = true)]
    async fn a_round_that_fails_or_panics_is_followed_by_another_and_the_root_ends_them() {
        let (root, _collapse) = Root::start().await.expect("started");
        let count = Arc::new(AtomicU32::new(0));
        let (counted, called) = (count.clone(), Arc::new(Notify::new()));
        let round = Round::new("trial", Duration::from_secs(60), move || {
            let number = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                assert_ne!(number, 1, "a panic in the second round");
                if number == 0 {
                    Err(StoreError::Busy)
                } else {
                    Ok(())
                }
            }
        });
        let round = round.or_when(called.clone());
        start(round, root.get_cell()).await.expect("started");
        tokio::time::sleep(Duration::from_secs(150)).await;
        assert_eq!(count.load(Ordering::SeqCst), 3);
        called.notify_one();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(count.load(Ordering::SeqCst), 4, "it was called");
        root.stop_and_wait(None, None).await.expect("stopped");
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(count.load(Ordering::SeqCst), 4, "they end with the root");
    }
}
