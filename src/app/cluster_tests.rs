//! Three nodes in one process: each with its own runtime, actors, lease line and door, all over one store.
//!
//! A node dies with its runtime, at whatever it is doing, as a process does under `kill -9`; its heartbeat simply stops.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::json;
use tokio::runtime::Runtime;

use crate::{
    actors::{
        CallsHandle, LeadsHandle, ManualStart, RunsHandle, SchedulesHandle,
        asr::AsrHandle,
        call::CallKind,
        cluster::{
            Answering, Owner, Ownership,
            household::Household,
            keeper::{Keeper, Keeping},
            memory_leases::{Line, MemoryLeases},
            neighbours::Neighbours,
            signature::ClusterSecret,
            takeover::Estate,
        },
        engine::{Engine, EngineParts},
        gate::Gate,
        open_lines::OpenLines,
        rates::Limits,
        root::Root,
        schedules::Rounds,
        scoring::ScoringHandle,
    },
    bus::local::LocalBus,
    clock, config,
    domain::{
        ids::{AccountId, LeadId, NodeId, ObservationId, RunId, WorkflowId},
        lead::Lead,
        observation::{EventType, Observation},
        secret::Secret,
        shard::Shard,
    },
    http,
    integrations::{
        line::NoLine,
        port::{EffectOutcome, EffectPort},
        probe::NoProvider,
    },
    store::{
        PageRequest, Store,
        conformance::samples,
        leases::NodeRow,
        runs::{RunFilter, RunStatus},
        sqlite::{self, SqliteGuard},
        workflows::{WorkflowRow, WorkflowVersion},
    },
    workflows::{Effect, Finding},
};

const TTL: Duration = Duration::from_secs(3);
/// Generous: a loaded machine is not a failure.
const SOON: Duration = Duration::from_secs(60);

/// Carries everything out at once and counts.
#[derive(Default)]
struct Counting(Mutex<BTreeMap<String, u32>>);

#[async_trait::async_trait]
impl EffectPort for Counting {
    async fn execute(&self, effect: &Effect) -> EffectOutcome {
        let mut done = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *done.entry(effect.key.clone()).or_default() += 1;
        EffectOutcome::Confirmed {
            provider_id: None,
            output: json!({}),
        }
    }
    async fn settle(&self, effect: &Effect) -> Finding {
        let done = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if done.contains_key(&effect.key) {
            Finding::Present {
                provider_id: None,
                output: json!({}),
            }
        } else {
            Finding::Absent
        }
    }
}

/// What all nodes share.
struct World {
    store: Store,
    port: Arc<Counting>,
    leases: MemoryLeases,
    account_id: AccountId,
    _kept: (tempfile::TempDir, SqliteGuard),
}

struct Node {
    runtime: Runtime,
    runs: RunsHandle,
    leads: LeadsHandle,
    ownership: Ownership,
    _keeping: Keeping,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, guard) = sqlite::open(&folder.path().join("test.db")).expect("it opens");
        let account_id = samples::account_id(1);
        store
            .accounts
            .create_account(samples::account(1), samples::user(account_id, 1))
            .await
            .expect("written");
        Self {
            store,
            port: Arc::default(),
            leases: MemoryLeases::default(),
            account_id,
            _kept: (folder, guard),
        }
    }

    /// Starts a node on a runtime of its own.
    async fn join(&self) -> Node {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (store, port, line) = (self.store.clone(), Arc::clone(&self.port), self.leases.line());
        let started = runtime.spawn(start(store, port, line));
        let (runs, leads, ownership, keeping) = started.await.expect("it starts");
        Node {
            runtime,
            runs,
            leads,
            ownership,
            _keeping: keeping,
        }
    }

    async fn workflow(&self, trigger: &str) -> WorkflowId {
        let definition = json!({"name": "w", "trigger": {"type": trigger},
            "nodes": [
                {"id": "first", "type": "slack_message", "params": {"channel": "#a", "text": "hello"}},
                {"id": "wait", "type": "delay", "params": {"for": "2s"}},
                {"id": "second", "type": "slack_message", "params": {"channel": "#a", "text": "again"}}],
            "edges": [{"from": "trigger", "to": "first"}, {"from": "first", "to": "wait"}, {"from": "wait", "to": "second"}]});
        let row = WorkflowRow {
            id: WorkflowId::fresh(),
            draft: definition.to_string(),
            trigger: trigger.to_owned(),
            ..samples::workflow(self.account_id, 1)
        };
        let version = WorkflowVersion {
            definition: definition.to_string(),
            ..samples::version(row.id, 1)
        };
        let id = row.id;
        self.store
            .workflows
            .create(row, Some(version))
            .await
            .expect("written");
        id
    }

    async fn lead(&self) -> LeadId {
        let lead = Lead::nameless(LeadId::fresh(), self.account_id, clock::now());
        let id = lead.id;
        self.store.leads.create(lead).await.expect("written");
        id
    }

    fn fact(&self, lead_id: Option<LeadId>) -> Observation {
        Observation {
            id: ObservationId::fresh(),
            account_id: self.account_id,
            kind: EventType::QUOTE_SENT,
            at: clock::now(),
            lead_id,
            call_id: None,
            caused_by: None,
            trace: None,
            data: json!({}),
        }
    }

    async fn runs_with(&self, status: RunStatus) -> usize {
        let (mut count, mut cursor) = (0, None);
        loop {
            let filter = RunFilter {
                status: Some(status),
                ..RunFilter::default()
            };
            let page = PageRequest { limit: 200, cursor };
            let found = self
                .store
                .runs
                .list(self.account_id, filter, page)
                .await
                .expect("read");
            count += found.items.len();
            cursor = found.next_cursor;
            if cursor.is_none() {
                return count;
            }
        }
    }

    /// Every effect was carried out once, and none twice.
    fn effects(&self) -> (usize, bool) {
        let done = self.port.0.lock().unwrap_or_else(PoisonError::into_inner);
        (done.len(), done.values().all(|times| *times == 1))
    }
}

const NO_LIMITS: Limits = Limits {
    concurrency: 16,
    messages_per_s: 0,
    account_messages_per_s: 0,
    calls_per_s: 0,
    breaker_after: 0,
    breaker_pause: Duration::from_secs(1),
};

async fn start(
    store: Store,
    port: Arc<Counting>,
    line: Line,
) -> (RunsHandle, LeadsHandle, Ownership, Keeping) {
    let settings = config::load(None).expect("the defaults");
    let (root, _) = Root::start().await.expect("a root");
    let ownership = Ownership::among_nodes();
    let secret = ClusterSecret::Set(Secret::new("a secret".to_owned()));
    let neighbours = Neighbours::new(ownership.clone(), secret).expect("a client");
    let bus = LocalBus::new(1);
    let parts = EngineParts {
        store: store.clone(),
        bus: bus.clone(),
        port,
        gate: Gate::new(store.clone(), &settings.gate).expect("a gate"),
        limits: NO_LIMITS,
        allowances: None,
        sender: String::new(),
        neighbours: neighbours.clone(),
    };
    let engine = Engine::start(parts, &root).await.expect("an engine");
    let call_kind = CallKind {
        store: store.clone(),
        plans: engine.plans.clone(),
        bus: bus.clone(),
        leads: engine.leads.clone(),
        asr: AsrHandle::without_model(),
        scoring: ScoringHandle::start().expect("a scorer"),
        probe: Arc::new(NoProvider),
        line: Arc::new(NoLine),
        neighbours: neighbours.clone(),
        lines: OpenLines::default(),
        lost_after: Duration::from_secs(30),
    };
    let calls = CallsHandle::start(call_kind, root.get_cell())
        .await
        .expect("calls");
    let rounds = Rounds {
        store: store.clone(),
        plans: engine.plans,
        runs: engine.runs.clone(),
        leads: engine.leads.clone(),
        ownership: ownership.clone(),
    };
    let estate = Estate {
        store,
        bus: bus.clone(),
        ownership: ownership.clone(),
        runs: engine.runs.clone(),
        leads: engine.leads.clone(),
        calls: calls.clone(),
        schedules: SchedulesHandle::start(rounds, root.get_cell())
            .await
            .expect("schedules"),
        run_actors: engine.run_actors,
        timers: engine.timers,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let answering = Answering::new(engine.runs.clone(), engine.leads.clone(), calls, bus, neighbours);
    let door = http::internal::words::router(answering).into_make_service();
    tokio::spawn(async move { axum::serve(listener, door).await });
    estate.look_after();
    let node = NodeRow {
        id: NodeId::fresh(),
        address,
    };
    let household: Arc<dyn Household> = Arc::new(estate);
    let keeping = Keeper::new(Arc::new(line), ownership.clone(), household, node, TTL).start();
    (engine.runs, engine.leads, ownership, keeping)
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = tokio::time::Instant::now();
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    while !is_so().await {
        assert!(began.elapsed() < SOON, "{what}: not in time");
        looks.tick().await;
    }
}

/// Waits until the nodes share everything among them and each knows where the rest is.
async fn until_spread(nodes: &[&Node]) {
    until("the shards are spread", async || {
        let least = 256 / nodes.len();
        let sizes = nodes.iter().map(|node| owned(node).len());
        let known = nodes
            .iter()
            .all(|node| Shard::all().all(|shard| node.ownership.owner_of(shard) != Owner::Nobody));
        known && sizes.clone().sum::<usize>() == 256 && sizes.min().unwrap_or(0) >= least
    })
    .await;
}

fn owned(node: &Node) -> Vec<Shard> {
    Shard::all()
        .filter(|shard| node.ownership.owns(*shard).is_some())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_or_a_question_on_any_node_is_done_once_by_its_owner() {
    let world = World::new().await;
    let nodes = [world.join().await, world.join().await, world.join().await];
    until_spread(&nodes.iter().collect::<Vec<_>>()).await;
    world.workflow("quote.sent").await;
    for number in 0..30_usize {
        let lead_id = if number % 2 == 0 {
            Some(world.lead().await)
        } else {
            None
        };
        let fact = world.fact(lead_id);
        // The same fact comes in at two doors.
        for node in [&nodes[number % 3], &nodes[(number + 1) % 3]] {
            node.leads.observe(fact.clone()).await.expect("kept");
        }
    }
    until("every run ends", async || {
        world.runs_with(RunStatus::Completed).await == 30
    })
    .await;
    assert_eq!(world.effects(), (60, true));

    let manual = world.workflow("manual").await;
    let start = |dedupe: Option<String>, lead_id| ManualStart {
        account_id: world.account_id,
        workflow_id: manual,
        lead_id,
        data: json!({}),
        dedupe,
        trace: None,
    };
    let one = nodes[0]
        .runs
        .execute(start(Some("once".to_owned()), None))
        .await
        .expect("started");
    let two = nodes[1]
        .runs
        .execute(start(Some("once".to_owned()), None))
        .await
        .expect("started");
    assert_eq!(one, two);
    let lead_id = world.lead().await;
    for node in &nodes {
        let run: RunId = node
            .runs
            .execute(start(None, Some(lead_id)))
            .await
            .expect("started");
        assert_eq!(run.shard(), lead_id.shard());
        // Another node than the one that started it.
        nodes[2]
            .runs
            .cancel(world.account_id, run, "enough".to_owned())
            .await
            .expect("cancelled");
        let again = nodes[1]
            .runs
            .cancel(world.account_id, run, "enough".to_owned())
            .await;
        assert_eq!(again.expect_err("it has ended").code(), "ended");
    }
    for node in nodes {
        node.runtime.shutdown_background();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_under_load_is_taken_over_and_nothing_is_lost_or_done_twice() {
    let world = World::new().await;
    let [one, two, dying] = [world.join().await, world.join().await, world.join().await];
    until_spread(&[&one, &two, &dying]).await;
    world.workflow("quote.sent").await;
    let mut facts = 0;
    for number in 0..90_usize {
        let lead_id = if number % 2 == 0 {
            Some(world.lead().await)
        } else {
            None
        };
        let door = [&one, &two, &dying][number % 3];
        door.leads.observe(world.fact(lead_id)).await.expect("kept");
        facts += 1;
    }
    let theirs = owned(&dying);
    let died = tokio::time::Instant::now();
    dying.runtime.shutdown_background();
    // What belongs to the dead node is kept for whoever takes over.
    for number in 0..10_usize {
        let door = [&one, &two][number % 2];
        door.leads
            .observe(world.fact(Some(world.lead().await)))
            .await
            .expect("kept");
        facts += 1;
    }
    until("its shards are taken over", async || {
        theirs.iter().all(|shard| {
            [&one, &two]
                .iter()
                .any(|node| node.ownership.owns(*shard).is_some())
        })
    })
    .await;
    println!(
        "takeover of {} shards: {:?} after the death, lease {TTL:?}",
        theirs.len(),
        died.elapsed()
    );
    until("every run ends", async || {
        world.runs_with(RunStatus::Completed).await == facts
    })
    .await;
    assert_eq!(world.effects(), (facts * 2, true));
    for node in [one, two] {
        node.runtime.shutdown_background();
    }
}
