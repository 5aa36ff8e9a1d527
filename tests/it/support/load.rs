//! A steady load of events on all nodes of a cluster, and the count of what came of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{task::JoinHandle, time::Instant};

use super::{
    api::http,
    cluster::{Cluster, END_WITHIN},
    eventually::{a_moment, eventually_within},
};

/// Between two events, over all nodes, as far as [`AT_ONCE_MAX`] lets it.
const EVERY: Duration = Duration::from_millis(40);
/// Events that are on their way at once while all nodes stand: a machine that is busy slows the load down instead of being buried by it.
const AT_ONCE_MAX: usize = 16;
/// How long a client waits for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long a client tries to bring one event.
const BRING_MAX: Duration = Duration::from_secs(180);

/// A load on its way.
pub struct Load {
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicUsize,
    refused: AtomicUsize,
    is_over: AtomicBool,
}

/// What a load came to.
#[derive(Debug, Clone, Copy)]
pub struct Brought {
    /// Events that were answered 2xx.
    pub accepted: usize,
    /// Tries that were not.
    pub refused: usize,
}

impl Load {
    /// Brings an event every 40 ms, to each node in turn; one that is not taken goes on to the next node until one takes it. Every third
    /// is about nobody, the others about fifty people.
    #[must_use]
    pub fn on(cluster: &Cluster) -> Self {
        let counts = Arc::<Counts>::default();
        let doors: Vec<(String, String)> = cluster
            .nodes
            .iter()
            .map(|node| {
                let token = node.server.ready().access_token.clone();
                (node.server.at("/api/events"), token)
            })
            .collect();
        let shared = Arc::clone(&counts);
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let mut senders = tokio::task::JoinSet::new();
            let mut number = 0_usize;
            while !shared.is_over.load(Ordering::SeqCst) {
                ticks.tick().await;
                while senders.len() >= AT_ONCE_MAX {
                    let sent = senders.join_next().await;
                    sent.expect("there are some").expect("a sender does not panic");
                }
                let (counts, doors, at) = (Arc::clone(&shared), doors.clone(), number);
                senders.spawn(async move { bring(&counts, &doors, at).await });
                number += 1;
            }
            while let Some(sent) = senders.join_next().await {
                sent.expect("a sender does not panic");
            }
        });
        Self { counts, task }
    }

    /// Brings no more, and waits until each event has been taken.
    pub async fn end(self) -> Brought {
        self.counts.is_over.store(true, Ordering::SeqCst);
        self.task.await.expect("the load ends");
        Brought {
            accepted: self.counts.accepted.load(Ordering::SeqCst),
            refused: self.counts.refused.load(Ordering::SeqCst),
        }
    }
}

async fn bring(counts: &Counts, doors: &[(String, String)], number: usize) {
    let mut event = json!({"type": "quote.sent", "id": format!("q-{number}"), "data": {"n": number}});
    if !number.is_multiple_of(3) {
        event["subject"] = json!({"phone": format!("+1415555{:04}", number % 50)});
    }
    let began = Instant::now();
    for at in number.. {
        let (url, token) = &doors[at % doors.len()];
        let request = http()
            .post(url)
            .bearer_auth(token)
            .timeout(ANSWER_MAX)
            .json(&event);
        match request.send().await {
            Ok(answer) if answer.status().is_success() => {
                counts.accepted.fetch_add(1, Ordering::SeqCst);
                return;
            }
            Ok(_) | Err(_) => {
                counts.refused.fetch_add(1, Ordering::SeqCst);
                assert!(began.elapsed() < BRING_MAX, "nobody takes event {number}");
                a_moment(Duration::from_millis(50)).await;
            }
        }
    }
}

impl Cluster {
    /// Waits until every accepted event has led to a call of each path, and holds that each was made under one key only: no effect is
    /// lost, made up or repeated. Returns how many calls were in doubt after a crash and made again under their key, and how long it took.
    ///
    /// # Panics
    /// When one is.
    pub async fn until_all_done(&self, paths: &[&str], accepted: usize) -> (usize, Duration) {
        let began = Instant::now();
        eventually_within(END_WITHIN, "every event has had its effects", || async {
            let done = paths.iter().all(|path| self.sink.counts(path).len() >= accepted);
            done.then_some(())
        })
        .await;
        let took = began.elapsed();
        // What is made twice shows when everybody has come to rest.
        self.until_all_rest().await;
        let mut again = 0;
        for path in paths {
            let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for arrival in self.sink.arrivals() {
                if arrival.path == *path {
                    keys.entry(arrival.body).or_default().insert(arrival.key);
                }
            }
            assert_eq!(keys.len(), accepted, "{path}: nothing is lost, nothing made up");
            let twice: Vec<_> = keys.iter().filter(|(_, keys)| keys.len() > 1).collect();
            assert!(twice.is_empty(), "{path}: repeated effects: {twice:?}");
            again += self
                .sink
                .counts(path)
                .values()
                .map(|count| count - 1)
                .sum::<usize>();
        }
        (again, took)
    }

    /// Waits until no run stands as running.
    async fn until_all_rest(&self) {
        eventually_within(END_WITHIN, "no run is on its way", || async {
            for status in ["running", "waiting"] {
                let path = format!("/api/runs?status={status}&limit=1");
                if !self.nodes[0].server.items(&path).await.is_empty() {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }
}
