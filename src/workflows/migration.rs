//! Waiting runs and a version that came after them: where each would land, and the move itself. Pure.
//!
//! A run keeps the version it started with until a person moves it. A token stays where it waits, with its timer or its effect,
//! when its node is in the new version under the same id and of the same kind; otherwise the person says at which node of the new
//! version it goes on, and it enters that one anew. What earlier steps gave comes along.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    definition::{Definition, Edge, NodeDefinition},
    effect::Command,
    graph,
    journal::{Entry, JournalEntry},
    mover::Mover,
    nodes,
    plan::Plan,
    run::{Phase, Run, RunSeed, Token, TokenState},
    scope::World,
    snapshot::Kept,
    transition::Transition,
};
use crate::domain::{ids::RunId, time::Timestamp};

/// What became of a node in the other version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The same id, kind, params and rules.
    Unchanged,
    /// The same id and kind, and something else about it is different.
    Changed,
    /// No node of that id, or one of another kind.
    Gone,
}

/// One place where a run stands, seen from another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Place {
    pub node: String,
    /// The node's kind, `delay`.
    pub kind: String,
    /// How often the run came by the node before, from 0.
    pub visit: u32,
    /// The time it waits for, when it waits for one.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub waiting_until: Option<Timestamp>,
    pub fate: Fate,
    /// The node of the other version where it would go on; null when a person has to say.
    pub lands_at: Option<String>,
    /// Why it cannot just go on; null when it can.
    pub reason: Option<String>,
}

/// A move to another version.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Migration {
    pub version: u32,
    /// Where tokens go on that cannot or should not stay: node of the old version → node of the new one.
    pub landing: BTreeMap<String, String>,
}

/// Why a run stays on its version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MigrationError {
    #[error("the run has ended or is ending")]
    Over,
    #[error("the run is on version {0} already")]
    AlreadyThere(u32),
    #[error("`{0}` is not in the new version: say at which node the run goes on")]
    Gone(String),
    #[error("the new version has no node `{0}`")]
    NoSuchNode(String),
    #[error("what `{0}` does is on its way: try again when it is done")]
    OnItsWay(String),
    #[error("`{0}` would go on in another loop than it stands in: let the run finish, or restart it")]
    OtherLoop(String),
}

/// Returns where each token of `run` would land in `to`, as [`migrate`] would decide when nobody says otherwise.
#[must_use]
pub fn places(run: &Run, from: &Definition, to: &Definition) -> Vec<Place> {
    let place = |token: &Token| {
        let before = node_of(from, &token.node);
        let landing = landing(token, from, to, None);
        Place {
            node: token.node.clone(),
            kind: before.map(|node| node.kind.clone()).unwrap_or_default(),
            visit: token.visit,
            waiting_until: token.state.alarm().map(|alarm| alarm.1),
            fate: fate(before, node_of(to, &token.node)),
            lands_at: landing.is_ok().then(|| token.node.clone()),
            reason: landing.err().map(|error| error.to_string()),
        }
    };
    run.tokens.values().map(place).collect()
}

/// Where a token goes on: `None` when it stays as it is, else the node that it enters, which a person has `wanted`.
fn landing<'a>(
    token: &Token,
    from: &Definition,
    to: &Definition,
    wanted: Option<&'a String>,
) -> Result<Option<&'a str>, MigrationError> {
    let node = &token.node;
    match wanted {
        Some(landing) if node_of(to, landing).is_none() => {
            return Err(MigrationError::NoSuchNode(landing.clone()));
        }
        Some(_) if is_held_to(&token.state) => return Err(MigrationError::OnItsWay(node.clone())),
        None if fate(node_of(from, node), node_of(to, node)) == Fate::Gone => {
            return Err(MigrationError::Gone(node.clone()));
        }
        Some(_) | None => (),
    }
    // An item's token that came out of its loop would do what lies behind the loop once for each item.
    if loops_around(from, node) != loops_around(to, wanted.unwrap_or(node)) {
        return Err(MigrationError::OtherLoop(node.clone()));
    }
    Ok(wanted.map(String::as_str))
}

/// The loops through whose bodies every way to a node leads.
fn loops_around<'a>(definition: &'a Definition, node: &str) -> BTreeSet<&'a str> {
    let body_port = |edge: &Edge| nodes::kind(&node_of(definition, &edge.from)?.kind)?.body_port();
    graph::loops_around(definition, node, |edge| {
        body_port(edge).is_some_and(|body| edge.port.as_deref() == Some(body))
    })
}

fn node_of<'a>(definition: &'a Definition, id: &str) -> Option<&'a NodeDefinition> {
    definition.nodes.iter().find(|node| node.id == id)
}

fn fate(before: Option<&NodeDefinition>, after: Option<&NodeDefinition>) -> Fate {
    match (before, after) {
        (Some(before), Some(after)) if before == after => Fate::Unchanged,
        (Some(before), Some(after)) if before.kind == after.kind => Fate::Changed,
        _ => Fate::Gone,
    }
}

/// Returns the latest output of every node in a journal: a version may read steps that the one before did not keep.
#[must_use]
pub fn outputs_of(journal: &[JournalEntry]) -> BTreeMap<String, Value> {
    let output = |line: &JournalEntry| match &line.entry {
        Entry::NodePassed { node, output, .. } | Entry::NodeDone { node, output, .. } => {
            Some((node.clone(), output.clone()))
        }
        Entry::NodeFailed {
            node, code, message, ..
        } => {
            let error = serde_json::json!({"error": {"code": code, "message": message}});
            Some((node.clone(), error))
        }
        _ => None,
    };
    journal.iter().filter_map(output).collect()
}

/// Moves `run` from one version to another; `outputs` are its steps' outputs so far.
///
/// # Errors
/// [`MigrationError`] when the run cannot land; nothing has changed then.
pub fn migrate(
    mut run: Run,
    versions: (&Plan, &Plan),
    wanted: &Migration,
    outputs: &BTreeMap<String, Value>,
    world: &World,
) -> Result<Transition, MigrationError> {
    let (_, to) = versions;
    let leaving = leaving(&run, versions, wanted)?;
    let before = std::mem::replace(&mut run.version, wanted.version);
    for (node, output) in outputs.iter().filter(|(node, _)| to.keeps_output(node)) {
        run.outputs
            .entry(node.clone())
            .or_insert_with(|| Kept::new(output.clone()));
    }
    run.outputs.retain(|node, _| to.keeps_output(node));
    let mut mover = Mover::new(to, &mut run, world);
    mover.note(Entry::Migrated {
        from: before,
        to: wanted.version,
        landing: wanted.landing.clone(),
    });
    if !to.listens().is_empty() {
        mover.order(Command::Listen {
            events: to.listens().iter().cloned().collect(),
        });
    }
    for (number, landing) in &leaving {
        let Some(token) = mover.take(*number) else {
            continue;
        };
        mover.clear(token.state.alarm());
        mover.note(Entry::NodeCancelled {
            node: token.node,
            visit: token.visit,
        });
        mover.land(landing, &token.way);
    }
    let outcome = mover.finish();
    Ok(Transition::of(run, outcome))
}

/// The tokens that do not stay, with the node where each goes on.
fn leaving(
    run: &Run,
    (from, to): (&Plan, &Plan),
    wanted: &Migration,
) -> Result<Vec<(u32, String)>, MigrationError> {
    if run.phase != Phase::Active {
        return Err(MigrationError::Over);
    }
    if run.version == wanted.version {
        return Err(MigrationError::AlreadyThere(run.version));
    }
    let mut leaving = Vec::new();
    for (number, token) in &run.tokens {
        let wanted = wanted.landing.get(&token.node);
        if let Some(landing) = landing(token, from.definition(), to.definition(), wanted)? {
            leaving.push((*number, landing.to_owned()));
        }
    }
    Ok(leaving)
}

/// Whether a token cannot go on elsewhere: an effect or a run that it waits for is under way, or a loop's items come back to it.
const fn is_held_to(state: &TokenState) -> bool {
    state.is_in_flight() || matches!(state, TokenState::Looping(_) | TokenState::Following(_))
}

impl Run {
    /// The nodes where the run stands, each once: what moves are grouped by.
    #[must_use]
    pub fn standing_at(&self) -> BTreeSet<String> {
        self.tokens.values().map(|token| token.node.clone()).collect()
    }

    /// What a run from the start with the same trigger is born with.
    #[must_use]
    pub fn seed_again(&self, id: RunId, version: u32, started_at: Timestamp) -> RunSeed {
        RunSeed {
            id,
            account_id: self.ids.account,
            workflow_id: self.ids.workflow,
            version,
            lead_id: self.ids.lead,
            call_id: self.ids.call,
            trigger: self.trigger.clone(),
            started_at,
        }
    }
}
