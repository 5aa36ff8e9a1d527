//! What only the embedded store promises: commits in groups, copies, one server per file; and, in `crash`, that what was
//! acknowledged survives `kill -9`. What every store promises is in `store/conformance`.

mod crash;

use std::sync::mpsc::{Receiver, channel};

use super::{SqliteGuard, backup, database, open};
use crate::store::{
    PageRequest, Store, StoreError, StoreResult,
    conformance::{
        self,
        samples::{account_id, lead, lead_id, task},
    },
};

/// A store in a folder of its own, gone with the value.
struct Opened {
    store: Store,
    guard: SqliteGuard,
    folder: tempfile::TempDir,
}

fn opened() -> Opened {
    let folder = tempfile::tempdir().expect("the test machine has a temporary folder");
    let (store, guard) = open(&folder.path().join("store.db")).expect("an empty folder takes a store");
    Opened { store, guard, folder }
}

mod contract {
    use super::{Opened, conformance};

    async fn opened() -> Option<Opened> {
        Some(super::opened())
    }

    conformance::suite!(opened);
}

/// Keeps the writer busy until the returned sender is used or dropped.
async fn hold_writer(guard: &SqliteGuard) -> std::sync::mpsc::Sender<()> {
    let (release, held): (_, Receiver<()>) = channel();
    let (began, is_held) = tokio::sync::oneshot::channel();
    let store = guard.store.clone();
    tokio::spawn(async move {
        store
            .write(move |_db| {
                began.send(()).map_err(|()| StoreError::Busy)?;
                // A dropped sender releases as well as a used one.
                match held.recv() {
                    Ok(()) | Err(std::sync::mpsc::RecvError) => Ok(()),
                }
            })
            .await
    });
    is_held.await.expect("the writer takes the job");
    release
}

/// Waits until `count` writes are queued behind the one that holds the writer.
async fn until_queued(guard: &SqliteGuard, count: usize) {
    while guard.store.queued_writes() < count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn writes_that_arrive_during_a_commit_share_the_next_one() {
    let opened = opened();
    let before = opened.guard.counts();
    let release = hold_writer(&opened.guard).await;
    let writes: Vec<_> = (0..100)
        .map(|number| {
            let tasks = opened.store.tasks.clone();
            tokio::spawn(async move { tasks.create(task(account_id(1), number)).await })
        })
        .collect();
    until_queued(&opened.guard, 100).await;
    drop(release);
    for write in writes {
        write.await.expect("the task ends by itself").expect("written");
    }
    let after = opened.guard.counts();
    assert_eq!(after.writes - before.writes, 101);
    // The held one, then the hundred in one commit, or in a few on a machine so slow that a commit fills its time.
    let commits = after.commits - before.commits;
    assert!((2..=20).contains(&commits), "{commits} commits");
}

#[tokio::test]
async fn a_write_that_fails_undoes_only_itself() {
    let opened = opened();
    store_two_leads(&opened.store).await;
    let release = hold_writer(&opened.guard).await;
    let leads = opened.store.leads.clone();
    let good = tokio::spawn(async move { leads.create(lead(account_id(1), 3)).await });
    until_queued(&opened.guard, 1).await;
    let store = opened.guard.store.clone();
    let bad = tokio::spawn(async move {
        store
            .write(|db| -> Result<(), StoreError> {
                db.execute("DELETE FROM leads", [])?;
                Err(StoreError::Taken { field: "nothing" })
            })
            .await
    });
    let store = opened.guard.store.clone();
    until_queued(&opened.guard, 2).await;
    let panicking = tokio::spawn(async move {
        store
            .write(|db| -> Result<(), StoreError> {
                db.execute("DELETE FROM leads", [])?;
                panic!("a bug of ours");
            })
            .await
    });
    until_queued(&opened.guard, 3).await;
    drop(release);
    good.await.expect("the task ends by itself").expect("written");
    assert!(matches!(
        bad.await.expect("the task ends by itself"),
        Err(StoreError::Taken { .. })
    ));
    assert!(matches!(
        panicking.await.expect("the task ends by itself"),
        Err(StoreError::Unavailable(_))
    ));
    let page = opened
        .store
        .leads
        .list(account_id(1), PageRequest::default())
        .await
        .expect("read");
    assert_eq!(page.items.len(), 3);
}

async fn store_two_leads(store: &Store) {
    for number in [1, 2] {
        store
            .leads
            .create(lead(account_id(1), number))
            .await
            .expect("written");
    }
}

#[tokio::test]
async fn a_commit_that_fails_is_told_to_everybody_in_it() {
    let opened = opened();
    store_two_leads(&opened.store).await;
    let tables = "CREATE TABLE parent (id INTEGER PRIMARY KEY);
        CREATE TABLE child (parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);";
    let made = opened
        .guard
        .store
        .write(|db| db.execute_batch(tables).map_err(StoreError::from));
    made.await.expect("the tables are made");
    // A commit is closed once its writes take long, so on a busy machine the two may come to stand in two: then once more.
    for number in 3..50 {
        let before = opened.guard.counts().commits;
        let (neighbour, spoiled) = spoil_together(&opened, number).await;
        assert!(matches!(spoiled, Err(StoreError::Unavailable(_))), "{spoiled:?}");
        let own = u64::from(neighbour.is_ok());
        assert_eq!(opened.guard.counts().commits - before, 2 + own, "{neighbour:?}");
        if own == 1 {
            continue;
        }
        assert!(
            matches!(neighbour, Err(StoreError::Unavailable(_))),
            "{neighbour:?}"
        );
        let kept = opened.store.leads.get(account_id(1), lead_id(number)).await;
        assert!(matches!(kept, Err(StoreError::Missing { .. })), "{kept:?}");
        let next = lead(account_id(1), number);
        opened.store.leads.create(next).await.expect("the writer goes on");
        return;
    }
    panic!("the two never stood in one commit");
}

/// A sound write, and behind it one whose dangling deferred reference is found by COMMIT and by nothing before it.
async fn spoil_together(opened: &Opened, number: u64) -> (StoreResult<()>, StoreResult<()>) {
    let release = hold_writer(&opened.guard).await;
    let leads = opened.store.leads.clone();
    let neighbour = tokio::spawn(async move { leads.create(lead(account_id(1), number)).await });
    until_queued(&opened.guard, 1).await;
    let store = opened.guard.store.clone();
    let spoiler = tokio::spawn(async move {
        store
            .write(|db| {
                db.execute_batch("INSERT INTO child VALUES (1)")
                    .map_err(StoreError::from)
            })
            .await
    });
    until_queued(&opened.guard, 2).await;
    drop(release);
    (
        neighbour.await.expect("the task ends by itself"),
        spoiler.await.expect("the task ends by itself"),
    )
}

/// A write that takes the writer's thread down with it.
struct Bomb;

impl super::writer::Write for Bomb {
    fn run(&mut self, _db: &rusqlite::Connection) -> bool {
        true
    }

    fn answer(self: Box<Self>, _failed: Option<std::sync::Arc<rusqlite::Error>>) {
        panic!("a bug of ours, outside every guard");
    }
}

#[tokio::test]
async fn nobody_waits_for_a_writer_that_died() {
    let opened = opened();
    let release = hold_writer(&opened.guard).await;
    opened
        .guard
        .store
        .writes
        .push(Box::new(Bomb))
        .await
        .expect("there is room");
    let leads = opened.store.leads.clone();
    let queued = tokio::spawn(async move { leads.create(lead(account_id(1), 1)).await });
    until_queued(&opened.guard, 2).await;
    drop(release);
    let queued = queued.await.expect("the task ends by itself");
    assert!(matches!(queued, Err(StoreError::Unavailable(_))), "{queued:?}");
    let later = opened.store.leads.create(lead(account_id(1), 2)).await;
    assert!(matches!(later, Err(StoreError::Unavailable(_))), "{later:?}");
}

#[tokio::test]
async fn a_closed_store_says_so_and_keeps_what_was_queued() {
    let Opened { store, guard, folder } = opened();
    let release = hold_writer(&guard).await;
    let leads = store.leads.clone();
    let queued = tokio::spawn(async move { leads.create(lead(account_id(1), 1)).await });
    until_queued(&guard, 1).await;
    drop(release);
    tokio::task::spawn_blocking(move || guard.shutdown())
        .await
        .expect("the threads end");
    queued
        .await
        .expect("the task ends by itself")
        .expect("it was queued before the end");
    let refused = store.leads.create(lead(account_id(1), 2)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let (store, _guard) = open(&folder.path().join("store.db")).expect("opened again");
    store.leads.get(account_id(1), lead_id(1)).await.expect("kept");
}

#[tokio::test]
async fn one_process_serves_a_file_and_tools_work_beside_it() {
    let opened = opened();
    let path = opened.folder.path().join("store.db");
    assert!(matches!(open(&path), Err(StoreError::Unavailable(_))));
    let (tool, _tool_guard) = super::open_beside(&path).expect("a tool may");
    tool.leads.create(lead(account_id(1), 1)).await.expect("written");
    opened
        .store
        .leads
        .get(account_id(1), lead_id(1))
        .await
        .expect("the server sees it");
}

#[tokio::test]
async fn a_backup_taken_under_writes_is_whole_and_can_be_restored() {
    let Opened { store, guard, folder } = opened();
    for number in 0..50 {
        store
            .tasks
            .create(task(account_id(1), number))
            .await
            .expect("written");
    }
    let tasks = store.tasks.clone();
    let writing = tokio::spawn(async move {
        for number in 50..150 {
            tasks.create(task(account_id(1), number)).await.expect("written");
        }
    });
    let copy = folder.path().join("copy.db");
    let served = folder.path().join("store.db");
    let (source, target) = (served.clone(), copy.clone());
    let copied = tokio::task::spawn_blocking(move || backup::copy_to(&source, &target)).await;
    let copied = copied.expect("the copy ends").expect("the copy is written");
    writing.await.expect("the task ends by itself");

    assert!(backup::restore(&copy, &served).is_err(), "not under a server");
    drop((store, guard));
    let restored = backup::restore(&copy, &served).expect("nobody serves it");
    assert_eq!(restored.copied, copied);
    let replaced = restored.replaced.expect("there was a file before");
    let (store, _guard) = open(&replaced).expect("it is kept whole");
    let page = store
        .tasks
        .list(
            account_id(1),
            PageRequest {
                limit: 200,
                cursor: None,
            },
        )
        .await;
    assert_eq!(page.expect("read").items.len(), 150);
    let (store, _guard) = open(&served).expect("opened again");
    let mut kept = 0;
    let mut request = PageRequest {
        limit: 200,
        cursor: None,
    };
    loop {
        let page = store.tasks.list(account_id(1), request).await.expect("read");
        kept += page.items.len();
        let Some(cursor) = page.next_cursor else { break };
        request = PageRequest {
            limit: 200,
            cursor: Some(cursor),
        };
    }
    assert!((50..=150).contains(&kept), "{kept} tasks");
}

#[test]
fn a_damaged_backup_is_refused_and_the_store_stays() {
    let folder = tempfile::tempdir().expect("the test machine has a temporary folder");
    let (served, copy) = (folder.path().join("store.db"), folder.path().join("copy.db"));
    drop(open(&served).expect("an empty folder takes a store"));
    let before = std::fs::read(&served).expect("it is there");
    std::fs::write(&copy, vec![7_u8; 8_192]).expect("the folder is ours");
    assert!(backup::restore(&copy, &served).is_err());
    assert_eq!(std::fs::read(&served).expect("it is there"), before);
}

#[tokio::test]
async fn the_log_is_long_from_the_start_and_what_was_written_is_read_behind_its_end() {
    let Opened { store, guard, folder } = opened();
    let (path, log) = (folder.path().join("store.db"), folder.path().join("store.db-wal"));
    let reserved = std::fs::metadata(&log).expect("there is a log").len();
    assert!(reserved >= 8 << 20, "{reserved} bytes");
    store.leads.create(lead(account_id(1), 1)).await.expect("written");
    assert_eq!(std::fs::metadata(&log).expect("there is a log").len(), reserved);
    // As after a crash: file and log are what another process finds.
    let copied = folder.path().join("crashed.db");
    std::fs::copy(&path, &copied).expect("the folder is ours");
    std::fs::copy(&log, folder.path().join("crashed.db-wal")).expect("the folder is ours");
    let (found, _guard) = open(&copied).expect("a long log is read");
    let leads = found.leads.list(account_id(1), PageRequest::default()).await;
    assert_eq!(leads.expect("read").items.len(), 1);
    drop((store, guard));
}

#[tokio::test]
async fn the_log_is_emptied_on_demand_and_at_the_end() {
    let Opened { store, guard, folder } = opened();
    let log = folder.path().join("store.db-wal");
    store.leads.create(lead(account_id(1), 1)).await.expect("written");
    assert!(std::fs::metadata(&log).expect("there is a log").len() > 0);
    let path = folder.path().join("store.db");
    let db = database::connect(&path, "").expect("a second connection");
    super::checkpoint::truncate(&db);
    assert_eq!(std::fs::metadata(&log).expect("there is a log").len(), 0);
    drop(db);
    drop((store, guard));
    assert!(std::fs::metadata(&log).map_or(0, |meta| meta.len()) == 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_busy_not_endless() {
    let opened = opened();
    let release = hold_writer(&opened.guard).await;
    let mut writes = tokio::task::JoinSet::new();
    for _ in 0..=super::writer::WRITES_QUEUED_MAX {
        let store = opened.guard.store.clone();
        writes.spawn(async move { store.write(|_db| Ok(())).await });
    }
    let first = writes
        .join_next()
        .await
        .expect("there are writes")
        .expect("the task ends by itself");
    assert!(matches!(first, Err(StoreError::Busy)), "{first:?}");
    drop(release);
    while let Some(write) = writes.join_next().await {
        write
            .expect("the task ends by itself")
            .expect("there was room for it");
    }
}
