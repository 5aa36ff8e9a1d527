//! One process: the actors over the store, from their start until the process dies or everything has ended.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use crate::{
    actors::{
        LeadsHandle, RunsHandle,
        dispatch::Limits,
        effects::{EffectsHandle, EffectsKind},
        gate::{Gate, GateSettings},
        lead::LeadKind,
        plans::Plans,
        residents::Residents,
        root::Root,
        run::RunKind,
        timers::TimersHandle,
    },
    bus::local::LocalBus,
    clock,
    domain::time::Timestamp,
    integrations::port::EffectPort,
    store::Store,
    workflows::gate_rules::WhenCapped,
};

/// Rates that hold nothing up for long.
const LIMITS: Limits = Limits {
    concurrency: 64,
    messages_per_s: 50,
    account_messages_per_s: 0,
    calls_per_s: 50,
    breaker_after: 10,
    breaker_pause: Duration::from_secs(30),
};

/// The living parts.
pub(super) struct Life {
    pub(super) store: Store,
    pub(super) runs: RunsHandle,
    pub(super) leads: LeadsHandle,
}

impl Life {
    /// Starts the actors and takes up what an earlier life left, as `app` does.
    ///
    /// # Errors
    /// When the store fails: then the process ends at once.
    pub(super) async fn begin(store: Store, port: Arc<dyn EffectPort>) -> anyhow::Result<Self> {
        let bus = LocalBus::new(clock::now().as_unix_millis());
        let (root, _) = Root::start().await?;
        let plans = Plans::new(store.clone());
        let timers = TimersHandle::start(root.get_cell()).await?;
        let leads_later = Arc::new(OnceLock::new());
        let facts_later = Arc::new(OnceLock::new());
        let runs_later = Arc::new(OnceLock::new());
        let effects_kind = EffectsKind {
            port,
            gate: Gate::new(store.clone(), open_gate())?,
            limits: LIMITS,
            sender: "+14155550100".to_owned(),
            store: store.clone(),
            bus: bus.clone(),
            leads: Arc::clone(&facts_later),
        };
        let effects = EffectsHandle::start(effects_kind, root.get_cell()).await?;
        let run_kind = RunKind {
            store: store.clone(),
            bus: bus.clone(),
            plans: plans.clone(),
            timers: timers.clone(),
            effects,
            leads: Arc::clone(&leads_later),
            runs: Arc::clone(&runs_later),
        };
        let run_actors = Residents::start(run_kind, root.get_cell()).await?;
        timers.connect(run_actors.clone());
        let runs = RunsHandle::new(store.clone(), plans.clone(), timers, run_actors);
        // Set once each: nothing else holds the cells.
        let _ = runs_later.set(runs.clone());
        let lead_kind = LeadKind {
            store: store.clone(),
            bus,
            plans,
            runs: runs.clone(),
        };
        let lead_actors = Residents::start(lead_kind.clone(), root.get_cell()).await?;
        let _ = leads_later.set(lead_actors.clone());
        let leads = LeadsHandle::new(lead_kind, lead_actors);
        let _ = facts_later.set(leads.clone());
        runs.recover().await?;
        leads.recover().await?;
        Ok(Self { store, runs, leads })
    }
}

/// A gate that keeps nobody: its rules have tests of their own.
fn open_gate() -> GateSettings {
    GateSettings {
        quiet_hours: String::new(),
        timezone: "America/New_York".to_owned(),
        require_consent: false,
        reply_within_s: 0,
        caps_replies: false,
        when_capped: WhenCapped::Hold,
        sms_per_day: 0,
        sms_per_week: 0,
        call_per_day: 0,
        call_per_week: 0,
        email_per_day: 0,
        email_per_week: 0,
        account_messages_per_s: 0,
        calls_per_s: 50,
        breaker_after: 10,
        breaker_pause_s: 30,
    }
}

/// Runs `process` on a thread-bound runtime whose time is virtual and begins at `from`; returns what came of it and when it
/// ended. With the runtime everything dies that is still alive.
pub(super) fn in_virtual_time<T>(from: Timestamp, process: impl Future<Output = T>) -> (T, Timestamp) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without threads needs nothing");
    let ended = runtime.block_on(async {
        clock::virtual_time::set(from);
        let outcome = process.await;
        (outcome, clock::now())
    });
    drop(runtime);
    clock::virtual_time::unset();
    ended
}
