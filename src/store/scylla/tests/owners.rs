//! Who acts for a shard, and what becomes of what a former owner writes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{address, opened, server, transactions};
use crate::{
    domain::{ids::NodeId, run::RunStatus, shard::Shard},
    store::{
        Recorded, StoreError,
        conformance::samples::{account_id, at, effect, next, observation, run, run_id, workflow_id},
        leases::{Heartbeat, NodeRow},
        runs::{EffectState, RunAppend, RunHead},
        scylla::open::{open_core, whole},
    },
};

#[tokio::test]
async fn a_former_owner_moves_nothing() {
    let Some(opened) = opened().await else { return };
    let runs = &opened.store.runs;
    let mut first = run(account_id(1), workflow_id(1), 1);
    first.epoch = 4;
    runs.create(first.clone()).await.expect("written");
    let mut taken_over = next(&first, RunStatus::Running);
    taken_over.epoch = 5;
    runs.append(taken_over.clone())
        .await
        .expect("a newer owner moves it");
    // The zombie is a revision behind, and then not even that helps it.
    for before in [&first, &taken_over] {
        let mut late = next(before, RunStatus::Completed);
        late.epoch = 4;
        late.effects = vec![effect(&late, "late", EffectState::Claimed)];
        let refused = runs.append(late).await;
        assert!(
            matches!(refused, Err(StoreError::Fenced { epoch: 4, .. })),
            "{refused:?}"
        );
    }
    let (head, _) = runs.load(run_id(1)).await.expect("kept");
    assert_eq!((head.revision, head.status), (2, RunStatus::Running));
    let effects = runs.effects(account_id(1), run_id(1)).await.expect("read");
    assert!(effects.is_empty());
}

#[tokio::test]
async fn a_former_owner_makes_no_run() {
    let Some(opened) = opened().await else { return };
    let (runs, leases, facts) = (
        &opened.store.runs,
        &opened.store.leases,
        &opened.store.observations,
    );
    let mut late = run(account_id(1), workflow_id(1), 1);
    late.timers_set = vec![(1, at(60))];
    let (shard, former, owner) = (late.head.id.shard(), NodeId::fresh(), NodeId::fresh());
    let taken = leases.take(shard, former, 0).await.expect("answered");
    late.epoch = taken.expect("it is free").epoch;
    let early = RunAppend {
        head: RunHead {
            id: run_id(2).in_shard(shard),
            ..late.head.clone()
        },
        ..late.clone()
    };
    runs.create(early).await.expect("it is the owner's");
    leases
        .take(shard, owner, late.epoch)
        .await
        .expect("answered")
        .expect("it has lapsed");
    let (refused, count) = transactions(&opened, runs.create(late.clone())).await;
    assert!(
        matches!(refused, Err(StoreError::Fenced { epoch: 1, .. })),
        "{refused:?}"
    );
    assert_eq!(count, 0);
    assert!(matches!(
        runs.load(run_id(1)).await,
        Err(StoreError::Missing { .. })
    ));
    let counts = runs.counts(account_id(1), workflow_id(1)).await.expect("read");
    assert_eq!(counts.active, 1, "nothing of it is counted");
    assert!(
        runs.timers(Some(shard), None, 10)
            .await
            .expect("read")
            .iter()
            .all(|timer| timer.run_id != run_id(1))
    );
    // A fact that it takes in stays on its way: the owner makes the run of it.
    let fact = observation(account_id(1), None, 1);
    let recorded = facts.record_routed(fact.clone(), vec![late.clone()]).await;
    assert_eq!(recorded.expect("it is kept"), Recorded::Duplicate);
    assert_eq!(facts.unrouted(None).await.expect("read"), [fact]);
    late.epoch = 2;
    assert_eq!(runs.create(late).await.expect("written"), Recorded::Fresh);
}

#[tokio::test]
async fn a_run_that_comes_back_to_a_node_within_the_hour_is_found_there() {
    let Some(opened) = opened().await else { return };
    let other = whole(
        &open_core(&address(&server().expect("it answered")))
            .await
            .expect("it answers"),
    );
    let runs = &opened.store.runs;
    let first = run(account_id(1), workflow_id(1), 1);
    runs.create(first.clone()).await.expect("written");
    // The shard goes to another node, where the run moves on and parks, and comes back.
    let mut before = first;
    for (epoch, store, status) in [
        (2, &other, RunStatus::Running),
        (2, &other, RunStatus::Waiting),
        (3, &opened.store, RunStatus::Running),
    ] {
        let mut append = next(&before, status);
        append.epoch = epoch;
        store.runs.append(append.clone()).await.expect("written");
        before = append;
    }
    assert_eq!(runs.unparked(None).await.expect("read"), [run_id(1)]);
}

#[tokio::test]
async fn a_process_that_owns_the_shard_no_longer_writes_nothing_to_it() {
    let Some(opened) = opened().await else { return };
    let core = open_core(&address(&server().expect("it answered")))
        .await
        .expect("it answers");
    let store = whole(&core);
    let runs = &store.runs;
    let owned = Arc::new(AtomicU64::new(1));
    let asked = Arc::clone(&owned);
    runs.ask_before_writing(Arc::new(move |_| {
        Some(asked.load(Ordering::Relaxed)).filter(|epoch| *epoch > 0)
    }));
    let first = run(account_id(1), workflow_id(1), 1);
    runs.create(first.clone()).await.expect("it owns the shard");
    // Taken by another, or taken back under another epoch: what was begun before is not for it any more.
    for epoch in [0, 2] {
        owned.store(epoch, Ordering::Relaxed);
        let before = core.db.conditionals.load(Ordering::Relaxed);
        let moved = runs.append(next(&first, RunStatus::Waiting)).await;
        assert!(matches!(moved, Err(StoreError::Fenced { .. })), "{moved:?}");
        let made = runs.create(run(account_id(1), workflow_id(1), 2)).await;
        assert!(matches!(made, Err(StoreError::Fenced { .. })), "{made:?}");
        assert_eq!(core.db.conditionals.load(Ordering::Relaxed), before);
    }
    let mut for_the_owner = run(account_id(1), workflow_id(1), 3);
    for_the_owner.epoch = 0;
    let made = runs.create(for_the_owner).await;
    assert_eq!(made.expect("it is left to the owner"), Recorded::Fresh);
    let (head, _) = opened.store.runs.load(run_id(1)).await.expect("kept");
    assert_eq!(head.revision, 1);
}

#[tokio::test]
async fn a_shard_is_taken_by_one_node_at_a_time() {
    let Some(opened) = opened().await else { return };
    let leases = &opened.store.leases;
    let shard = Shard::new(9).expect("there are 256");
    let nodes: Vec<NodeId> = (0..8).map(|_| NodeId::fresh()).collect();
    let tries = nodes.iter().map(|node| leases.take(shard, *node, 0));
    let taken: Vec<_> = futures_util::future::join_all(tries)
        .await
        .into_iter()
        .filter_map(|lease| lease.expect("answered"))
        .collect();
    let [first] = taken[..] else {
        panic!("{taken:?} were taken")
    };
    assert_eq!((first.epoch, first.shard), (1, shard));
    let owner = first.owner.expect("it was taken");
    let owners = leases.owners().await.expect("read");
    assert_eq!(owners.len(), 256);
    assert_eq!(owners[9], first);
    assert_eq!((owners[8].epoch, owners[8].owner), (0, None));
    let other = NodeId::fresh();
    assert!(!leases.release(shard, other, 1).await.expect("answered"));
    assert!(leases.release(shard, owner, 1).await.expect("answered"));
    let next = leases.take(shard, other, 1).await.expect("answered");
    assert_eq!(next.map(|lease| lease.epoch), Some(2));
    assert_eq!(leases.take(shard, owner, 1).await.expect("answered"), None);
}

#[tokio::test]
async fn a_node_lives_as_long_as_its_heartbeat_says() {
    let Some(opened) = opened().await else { return };
    let leases = &opened.store.leases;
    let node = |number: u8| NodeRow {
        id: NodeId::from_bytes([number; 16]),
        address: format!("http://10.0.0.{number}:9080"),
    };
    let minute = Duration::from_secs(60);
    for number in [2, 1] {
        let beat = leases.heartbeat(node(number), minute).await.expect("answered");
        assert_eq!(beat, Heartbeat::Lapsed, "it is new");
    }
    assert_eq!(
        leases.heartbeat(node(1), minute).await.expect("answered"),
        Heartbeat::Alive
    );
    assert_eq!(leases.nodes().await.expect("read"), [node(1), node(2)]);
    leases.leave(node(2).id).await.expect("answered");
    assert_eq!(leases.nodes().await.expect("read"), [node(1)]);
    leases
        .heartbeat(node(1), Duration::from_secs(1))
        .await
        .expect("answered");
    // The database's clock decides: there is nothing to wait for but that.
    while !leases.nodes().await.expect("read").is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        leases.heartbeat(node(1), minute).await.expect("answered"),
        Heartbeat::Lapsed
    );
}
