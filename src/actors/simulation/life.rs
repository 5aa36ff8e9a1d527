//! One process: the actors over the store, from their start until the process dies or everything has ended.

use std::{future::Future, sync::Arc, time::Duration};

use crate::{
    actors::{
        LeadsHandle, RunsHandle,
        cluster::neighbours::Neighbours,
        engine::{Engine, EngineParts},
        gate::{Gate, GateSettings},
        rates::Limits,
        root::Root,
    },
    bus::local::LocalBus,
    clock,
    domain::time::Timestamp,
    integrations::port::EffectPort,
    store::Store,
    workflows::gate_caps::WhenCapped,
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
        let (root, _) = Root::start().await?;
        let parts = EngineParts {
            store: store.clone(),
            bus: LocalBus::new(clock::now().as_unix_millis()),
            port,
            gate: Gate::new(store.clone(), &open_gate())?,
            limits: LIMITS,
            allowances: None,
            sender: "+14155550100".to_owned(),
            neighbours: Neighbours::none(),
        };
        let Engine { runs, leads, .. } = Engine::start(parts, &root).await?;
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
