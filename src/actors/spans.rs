//! The spans of what actors do: a fact that is brought on its way, a run that moves, an effect that is tried.
//!
//! Their places come from what they are about, so that whoever goes on after a crash, or on another node, goes on below them.

use crate::{
    domain::{
        ids::{CallId, ObservationId},
        observation::{EventType, Observation},
        time::Timestamp,
        trace::TraceContext,
    },
    telemetry::traces::{self, Span},
    workflows::{Effect, Run},
};

/// A fact that is brought to runs and starts some.
pub fn of_fact(observation: &Observation) -> Option<Span> {
    let (place, parent) = (observation.place()?, observation.trace?);
    // An account's own words may say anything.
    let is_ours = EventType::ALL.contains(&observation.kind);
    let name = if is_ours { observation.kind.as_str() } else { "own" };
    let mut span = Span::begin(format!("fact {name}"), place, parent)
        .with("patchcord.account_id", observation.account_id.to_string())
        .with("patchcord.event_id", observation.id.to_string());
    if let Some(call_id) = observation.call_id {
        span = span.with("patchcord.call_id", call_id.to_string());
    }
    if let Some(lead_id) = observation.lead_id {
        span = span.with("patchcord.lead_id", lead_id.to_string());
    }
    Some(span)
}

/// The place of the transition that brought the run to `revision`.
pub fn place_of(run: &Run, revision: u64) -> Option<TraceContext> {
    let trace = run.trace()?;
    Some(trace.derived(&[b"run", run.id().as_bytes(), &revision.to_be_bytes()]))
}

/// A run has moved to `revision`: it is on disk.
pub fn transition(run: &Run, revision: u64, by: &'static str, began: Timestamp) {
    let (Some(place), Some(parent)) = (place_of(run, revision), run.trace()) else {
        return;
    };
    Span::begun_at(began, format!("run {by}"), place, parent)
        .with("patchcord.account_id", run.account_id().to_string())
        .with("patchcord.workflow_id", run.workflow_id().to_string())
        .with("patchcord.run_id", run.id().to_string())
        .with(
            "patchcord.run_revision",
            i64::try_from(revision).unwrap_or(i64::MAX),
        )
        .with("patchcord.run_status", run.status().as_str())
        .end();
}

/// An effect that is tried, or looked up.
pub fn of_effect(doing: &'static str, effect: &Effect) -> Option<Span> {
    let parent = effect.trace?;
    let place = parent.derived(&[
        doing.as_bytes(),
        effect.key.as_bytes(),
        &effect.attempt.to_be_bytes(),
    ]);
    let span = Span::begin(format!("{doing} {}", effect.provider()), place, parent)
        .with("patchcord.account_id", effect.account_id.to_string())
        .with("patchcord.run_id", effect.run_id.to_string())
        .with("patchcord.node", effect.node.clone())
        .with("patchcord.attempt", i64::from(effect.attempt));
    Some(span)
}

/// What was said on a call, by its place in the call.
pub fn utterance_of(call_id: CallId, ordinal: u32, began: Timestamp) -> Option<Span> {
    let turn = ObservationId::derived(
        Timestamp::default(),
        &[b"utterance", call_id.as_bytes(), &ordinal.to_be_bytes()],
    );
    let place = traces::root(turn.as_bytes())?;
    let span = Span::begun_at(began, "utterance", place, place)
        .with("patchcord.call_id", call_id.to_string())
        .with("patchcord.utterance", i64::from(ordinal));
    Some(span)
}
