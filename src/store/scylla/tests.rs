//! What only the cluster store promises: one lightweight transaction a transition, hours that are dropped whole; in `owners` fencing and
//! leases, in `outcomes` what is lost on the way, in `copying` how an embedded store gets here. What every store promises is in
//! `store/conformance`.
//!
//! They need a CQL server: `PATCHCORD_TEST_CQL=127.0.0.1:9042`, which `scripts/test` starts and sets. Without one they say so and
//! pass; with one that does not answer they fail. Facts share one keyspace and take turns; each finds its tables empty.

mod announced;
mod copying;
mod lossy_way;
mod open_rows;
mod outcomes;
mod owners;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use scylla::statement::unprepared::Statement as Unprepared;
use tokio::sync::{Mutex, MutexGuard};

use super::{
    address::Address,
    observations::Way,
    open::{Core, open_core, whole},
};
use crate::{
    domain::{ids::RunId, run::RunStatus, shard::Shard, time::Timestamp},
    store::{
        PageRequest, Recorded, Store, StoreError,
        conformance::{
            self,
            samples::{account_id, at, effect, lead_id, next, observation, run, run_id, workflow_id},
        },
        runs::{EffectState, RunAppend, RunFilter, TimerRow},
    },
};

/// One fact at a time: they share a keyspace.
static TURN: Mutex<()> = Mutex::const_new(());

/// An empty store, until the value goes.
pub(super) struct Opened {
    pub(super) store: Store,
    core: Arc<Core>,
    _turn: MutexGuard<'static, ()>,
}

/// The server's address, or `None` with the reason printed.
fn server() -> Option<String> {
    let server = std::env::var("PATCHCORD_TEST_CQL")
        .ok()
        .filter(|server| !server.is_empty());
    if server.is_none() {
        eprintln!("skipped: PATCHCORD_TEST_CQL names no CQL server; `scripts/cql-server start` starts one");
    }
    server
}

fn address(server: &str) -> Address {
    format!(
        "scylla://{server}/patchcord_test_{}?replication=1",
        std::process::id()
    )
    .parse()
    .expect("PATCHCORD_TEST_CQL is host:port")
}

pub(super) async fn opened() -> Option<Opened> {
    let address = address(&server()?);
    let turn = TURN.lock().await;
    let core = open_core(&address)
        .await
        .expect("the server of the tests answers");
    empty(&core, &address.keyspace).await;
    let core = Arc::new(core);
    Some(Opened {
        store: whole(&core),
        core,
        _turn: turn,
    })
}

/// Longer than the server takes to empty a table on a busy machine.
const EMPTYING_MAX: Duration = Duration::from_secs(120);

/// Empties what an earlier fact has filled, or an earlier process of the same number. Looking costs less than emptying.
async fn empty(core: &Core, keyspace: &str) {
    let session = core.db.session();
    let tables = session
        .query_unpaged(
            "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?",
            (keyspace,),
        )
        .await
        .expect("tables are listed")
        .into_rows_result()
        .expect("rows");
    for row in tables.rows::<(String,)>().expect("names") {
        let (table,) = row.expect("a name");
        if table.starts_with("schema_") {
            continue;
        }
        let some = session
            .query_unpaged(format!("SELECT * FROM {table} LIMIT 1"), ())
            .await
            .expect("a table is read")
            .into_rows_result()
            .expect("rows");
        // Where write times are our own, a row that was deleted before would hide its like.
        let keeps_deletions = [
            "live_workflows",
            "lead_index",
            "calls_open",
            "marks",
            "resources_open",
        ]
        .contains(&table.as_str());
        if some.rows_num() > 0 || keeps_deletions {
            let mut emptying = Unprepared::new(format!("TRUNCATE {table}"));
            emptying.set_request_timeout(Some(EMPTYING_MAX));
            session
                .query_unpaged(emptying, ())
                .await
                .expect("a table is emptied");
        }
    }
}

mod contract {
    use super::{conformance, opened};

    conformance::suite!(opened);
}

/// Lightweight transactions that `work` sends.
async fn transactions<T>(opened: &Opened, work: impl Future<Output = T>) -> (T, u64) {
    let count = || opened.core.db.conditionals.load(Ordering::Relaxed);
    let before = count();
    let outcome = work.await;
    (outcome, count() - before)
}

#[tokio::test]
async fn a_transition_is_exactly_one_lightweight_transaction() {
    let Some(opened) = opened().await else { return };
    let runs = &opened.store.runs;
    let mut first = run(account_id(1), workflow_id(1), 1);
    first.head.lead_id = Some(lead_id(1));
    first.timers_set = vec![(1, at(60)), (2, at(90))];
    first.effects = vec![effect(&first, "k", EffectState::Claimed)];
    first.parts = vec![(1, vec![7; 300_000])];
    let (created, count) = transactions(&opened, runs.create(first.clone())).await;
    assert_eq!((created.expect("written"), count), (Recorded::Fresh, 1));
    let mut before = first.clone();
    for status in [RunStatus::Waiting, RunStatus::Running, RunStatus::Completed] {
        let mut append = next(&before, status);
        append.timers_cleared = vec![1];
        append.timers_set = vec![(3, at(120))];
        append.effects = vec![effect(&append, "k", EffectState::Confirmed)];
        append.drops_parts = status == RunStatus::Completed;
        let (moved, count) = transactions(&opened, runs.append(append.clone())).await;
        moved.expect("written");
        assert_eq!(count, 1, "to {status:?}");
        before = append;
    }
    let (again, count) = transactions(&opened, runs.create(first)).await;
    assert_eq!((again.expect("written"), count), (Recorded::Duplicate, 1));
    let fact = observation(account_id(1), None, 1);
    let started = run(account_id(1), workflow_id(1), 2);
    let routed = opened.store.observations.record_routed(fact, vec![started]);
    let (recorded, count) = transactions(&opened, routed).await;
    assert_eq!((recorded.expect("written"), count), (Recorded::Fresh, 1));
}

#[tokio::test]
async fn a_fact_told_again_before_its_runs_were_made_is_left_to_its_mailbox() {
    let Some(opened) = opened().await else { return };
    let facts = &opened.store.observations;
    let fact = observation(account_id(1), None, 1);
    // A run of that id that another try has made: whoever is told `Fresh` acts for its runs, so this must not be said.
    let made = run(account_id(1), workflow_id(1), 1);
    opened.store.runs.create(made.clone()).await.expect("written");
    let recorded = facts.record_routed(fact.clone(), vec![made]).await;
    assert_eq!(recorded.expect("written"), Recorded::Duplicate);
    assert!(facts.unrouted(None).await.expect("read").is_empty());
    let repeated = facts.record_routed(fact, Vec::new()).await;
    assert_eq!(repeated.expect("written"), Recorded::Duplicate);
}

fn parked(number: u64, due: Timestamp, now: Timestamp) -> RunAppend {
    let mut append = run(account_id(1), workflow_id(1), number);
    append.head.status = RunStatus::Waiting;
    append.head.updated_at = now;
    append.timers_set = vec![(1, due)];
    append
}

#[tokio::test]
async fn thousands_of_timers_come_and_go_without_a_deleted_row_in_the_way() {
    let Some(opened) = opened().await else { return };
    let runs = &opened.store.runs;
    let shard = Shard::new(3).expect("there are 256");
    let total = 1_300_u64;
    let parked: Vec<RunAppend> = (0..total)
        .map(|number| {
            let mut append = parked(number, at(60 + number), at(0));
            append.head.id = append.head.id.in_shard(shard);
            append
        })
        .collect();
    in_flight(parked.iter().cloned(), async |append| {
        runs.create(append).await.expect("written");
    })
    .await;
    let standing = runs.timers(Some(shard), None, 10_000).await.expect("read");
    assert_eq!(standing.len(), parked.len());
    assert!(standing.is_sorted_by_key(|timer| timer.due));
    // All but the last fire: their rows stay, and are read over.
    let last = parked.len() - 1;
    in_flight(parked[..last].iter().cloned(), async |append| {
        let mut fired = next(&append, RunStatus::Completed);
        fired.timers_cleared = vec![1];
        runs.append(fired).await.expect("written");
    })
    .await;
    let left = runs.timers(Some(shard), None, 10).await.expect("read");
    let expected = TimerRow {
        due: parked[last].timers_set[0].1,
        run_id: parked[last].head.id,
        timer: 1,
    };
    assert_eq!(left, [expected]);
    // An hour goes when nothing in it stands, and not before.
    runs.sweep(Some(shard), at(100_000)).await.expect("swept");
    assert_eq!(
        runs.timers(Some(shard), None, 10).await.expect("read"),
        [expected]
    );
    let mut fired = next(&parked[last], RunStatus::Completed);
    fired.timers_cleared = vec![1];
    runs.append(fired).await.expect("written");
    runs.sweep(Some(shard), at(100_000)).await.expect("swept");
    let hours = opened
        .core
        .db
        .buckets(super::buckets::Scope::Wakeups(shard))
        .await;
    assert!(hours.expect("read").is_empty());
    assert!(runs.timers(Some(shard), None, 10).await.expect("read").is_empty());
}

/// Does `work` for every item, 64 at a time.
async fn in_flight<T>(items: impl Iterator<Item = T>, work: impl AsyncFn(T)) {
    use futures_util::StreamExt;
    let work = &work;
    futures_util::stream::iter(items)
        .for_each_concurrent(64, |item| work(item))
        .await;
}

#[tokio::test]
async fn a_sweep_keeps_what_recovery_needs() {
    let Some(opened) = opened().await else { return };
    let (runs, facts) = (&opened.store.runs, &opened.store.observations);
    let moving = run(account_id(1), workflow_id(1), 1);
    runs.create(moving.clone()).await.expect("written");
    let ended = run(account_id(1), workflow_id(1), 2);
    runs.create(ended.clone()).await.expect("written");
    runs.append(next(&ended, RunStatus::Completed))
        .await
        .expect("written");
    let waiting = observation(account_id(1), Some(lead_id(1)), 1);
    facts.record(waiting.clone()).await.expect("written");
    let later = at(7 * 86_400);
    runs.sweep(None, later).await.expect("swept");
    facts.sweep(None, later).await.expect("swept");
    assert_eq!(runs.unparked(None).await.expect("read"), [run_id(1)]);
    assert_eq!(
        facts.unrouted(None).await.expect("read"),
        std::slice::from_ref(&waiting)
    );
    facts.mark_routed(waiting.id).await.expect("written");
    facts.sweep(None, later).await.expect("swept");
    assert!(facts.unrouted(None).await.expect("read").is_empty());
    let scope = super::buckets::Scope::FactsOnTheirWay(waiting.shard());
    assert!(opened.core.db.buckets(scope).await.expect("read").is_empty());
}

#[tokio::test]
async fn two_nodes_that_start_at_once_make_the_tables_once() {
    let Some(server) = server() else { return };
    let _turn = TURN.lock().await;
    let fresh: Address = format!(
        "scylla://{server}/patchcord_start_{}?replication=1",
        std::process::id()
    )
    .parse()
    .expect("an address");
    let (one, other) = tokio::join!(open_core(&fresh), open_core(&fresh));
    let (one, _other) = (one.expect("it starts"), other.expect("it starts"));
    let taken = one
        .db
        .session()
        .query_unpaged("SELECT number FROM schema_migrations WHERE part = 0", ())
        .await
        .expect("read")
        .into_rows_result()
        .expect("rows");
    assert_eq!(taken.rows_num(), super::migrate::steps());
    let mut drop = Unprepared::new(format!("DROP KEYSPACE {}", fresh.keyspace));
    // Every table's files go with it: on a busy disk that takes longer than a request may.
    drop.set_request_timeout(Some(EMPTYING_MAX));
    let dropped = one.db.session().query_unpaged(drop, ()).await;
    dropped.expect("it is dropped");
}

#[tokio::test]
async fn a_fact_that_two_nodes_keep_at_once_stays_routed() {
    let Some(opened) = opened().await else { return };
    let facts = &opened.store.observations;
    for (number, lead) in [(1, None), (2, Some(lead_id(1)))] {
        let fact = observation(account_id(1), lead, number);
        let recorded = facts.record(fact.clone()).await;
        assert_eq!(recorded.expect("written"), Recorded::Fresh);
        facts.mark_routed(fact.id).await.expect("written");
        // A node that was asked to forward it and heard nothing for too long: it looked before the owner kept it, and writes after all that.
        let late = opened.core.observations.keep(&fact, Way::Mailbox);
        late.await.expect("written");
        assert!(facts.unrouted(None).await.expect("read").is_empty());
        let of_subject = facts.unrouted_of(account_id(1), lead).await.expect("read");
        assert!(
            of_subject.is_empty(),
            "routed twice, it could start what it never meant"
        );
        let mark = super::marks::MarkKind::FactOnItsWay;
        let open = opened.core.db.open_marks(mark, fact.shard()).await.expect("read");
        assert!(open.is_empty(), "there is nothing left to look at");
    }
}

#[tokio::test]
async fn a_run_that_nobody_made_is_in_no_list() {
    let Some(opened) = opened().await else { return };
    // What a crash between the entries and the run leaves behind.
    let ghost = run(account_id(1), workflow_id(1), 1);
    Box::pin(super::run_index::enter(&opened.core.db, &ghost.head))
        .await
        .expect("written");
    let page = opened
        .store
        .runs
        .list(account_id(1), RunFilter::default(), PageRequest::default())
        .await
        .expect("read");
    assert!(page.items.is_empty());
    assert!(matches!(
        opened.store.runs.load(RunId::fresh()).await,
        Err(StoreError::Missing { .. })
    ));
}
