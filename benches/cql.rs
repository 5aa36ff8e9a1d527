//! Measures the cluster's store against the server itself: durable transitions of runs a second, beside the bare conditional batch
//! that each of them is made of, in turns on the same server.
//!
//! The server is named by `PATCHCORD_TEST_CQL`; `scripts/bench-cql` starts one. A run is two transitions: created with an effect
//! claimed, and completed. The bare batch writes the same bytes without anything that a run is found by.

#[path = "support/append.rs"]
mod append;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use patchcord::{
    domain::ids::RunId,
    store::{
        RunStore,
        runs::{EffectState, RunAppend, RunStatus},
        scylla::{Address, open},
    },
};
use scylla::{
    client::{execution_profile::ExecutionProfile, session::Session, session_builder::SessionBuilder},
    statement::{
        Consistency, SerialConsistency,
        batch::{Batch, BatchType},
    },
};

use append::{ENTRY, REQUEST, SNAPSHOT_BYTES, advance, created, effect_key};

const IN_FLIGHT: usize = 64;
const MEASURE: Duration = Duration::from_secs(6);
const ROUNDS: usize = 5;

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let Ok(server) = std::env::var("PATCHCORD_TEST_CQL") else {
        println!(
            "PATCHCORD_TEST_CQL names no CQL server: nothing is measured (scripts/bench-cql starts one)"
        );
        return Ok(());
    };
    let keyspace = format!("patchcord_bench_{}", std::process::id());
    let address: Address = format!("scylla://{server}/{keyspace}?replication=1").parse()?;
    let store = open(&address).await?;
    let bare = Arc::new(Bare::open(&server, &keyspace).await?);
    // Prepares, and warms the server up.
    bare.rate(Duration::from_secs(3)).await?;
    durable_rate(&store.runs, Duration::from_secs(3)).await?;
    println!(
        "{IN_FLIGHT} in flight, {} s a turn; transitions a second, and the server's CPU for each",
        MEASURE.as_secs()
    );
    println!(
        "{:>6} {:>12} {:>12} {:>8} {:>10} {:>10} {:>8}",
        "round", "bare batch", "durable run", "ratio", "bare ms", "durable ms", "ratio"
    );
    let (mut ratios, mut by_cpu) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let bare_turn = turn(bare.rate(MEASURE)).await?;
        let durable = turn(durable_rate(&store.runs, MEASURE)).await?;
        let ratio = durable.rate / bare_turn.rate;
        let cpu_ratio = bare_turn.cpu_ms / durable.cpu_ms;
        println!(
            "{round:>6} {:>12.0} {:>12.0} {ratio:>8.2} {:>10.2} {:>10.2} {cpu_ratio:>8.2}",
            bare_turn.rate, durable.rate, bare_turn.cpu_ms, durable.cpu_ms
        );
        ratios.push(ratio);
        by_cpu.push(cpu_ratio);
    }
    ratios.sort_by(f64::total_cmp);
    by_cpu.sort_by(f64::total_cmp);
    println!(
        "median ratio {:.2}; by the server's CPU {:.2}",
        ratios[ROUNDS / 2],
        by_cpu[ROUNDS / 2]
    );
    bare.session
        .query_unpaged(format!("DROP KEYSPACE {keyspace}"), ())
        .await?;
    Ok(())
}

/// What a turn came to.
struct Turn {
    /// Transitions a second.
    rate: f64,
    /// The server's CPU for each; not a number when its process is not known.
    cpu_ms: f64,
}

async fn turn(work: impl Future<Output = anyhow::Result<f64>>) -> anyhow::Result<Turn> {
    let (began, cpu_before) = (Instant::now(), server_cpu_seconds());
    let rate = work.await?;
    let cpu = server_cpu_seconds() - cpu_before;
    let transitions = rate * began.elapsed().as_secs_f64();
    Ok(Turn {
        rate,
        cpu_ms: cpu / transitions * 1e3,
    })
}

/// CPU seconds the server has used, at the kernel's 100 ticks a second; `CQL_PID` names its process.
fn server_cpu_seconds() -> f64 {
    let stat = std::env::var("CQL_PID").and_then(|pid| {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|_gone| std::env::VarError::NotPresent)
    });
    let Ok(stat) = stat else { return f64::NAN };
    let ticks: u32 = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(11)
        .take(2)
        .flat_map(str::parse::<u32>)
        .sum();
    f64::from(ticks) / 100.0
}

/// Calls `run` by so many at once until the time is over; returns transitions a second, two for each.
async fn rate<F>(run_for: Duration, run: impl Fn(u64) -> F) -> anyhow::Result<f64>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let (count, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let mut callers = Vec::new();
    for _ in 0..IN_FLIGHT {
        callers.push(run(0));
    }
    let mut running = tokio::task::JoinSet::new();
    for caller in callers {
        running.spawn(caller);
    }
    let mut number = 0;
    while let Some(done) = running.join_next().await {
        done??;
        count.fetch_add(2, Ordering::Relaxed);
        if began.elapsed() < run_for {
            number += 1;
            running.spawn(run(number));
        }
    }
    let transitions = u32::try_from(count.load(Ordering::Relaxed))?;
    Ok(f64::from(transitions) / began.elapsed().as_secs_f64())
}

async fn durable_rate(runs: &Arc<dyn RunStore>, run_for: Duration) -> anyhow::Result<f64> {
    rate(run_for, |number| {
        let runs = Arc::clone(runs);
        async move {
            let mut append = created(RunId::fresh(), number);
            runs.create(append.clone()).await?;
            complete(&mut append);
            runs.append(append).await?;
            Ok(())
        }
    })
    .await
}

fn complete(append: &mut RunAppend) {
    advance(append);
    append.head.status = RunStatus::Completed;
    append.head.ended_at = Some(append.head.updated_at);
    append.effects[0].state = EffectState::Confirmed;
    append.effects[0].provider_id = Some("SM0123456789".to_owned());
}

/// The conditional batch alone.
struct Bare {
    session: Session,
    create: Batch,
    advance: Batch,
}

impl Bare {
    async fn open(server: &str, keyspace: &str) -> anyhow::Result<Self> {
        let profile = ExecutionProfile::builder()
            .consistency(Consistency::LocalQuorum)
            .serial_consistency(Some(SerialConsistency::LocalSerial))
            .build();
        let session = SessionBuilder::new()
            .known_node(server)
            .default_execution_profile_handle(profile.into_handle())
            .build()
            .await?;
        session.use_keyspace(keyspace, false).await?;
        session
            .query_unpaged(
                "CREATE TABLE bare (run blob, kind tinyint, seq bigint, name text, revision bigint static,
                    epoch bigint static, snapshot blob static, entry text, PRIMARY KEY (run, kind, seq, name))",
                (),
            )
            .await?;
        let set = "UPDATE bare SET revision = ?, epoch = ?, snapshot = ? WHERE run = ?";
        let create = batch(&session, &format!("{set} IF revision = null")).await?;
        let advance = batch(&session, &format!("{set} IF revision = 1 AND epoch <= 1")).await?;
        Ok(Self {
            session,
            create,
            advance,
        })
    }

    async fn rate(self: &Arc<Self>, run_for: Duration) -> anyhow::Result<f64> {
        rate(run_for, |_| {
            let bare = Arc::clone(self);
            async move {
                let id = RunId::fresh();
                bare.send(&bare.create, id, 1).await?;
                bare.send(&bare.advance, id, 2).await
            }
        })
        .await
    }

    async fn send(&self, batch: &Batch, id: RunId, revision: i64) -> anyhow::Result<()> {
        let run = id.as_bytes().as_slice();
        let two_lines = format!("\n{ENTRY}\n{ENTRY}");
        let key = effect_key(id);
        let values = (
            (revision, 1_i64, vec![b'x'; SNAPSHOT_BYTES], run),
            (run, 0_i8, revision * 2, "", two_lines.as_str()),
            (run, 1_i8, 0_i64, key.as_str(), REQUEST),
        );
        self.session.batch(batch, values).await?;
        Ok(())
    }
}

async fn batch(session: &Session, condition: &str) -> anyhow::Result<Batch> {
    let insert = "INSERT INTO bare (run, kind, seq, name, entry) VALUES (?, ?, ?, ?, ?)";
    let mut batch = Batch::new(BatchType::Unlogged);
    batch.append_statement(session.prepare(condition).await?);
    batch.append_statement(session.prepare(insert).await?);
    batch.append_statement(session.prepare(insert).await?);
    Ok(batch)
}
