//! The actors: started in the order in which they know each other, then joined to the other nodes, or left to take up what an earlier
//! process of this box left.

use std::{sync::Arc, time::Duration};

use ractor::ActorRef;

use super::cluster::{Member, Membership};
use crate::{
    actors::{
        CallsHandle, LeadsHandle, RunsHandle, SchedulesHandle,
        asr::AsrHandle,
        call::CallKind,
        cluster::{Ownership, takeover::Estate},
        engine::{Engine, EngineParts},
        gate::Gate,
        open_lines::OpenLines,
        rates::Limits,
        schedules::Rounds,
        scoring::ScoringHandle,
        sweeping,
    },
    bus::{local::LocalBus, redis::allowance::Allowances},
    config::Settings,
    integrations::{line::CallLine, port::EffectPort, probe::CallProbe},
    store::Store,
};

/// How the actors hear and reach the world.
pub(super) struct Senses {
    pub asr: AsrHandle,
    pub port: Arc<dyn EffectPort>,
    pub probe: Arc<dyn CallProbe>,
    pub line: Arc<dyn CallLine>,
    /// Rates that all nodes keep together.
    pub allowances: Option<Allowances>,
}

/// The actors' handles.
pub(super) struct Actors {
    pub calls: CallsHandle,
    pub leads: LeadsHandle,
    pub runs: RunsHandle,
    pub schedules: SchedulesHandle,
}

/// Starts them all under `root`.
///
/// # Errors
/// When a setting of the gate is wrong, a shipped model is broken, or the store cannot be read.
pub(super) async fn start(
    settings: &Settings,
    store: &Store,
    bus: &LocalBus,
    senses: Senses,
    membership: Membership,
    root: &ActorRef<()>,
) -> anyhow::Result<(Actors, Member)> {
    let parts = EngineParts {
        store: store.clone(),
        bus: bus.clone(),
        port: senses.port,
        gate: Gate::new(store.clone(), &settings.gate)?,
        limits: limits_of(settings),
        allowances: senses.allowances,
        sender: settings.twilio.from_number.clone(),
        neighbours: membership.neighbours().clone(),
    };
    let engine = Engine::start(parts, root).await?;
    let call_kind = CallKind {
        store: store.clone(),
        plans: engine.plans.clone(),
        bus: bus.clone(),
        leads: engine.leads.clone(),
        asr: senses.asr,
        scoring: ScoringHandle::start()?,
        probe: senses.probe,
        line: senses.line,
        neighbours: membership.neighbours().clone(),
        lines: OpenLines::default(),
        lost_after: Duration::from_secs(settings.calls.lost_after_s),
    };
    let calls = CallsHandle::start(call_kind, root.get_cell()).await?;
    let ownership = membership.neighbours().ownership().clone();
    let schedules = start_schedules(store, &engine, ownership.clone(), root).await?;
    let estate = Estate {
        store: store.clone(),
        bus: bus.clone(),
        ownership: ownership.clone(),
        runs: engine.runs.clone(),
        leads: engine.leads.clone(),
        calls: calls.clone(),
        schedules: schedules.clone(),
        run_actors: engine.run_actors,
        timers: engine.timers,
    };
    let actors = Actors {
        calls,
        leads: engine.leads,
        runs: engine.runs,
        schedules,
    };
    if !ownership.is_shared() {
        take_up_everything(&actors).await?;
    }
    sweeping::start(store.clone(), ownership, root.get_cell()).await?;
    let member = membership.join(store.leases.clone(), estate).await;
    Ok((actors, member))
}

async fn start_schedules(
    store: &Store,
    engine: &Engine,
    ownership: Ownership,
    root: &ActorRef<()>,
) -> anyhow::Result<SchedulesHandle> {
    let rounds = Rounds {
        store: store.clone(),
        plans: engine.plans.clone(),
        runs: engine.runs.clone(),
        leads: engine.leads.clone(),
        ownership,
    };
    Ok(SchedulesHandle::start(rounds, root.get_cell()).await?)
}

/// How fast effects may go.
fn limits_of(settings: &Settings) -> Limits {
    Limits {
        concurrency: settings.effects.concurrency.max(1),
        messages_per_s: settings.twilio.messages_per_s,
        account_messages_per_s: settings.gate.account_messages_per_s,
        calls_per_s: settings.gate.calls_per_s,
        breaker_after: settings.gate.breaker_after,
        breaker_pause: Duration::from_secs(settings.gate.breaker_pause_s),
    }
}

/// Takes up what an earlier process left, on one box.
async fn take_up_everything(actors: &Actors) -> anyhow::Result<()> {
    let runs = actors.runs.recover().await?;
    let observations = actors.leads.recover().await?;
    let calls = actors.calls.recover(None).await?;
    tracing::info!(runs, observations, calls, "took up what was under way");
    Ok(())
}
