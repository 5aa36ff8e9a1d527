//! Long jobs beside everything else: so many at once, each once at a time.
//!
//! In: a job, and the id of what it is for. Out: it runs, unless there is no room or it runs already; then nothing happens, and the next look
//! for what waits finds it again. Restarts: none. A job that fails or panics gives its place back and is begun again by a later look.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

/// The jobs of one kind. Cheap to clone.
#[derive(Clone)]
pub struct Jobs<K> {
    name: &'static str,
    at_once: usize,
    under_way: Arc<Mutex<BTreeSet<K>>>,
    ended: Arc<Notify>,
}

impl<K: Ord + Copy + fmt::Display + Send + 'static> Jobs<K> {
    /// `name` is for the log; `ended` is told when a job came to its end: there may be more that waited for room.
    #[must_use]
    pub fn new(name: &'static str, at_once: usize, ended: Arc<Notify>) -> Self {
        Self {
            name,
            at_once,
            under_way: Arc::default(),
            ended,
        }
    }

    /// Begins a job, if there is room and none for `id` runs.
    pub fn begin<E: fmt::Display>(&self, id: K, job: impl Future<Output = Result<(), E>> + Send + 'static) {
        let Some(place) = self.place(id) else { return };
        let (name, ended) = (self.name, self.ended.clone());
        tokio::spawn(async move {
            let outcome = job.await.map_err(|error| error.to_string());
            drop(place);
            match outcome {
                Ok(()) => ended.notify_one(),
                Err(error) => tracing::warn!(job = name, %id, error, "a job paused: it is taken up again"),
            }
        });
    }

    fn place(&self, id: K) -> Option<Place<K>> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        (under_way.len() < self.at_once && under_way.insert(id)).then(|| Place {
            under_way: self.under_way.clone(),
            id,
        })
    }
}

/// A job's place, given back when it is dropped: also by a panic.
struct Place<K: Ord> {
    under_way: Arc<Mutex<BTreeSet<K>>>,
    id: K,
}

impl<K: Ord> Drop for Place<K> {
    fn drop(&mut self) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc;

    use super::*;
    use crate::store::StoreError;

    #[tokio::test(start_paused = true)]
    async fn so_many_run_at_once_and_a_failure_or_a_panic_makes_room() {
        let ended = Arc::new(Notify::new());
        let jobs = Jobs::new("trial", 2, ended.clone());
        let (begun, mut list) = mpsc::unbounded_channel();
        for id in [1, 1, 2, 3] {
            begin(&jobs, id, &begun, Ok(()));
        }
        assert_eq!((list.recv().await, list.recv().await), (Some(1), Some(2)));
        ended.notified().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(list.try_recv().is_err(), "neither twice nor without room");
        begin(&jobs, 9, &begun, Ok(()));
        begin(&jobs, 4, &begun, Err(StoreError::Busy));
        tokio::time::sleep(Duration::from_secs(2)).await;
        for id in [9, 4] {
            assert_eq!(list.recv().await, Some(id));
            begin(&jobs, id - 3, &begun, Ok(()));
        }
        assert_eq!((list.recv().await, list.recv().await), (Some(6), Some(1)));
    }

    /// Begins a job that says its number, and then does as it is told.
    fn begin(jobs: &Jobs<u8>, id: u8, begun: &mpsc::UnboundedSender<u8>, outcome: Result<(), StoreError>) {
        let begun = begun.clone();
        jobs.begin(id, async move {
            begun.send(id).expect("somebody listens");
            assert_ne!(id, 9, "a panic");
            tokio::time::sleep(Duration::from_secs(1)).await;
            outcome
        });
    }
}
