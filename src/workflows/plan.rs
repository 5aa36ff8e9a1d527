//! A definition made ready to run: checked, its params read, its edges indexed.
//!
//! Built once per version and shared by all its runs.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    definition::{Audience, Definition, OnError, PORT_OK, TRIGGER},
    nodes::{Node, NodeKind},
    problem::Problem,
    retry::RetryPolicy,
    validate::{self, Checked},
};
use crate::domain::observation::EventType;

/// A definition that can run.
pub struct Plan {
    definition: Definition,
    nodes: BTreeMap<String, PlannedNode>,
    starts: Vec<String>,
    kept: BTreeSet<String>,
}

/// A node with its ways on.
pub(super) struct PlannedNode {
    pub kind: &'static dyn NodeKind,
    pub node: Box<dyn Node>,
    pub retry: RetryPolicy,
    pub on_error: OnError,
    pub audience: Audience,
    exits: BTreeMap<String, Vec<String>>,
}

impl Plan {
    /// Checks `definition` and makes it ready.
    ///
    /// # Errors
    /// Every problem there is.
    pub fn new(definition: Definition) -> Result<Self, Vec<Problem>> {
        let Checked {
            mut nodes,
            read_steps,
            problems,
        } = validate::check(&definition);
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut planned = BTreeMap::new();
        for written in &definition.nodes {
            let Some((kind, node)) = nodes.remove(&written.id) else {
                continue;
            };
            let node = PlannedNode {
                kind,
                node,
                retry: written.retry.unwrap_or_default(),
                on_error: written.on_error,
                audience: written.audience.unwrap_or_else(|| kind.audience()),
                exits: exits_of(&definition, &written.id),
            };
            planned.insert(written.id.clone(), node);
        }
        let starts = exits_of(&definition, TRIGGER).remove(PORT_OK).unwrap_or_default();
        Ok(Self {
            definition,
            nodes: planned,
            starts,
            kept: read_steps,
        })
    }

    /// Reads, checks and makes ready.
    ///
    /// # Errors
    /// Every problem of shape, or else every problem of meaning.
    pub fn from_json(text: &str) -> Result<Self, Vec<Problem>> {
        Self::new(Definition::from_json(text)?)
    }

    #[must_use]
    pub const fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Facts that end a run wherever it waits.
    #[must_use]
    pub fn exit_on(&self) -> &[EventType] {
        &self.definition.settings.exit_on
    }

    /// The kind of a node, `send_sms`.
    #[must_use]
    pub fn kind_of(&self, node: &str) -> Option<&'static str> {
        self.nodes.get(node).map(|node| node.kind.name())
    }

    /// The nodes right behind the trigger.
    pub(super) fn starts(&self) -> &[String] {
        &self.starts
    }

    pub(super) fn node(&self, id: &str) -> Option<&PlannedNode> {
        self.nodes.get(id)
    }

    /// Whether some expression reads the node's output: only then it is part of the run's state.
    pub(super) fn keeps_output(&self, node: &str) -> bool {
        self.kept.contains(node)
    }
}

impl PlannedNode {
    /// The nodes behind `port`; empty when it is not wired.
    pub fn behind(&self, port: &str) -> &[String] {
        self.exits.get(port).map_or(&[], Vec::as_slice)
    }
}

fn exits_of(definition: &Definition, from: &str) -> BTreeMap<String, Vec<String>> {
    let mut exits: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for edge in definition.edges.iter().filter(|edge| edge.from == from) {
        exits
            .entry(edge.port.as_deref().unwrap_or(PORT_OK).to_owned())
            .or_default()
            .push(edge.to.clone());
    }
    exits
}
