//! Measures the embedded store: durable appends a second with 1, 16 and 256 in flight, and the reads of a hot path.
//!
//! One append is a run's transition as the runs actor writes it: head, snapshot of 600 bytes, two journal lines, one effect.
//! The disk's own speed for flushed writes is printed beside it: every figure here is a multiple of that.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use criterion::Criterion;
use patchcord::{
    domain::{
        ids::{AccountId, RunId, WorkflowId},
        time::Timestamp,
    },
    store::{
        PageRequest, Store,
        runs::{EffectRow, EffectState, JournalLine, RunAppend, RunFilter, RunHead, RunStatus},
        sqlite::{self, SqliteGuard},
    },
};

const SNAPSHOT_BYTES: usize = 600;
const MEASURE: Duration = Duration::from_secs(3);

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let folder = tempfile::tempdir()?;
    print_flush_rate(folder.path())?;
    let (store, guard) = sqlite::open(&folder.path().join("store.db"))?;
    for in_flight in [1, 16, 256] {
        runtime.block_on(print_appends(&store, &guard, in_flight))?;
    }
    let mut criterion = Criterion::default().configure_from_args();
    bench_reads(&mut criterion, &runtime, &store)?;
    criterion.final_summary();
    Ok(())
}

/// Prints how often the disk takes a flushed 4 KB write.
fn print_flush_rate(folder: &Path) -> anyhow::Result<()> {
    let mut file = File::create(folder.join("flush"))?;
    let (began, mut flushes) = (Instant::now(), 0_u32);
    while began.elapsed() < Duration::from_secs(1) {
        file.write_all(&[0_u8; 4_096])?;
        file.sync_data()?;
        flushes += 1;
    }
    println!(
        "disk: {:.0} flushed writes/s",
        f64::from(flushes) / began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Prints durable appends a second by `in_flight` callers who each wait for their own.
async fn print_appends(store: &Store, guard: &SqliteGuard, in_flight: usize) -> anyhow::Result<()> {
    let counter = Arc::new(AtomicU64::new(0));
    let (before, began, cpu_before) = (guard.counts(), Instant::now(), cpu_seconds()?);
    let callers: Vec<_> = (0..in_flight)
        .map(|_| {
            let (runs, counter) = (store.runs.clone(), Arc::clone(&counter));
            tokio::spawn(async move {
                let mut worst = Duration::ZERO;
                while began.elapsed() < MEASURE {
                    let number = counter.fetch_add(1, Ordering::Relaxed);
                    let mut append = transition(RunId::fresh(), number);
                    for status in [RunStatus::Running, RunStatus::Waiting, RunStatus::Completed] {
                        let asked = Instant::now();
                        append.head.status = status;
                        if status == RunStatus::Running {
                            runs.create(append.clone()).await?;
                        } else {
                            runs.append(append.clone()).await?;
                        }
                        worst = worst.max(asked.elapsed());
                        advance(&mut append);
                    }
                }
                Ok::<_, anyhow::Error>(worst)
            })
        })
        .collect();
    let mut worst = Duration::ZERO;
    for caller in callers {
        worst = worst.max(caller.await??);
    }
    let seconds = began.elapsed().as_secs_f64();
    let (after, cpu) = (guard.counts(), cpu_seconds()? - cpu_before);
    let count = |number: u64| u32::try_from(number).map(f64::from);
    let (writes, commits) = (
        count(after.writes - before.writes)?,
        count(after.commits - before.commits)?,
    );
    println!(
        "appends, {in_flight:3} in flight: {:7.0}/s  {:6.0} commits/s  {:5.1} a commit  worst {:6.1} ms  {:5.1} us CPU each",
        writes / seconds,
        commits / seconds,
        writes / commits,
        worst.as_secs_f64() * 1e3,
        cpu / writes * 1e6,
    );
    Ok(())
}

/// CPU seconds this process has used, user and system, at the kernel's 100 ticks a second.
fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u32 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .flat_map(str::parse::<u32>)
        .sum();
    Ok(f64::from(ticks) / 100.0)
}

fn transition(id: RunId, number: u64) -> RunAppend {
    let at = Timestamp::from_unix_millis(1_795_000_000_000 + number);
    let account_id = AccountId::from_bytes([1; 16]);
    RunAppend {
        head: RunHead {
            id,
            account_id,
            workflow_id: WorkflowId::from_bytes([2; 16]),
            version: 1,
            lead_id: None,
            call_id: None,
            retry_of: None,
            trigger: "call.no_answer".to_owned(),
            status: RunStatus::Running,
            revision: 1,
            started_at: at,
            updated_at: at,
            ended_at: None,
            error: None,
        },
        epoch: 1,
        snapshot: vec![b'x'; SNAPSHOT_BYTES],
        journal: lines(0, at),
        parts: Vec::new(),
        drops_parts: false,
        timers_set: Vec::new(),
        timers_cleared: Vec::new(),
        effects: vec![EffectRow {
            key: format!("{id}/tell/0/0"),
            run_id: id,
            account_id,
            state: EffectState::Claimed,
            attempt: 1,
            request: "{\"type\":\"send_sms\",\"to\":\"+14155550100\",\"body\":\"We tried to call you.\"}"
                .to_owned(),
            provider_id: None,
            error: None,
            at,
        }],
    }
}

/// Moves to the run's next transition.
fn advance(append: &mut RunAppend) {
    append.journal = lines(append.head.revision * 2, append.head.updated_at);
    append.head.revision += 1;
}

fn lines(from: u64, at: Timestamp) -> Vec<JournalLine> {
    let entry =
        "{\"node\":\"tell\",\"input\":{\"to\":\"+14155550100\"},\"output\":{\"sid\":\"SM0123456789\"}}";
    [from, from + 1]
        .map(|seq| JournalLine {
            seq,
            at,
            entry: entry.to_owned(),
        })
        .into()
}

fn bench_reads(
    criterion: &mut Criterion,
    runtime: &tokio::runtime::Runtime,
    store: &Store,
) -> anyhow::Result<()> {
    let id = RunId::fresh();
    runtime.block_on(store.runs.create(transition(id, 0)))?;
    criterion.bench_function("load one run", |bencher| {
        bencher.iter(|| {
            runtime
                .block_on(store.runs.load(id))
                .map(|(head, _)| head.revision)
                .unwrap_or_default()
        });
    });
    let account = AccountId::from_bytes([1; 16]);
    criterion.bench_function("list a page of 50 runs", |bencher| {
        bencher.iter(|| {
            let page = runtime.block_on(store.runs.list(
                account,
                RunFilter::default(),
                PageRequest::default(),
            ));
            page.map(|page| page.items.len()).unwrap_or_default()
        });
    });
    Ok(())
}
