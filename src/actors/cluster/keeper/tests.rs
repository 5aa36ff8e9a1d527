//! Several keepers on one database in memory, on a paused clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use super::{Keeper, Keeping};
use crate::{
    actors::cluster::{
        household::Household,
        memory_leases::{Line, MemoryLeases},
        ownership::{Owner, Ownership},
    },
    domain::{ids::NodeId, shard::Shard},
    store::leases::{LeaseStore, NodeRow},
};

const TTL: Duration = Duration::from_secs(6);

/// Notes which shards are acted for, as whatever lives in them would.
#[derive(Default)]
struct Acting(Mutex<BTreeSet<Shard>>);

#[async_trait]
impl Household for Acting {
    async fn gained(&self, shards: Vec<Shard>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(shards);
    }
    async fn lost(&self, shards: Vec<Shard>) {
        let mut acting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        acting.retain(|shard| !shards.contains(shard));
    }
}

struct Node {
    id: NodeId,
    ownership: Ownership,
    acting: Arc<Acting>,
    line: Line,
    keeping: Keeping,
}

impl Node {
    fn join(database: &MemoryLeases) -> Self {
        let (id, line) = (NodeId::fresh(), database.line());
        let (ownership, acting) = (Ownership::among_nodes(), Arc::<Acting>::default());
        let keeper = Keeper::new(
            Arc::new(line.clone()),
            ownership.clone(),
            Arc::clone(&acting) as Arc<dyn Household>,
            NodeRow {
                id,
                address: format!("http://{id}"),
            },
            TTL,
        );
        Self {
            id,
            ownership,
            acting,
            line,
            keeping: keeper.start(),
        }
    }

    fn owned(&self) -> BTreeMap<Shard, u64> {
        Shard::all()
            .filter_map(|shard| Some((shard, self.ownership.owns(shard)?)))
            .collect()
    }
}

/// Lets time pass while everybody works, and holds at every step that no shard has two owners.
async fn pass(seconds: u64, nodes: &[&Node]) {
    for _ in 0..seconds * 10 {
        pass_a_moment(nodes).await;
    }
}

async fn pass_a_moment(nodes: &[&Node]) {
    // Nothing is waited for: the time-out is the point.
    drop(tokio::time::timeout(Duration::from_millis(100), std::future::pending::<()>()).await);
    let mut owners = BTreeMap::new();
    for node in nodes {
        for shard in node.owned().into_keys() {
            let earlier = owners.insert(shard, node.id);
            assert_eq!(earlier, None, "{shard:?} has two owners");
        }
    }
}

fn sizes(nodes: &[&Node]) -> Vec<usize> {
    nodes.iter().map(|node| node.owned().len()).collect()
}

#[tokio::test(start_paused = true)]
async fn nodes_share_everything_evenly_and_know_where_the_rest_is() {
    let database = MemoryLeases::default();
    let one = Node::join(&database);
    pass(3, &[&one]).await;
    assert_eq!(sizes(&[&one]), [256]);
    let (two, three) = (Node::join(&database), Node::join(&database));
    let all = [&one, &two, &three];
    pass(10, &all).await;
    let mut parts = sizes(&all);
    parts.sort_unstable();
    assert_eq!(parts, [85, 85, 86]);
    for shard in Shard::all() {
        let owner = all
            .iter()
            .find(|node| node.ownership.owns(shard).is_some())
            .expect("an owner");
        for node in all.iter().filter(|node| node.id != owner.id) {
            let there = Owner::There(format!("http://{}", owner.id));
            assert_eq!(node.ownership.owner_of(shard), there);
        }
    }
    for node in all {
        let acting: Vec<Shard> = node.acting.0.lock().expect("no panic").iter().copied().collect();
        assert_eq!(acting, node.owned().into_keys().collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_line_is_cut_stops_by_itself_before_another_takes_over() {
    let database = MemoryLeases::default();
    let (one, two) = (Node::join(&database), Node::join(&database));
    let both = [&one, &two];
    pass(10, &both).await;
    assert_eq!(sizes(&both), [128, 128]);
    let epochs = one.owned();
    one.line.cut(true);
    // No two owners at any step is held by `pass` itself.
    pass(10, &both).await;
    assert_eq!(sizes(&both), [0, 256]);
    assert!(one.acting.0.lock().expect("no panic").is_empty());
    let taken = two.owned();
    assert!(
        epochs.iter().all(|(shard, epoch)| taken[shard] > *epoch),
        "under newer epochs"
    );
    one.line.cut(false);
    pass(10, &both).await;
    assert_eq!(sizes(&both), [128, 128]);
}

#[tokio::test(start_paused = true)]
async fn a_short_cut_costs_nothing() {
    let database = MemoryLeases::default();
    let (one, two) = (Node::join(&database), Node::join(&database));
    let both = [&one, &two];
    pass(10, &both).await;
    let before = one.owned();
    one.line.cut(true);
    pass(2, &both).await;
    one.line.cut(false);
    pass(4, &both).await;
    assert_eq!(one.owned(), before);
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_slow_to_answer_costs_nothing() {
    let database = MemoryLeases::default();
    let (one, two) = (Node::join(&database), Node::join(&database));
    let both = [&one, &two];
    pass(10, &both).await;
    let before = one.owned();
    // Longer than the time between two heartbeats, and short enough for an answer to be worth something.
    one.line.slow_down(2_200);
    for _ in 0..200 {
        pass_a_moment(&both).await;
        assert_eq!(one.owned(), before);
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_is_not_waited_for() {
    let database = MemoryLeases::default();
    let (one, two) = (Node::join(&database), Node::join(&database));
    pass(10, &[&one, &two]).await;
    let Node {
        keeping, ownership, ..
    } = one;
    keeping.leave().await;
    assert!(Shard::all().all(|shard| ownership.owns(shard).is_none()));
    pass(2, &[&two]).await;
    assert_eq!(sizes(&[&two]), [256]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_taken_without_word_of_it_is_given_back() {
    let database = MemoryLeases::default();
    let (one, two) = (Node::join(&database), Node::join(&database));
    pass(10, &[&one, &two]).await;
    assert_eq!(sizes(&[&one, &two]), [128, 128]);
    for (shard, epoch) in one.owned().into_iter().take(20) {
        let taken = two.line.take(shard, two.id, epoch).await;
        taken.expect("the line is whole").expect("it is as it was");
    }
    pass(10, &[&one, &two]).await;
    assert_eq!(
        sizes(&[&one, &two]),
        [128, 128],
        "each lease has somebody who acts for it"
    );
}
