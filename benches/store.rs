//! Measures the embedded store: durable appends a second with 1, 16 and 256 in flight, and the reads of a hot path.
//!
//! What one append is, `support/append.rs` says. The disk's own speed for flushed writes is printed beside it: every figure here is
//! a multiple of that.

#[path = "support/append.rs"]
mod append;

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
    domain::ids::RunId,
    store::{
        PageRequest, Store,
        runs::{RunFilter, RunStatus},
        sqlite::{self, SqliteGuard},
    },
};

use append::{ACCOUNT, advance, created};

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
                    let mut append = created(RunId::fresh(), number);
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

fn bench_reads(
    criterion: &mut Criterion,
    runtime: &tokio::runtime::Runtime,
    store: &Store,
) -> anyhow::Result<()> {
    let id = RunId::fresh();
    runtime.block_on(store.runs.create(created(id, 0)))?;
    criterion.bench_function("load one run", |bencher| {
        bencher.iter(|| {
            runtime
                .block_on(store.runs.load(id))
                .map(|(head, _)| head.revision)
                .unwrap_or_default()
        });
    });
    criterion.bench_function("list a page of 50 runs", |bencher| {
        bencher.iter(|| {
            let page = runtime.block_on(store.runs.list(
                ACCOUNT,
                RunFilter::default(),
                PageRequest::default(),
            ));
            page.map(|page| page.items.len()).unwrap_or_default()
        });
    });
    Ok(())
}
