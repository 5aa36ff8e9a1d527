//! A bounded queue from async callers to the store's own threads.
//!
//! In: items, pushed without blocking a runtime thread. Out: items, taken in order by threads that block. When it is full, a
//! caller waits up to [`WAIT_MAX`] for room and is then told `Busy`: nothing is dropped silently and nothing piles up.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Semaphore, TryAcquireError};

use crate::store::{StoreError, StoreResult};

/// How long a caller waits for room in a full queue.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(2);

/// The queue's threads are gone: the store was shut down.
#[derive(Debug, thiserror::Error)]
#[error("the store is closed")]
pub(super) struct Closed;

impl From<Closed> for StoreError {
    fn from(closed: Closed) -> Self {
        Self::Unavailable(Box::new(closed))
    }
}

struct Waiting<T> {
    items: VecDeque<T>,
    closed: bool,
}

/// Many callers in, one or more threads out.
pub(super) struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    arrived: Condvar,
    room: Semaphore,
}

impl<T> Queue<T> {
    /// Returns an empty queue with room for `items_max`.
    pub(super) fn new(items_max: usize) -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                items: VecDeque::new(),
                closed: false,
            }),
            arrived: Condvar::new(),
            room: Semaphore::new(items_max),
        }
    }

    /// Adds an item at the end.
    ///
    /// # Errors
    /// `Busy` when there was no room for [`WAIT_MAX`], `Unavailable` once the queue is closed.
    pub(super) async fn push(&self, item: T) -> StoreResult<()> {
        let permit = match self.room.try_acquire() {
            Ok(permit) => permit,
            Err(TryAcquireError::Closed) => return Err(Closed.into()),
            Err(TryAcquireError::NoPermits) => tokio::time::timeout(WAIT_MAX, self.room.acquire())
                .await
                .map_err(|_elapsed| StoreError::Busy)?
                .map_err(|_closed| Closed)?,
        };
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(Closed.into());
        }
        waiting.items.push_back(item);
        permit.forget();
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    /// Moves up to `items_max` items into `batch`, waiting for the first. False once the queue is closed and empty.
    pub(super) fn take(&self, items_max: usize, batch: &mut VecDeque<T>) -> bool {
        let mut waiting = self.lock();
        while waiting.items.is_empty() {
            if waiting.closed {
                return false;
            }
            waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let count = waiting.items.len().min(items_max);
        batch.extend(waiting.items.drain(..count));
        drop(waiting);
        self.room.add_permits(count);
        true
    }

    /// Items that wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Refuses new items; what is queued is still taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.arrived.notify_all();
    }

    /// A thread that panicked while it held the lock left the queue whole: every change under it is one step.
    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by the only thread that takes from a queue: when it ends, even by a panic, nobody is left waiting for it.
pub(super) struct LastTaker<'a, T>(pub(super) &'a Queue<T>);

impl<T> Drop for LastTaker<'_, T> {
    fn drop(&mut self) {
        self.0.close();
        self.0.lock().items.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_answers_busy_after_the_wait_and_takes_again_once_there_is_room() {
        let queue = Queue::new(1);
        queue.push(1).await.expect("room for one");
        let before = tokio::time::Instant::now();
        assert!(matches!(queue.push(2).await, Err(StoreError::Busy)));
        assert_eq!(before.elapsed(), WAIT_MAX);
        let mut batch = VecDeque::new();
        assert!(queue.take(8, &mut batch));
        queue.push(3).await.expect("room again");
        assert!(queue.take(8, &mut batch));
        assert_eq!(batch, [1, 3]);
    }

    #[tokio::test]
    async fn a_closed_queue_gives_out_what_it_holds_and_takes_nothing_more() {
        let queue = Queue::new(4);
        queue.push(1).await.expect("room");
        queue.close();
        assert!(matches!(queue.push(2).await, Err(StoreError::Unavailable(_))));
        let mut batch = VecDeque::new();
        assert!(queue.take(8, &mut batch));
        assert!(!queue.take(8, &mut batch));
        assert_eq!(batch, [1]);
    }
}
