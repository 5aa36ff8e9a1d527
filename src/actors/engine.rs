//! The workflow engine put together: effects behind their gate, timers, runs and leads, each knowing the others.
//!
//! In: what it stands on. Out: the handles of what it holds. The server and the simulation start the same one; whoever starts
//! it takes up what an earlier process left, once everything else stands.

use std::sync::{Arc, OnceLock};

use ractor::{ActorRef, SpawnErr};

use super::{
    cluster::neighbours::Neighbours,
    effects::{EffectsHandle, EffectsKind},
    gate::Gate,
    lead::LeadKind,
    leads::LeadsHandle,
    plans::Plans,
    rates::Limits,
    residents::Residents,
    run::RunKind,
    runs::RunsHandle,
    timers::TimersHandle,
};
use crate::{
    bus::{local::LocalBus, redis::allowance::Allowances},
    integrations::port::EffectPort,
    store::Store,
};

/// What an engine stands on.
pub struct EngineParts {
    pub store: Store,
    pub bus: LocalBus,
    pub port: Arc<dyn EffectPort>,
    pub gate: Gate,
    pub limits: Limits,
    pub allowances: Option<Allowances>,
    /// The number that messages go out from where nothing else is said.
    pub sender: String,
    pub neighbours: Neighbours,
}

/// A running engine.
pub struct Engine {
    pub plans: Plans,
    pub timers: TimersHandle,
    pub run_actors: Residents<RunKind>,
    pub runs: RunsHandle,
    pub leads: LeadsHandle,
}

impl Engine {
    /// Starts the engine's actors under `root`.
    ///
    /// # Errors
    /// When the root is no longer alive.
    pub async fn start(parts: EngineParts, root: &ActorRef<()>) -> Result<Self, SpawnErr> {
        let EngineParts {
            store,
            bus,
            port,
            gate,
            limits,
            allowances,
            sender,
            neighbours,
        } = parts;
        // Effects, runs and leads call one another: each finds the later ones in a cell that is filled once they stand.
        let runs_later = Arc::new(OnceLock::new());
        let lead_actors_later = Arc::new(OnceLock::new());
        let leads_later = Arc::new(OnceLock::new());
        let plans = Plans::new(store.clone());
        let timers = TimersHandle::start(root.get_cell()).await?;
        let effects_kind = EffectsKind {
            port,
            gate,
            limits,
            allowances,
            sender,
            store: store.clone(),
            bus: bus.clone(),
            ownership: neighbours.ownership().clone(),
            leads: Arc::clone(&leads_later),
        };
        let run_kind = RunKind {
            store: store.clone(),
            bus: bus.clone(),
            plans: plans.clone(),
            timers: timers.clone(),
            effects: EffectsHandle::start(effects_kind, root.get_cell()).await?,
            neighbours: neighbours.clone(),
            leads: Arc::clone(&lead_actors_later),
            runs: Arc::clone(&runs_later),
        };
        let run_actors = Residents::start(run_kind, root.get_cell()).await?;
        timers.connect(run_actors.clone());
        let runs = RunsHandle::new(
            store.clone(),
            plans.clone(),
            timers.clone(),
            neighbours.clone(),
            run_actors.clone(),
        );
        let lead_kind = LeadKind {
            store,
            bus,
            plans: plans.clone(),
            runs: runs.clone(),
            neighbours,
        };
        let lead_actors = Residents::start(lead_kind.clone(), root.get_cell()).await?;
        let leads = LeadsHandle::new(lead_kind, lead_actors.clone());
        // The cells are this function's own, so each is empty until here.
        let _ = runs_later.set(runs.clone());
        let _ = lead_actors_later.set(lead_actors);
        let _ = leads_later.set(leads.clone());
        Ok(Self {
            plans,
            timers,
            run_actors,
            runs,
            leads,
        })
    }
}
