//! A definition made ready to run: checked, its params read, its edges indexed.
//!
//! Built once per version and shared by all its runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    definition::{Audience, Definition, OnError, PORT_OK, TRIGGER},
    graph,
    nodes::{Awaited, Node, NodeKind},
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
    listens: BTreeSet<EventType>,
    /// For each merge, the nodes that a token can come to it from, loops' bodies taken as their own.
    leading_to: BTreeMap<String, BTreeSet<String>>,
    in_loops: BTreeSet<String>,
    reads_summary: bool,
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
        let leading_to = graph::leading_to_merges(&definition, &nodes);
        let in_loops = graph::in_loops(&definition, &nodes);
        let in_loops = in_loops.into_iter().map(str::to_owned).collect();
        // However it is written, `call.summary` or `call["summary"]`: to read it for nothing does no harm.
        let reads_summary = nodes.values().any(|(_, node)| {
            let mut sources = node.sources().into_iter();
            sources.any(|source| source.text.contains("summary"))
        });
        let settings = &definition.settings;
        let awaited = nodes.values().filter_map(|(_, node)| node.awaited());
        let listens = settings
            .exit_on
            .iter()
            .chain(&settings.goal)
            .chain(awaited.flat_map(|awaited| awaited.events))
            .cloned()
            .collect();
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
            listens,
            leading_to,
            in_loops,
            reads_summary,
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

    /// Facts that a run wants to hear of: those that end it and those it may wait for.
    #[must_use]
    pub const fn listens(&self) -> &BTreeSet<EventType> {
        &self.listens
    }

    /// Whether some node may read `call.summary`, which takes the whole transcript to write.
    #[must_use]
    pub const fn reads_summary(&self) -> bool {
        self.reads_summary
    }

    /// Whether some node waits for events of this type.
    #[must_use]
    pub fn awaits(&self, kind: &EventType) -> bool {
        self.awaited().any(|awaited| awaited.events.contains(kind))
    }

    /// How long before the run an event may lie that a wait of it finds.
    #[must_use]
    pub fn looks_back(&self) -> Duration {
        let spans = self.awaited().map(|awaited| awaited.looks_back);
        spans.max().unwrap_or_default()
    }

    fn awaited(&self) -> impl Iterator<Item = Awaited<'_>> {
        self.nodes.values().filter_map(|planned| planned.node.awaited())
    }

    /// Whether the version has a node of that id.
    #[must_use]
    pub fn has_node(&self, id: &str) -> bool {
        self.nodes.contains_key(id)
    }

    /// Whether a node is reached only through a loop's body.
    #[must_use]
    pub fn is_in_loop(&self, id: &str) -> bool {
        self.in_loops.contains(id)
    }

    /// Whether a run may have been through one node before it comes to the other.
    #[must_use]
    pub fn comes_before(&self, earlier: &str, later: &str) -> bool {
        graph::upstream(&self.definition)
            .get(later)
            .is_some_and(|upstream| upstream.contains(earlier))
    }

    /// The plan's own copy of a node's id.
    pub(super) fn id_of(&self, id: &str) -> Option<&str> {
        self.nodes.get_key_value(id).map(|(id, _)| id.as_str())
    }

    /// Whether a token at one node can come to the merge `to`.
    pub(super) fn leads_to(&self, from: &str, to: &str) -> bool {
        self.leading_to.get(to).is_some_and(|nodes| nodes.contains(from))
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
