//! What every node kind gives the core: its schema, its checks, its ports, and what it does when a run comes by.

use std::{borrow::Cow, fmt, time::Duration};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::source::{Filter, Source};
use crate::{
    domain::{
        ids::{CallId, LeadId, RunId, WorkflowId},
        lead::Lead,
        observation::{EventType, Observation},
        run::RunStatus,
        time::Timestamp,
    },
    workflows::{
        definition::{Audience, PORT_ERROR, PORT_OK},
        effect::{InDoubt, Request},
        expression::ExpressionError,
        mover::OUTPUT_BYTES_MAX,
        problem::Problem,
        scope::Scope,
    },
};

/// A kind of node, `send_sms`.
pub trait NodeKind: Send + Sync {
    /// The word in `"type"`.
    fn name(&self) -> &'static str;
    /// What the kind does, in a few words for a palette.
    fn title(&self) -> &'static str;
    /// JSON Schema of `params`; forms are drawn from it.
    fn schema(&self) -> Value;
    /// The ports a run may leave by: those of what acts when the kind does not say. For a kind whose ports are written in its
    /// params ([`NodeKind::ports_from`]), those that every node of it has.
    fn ports(&self) -> &'static [&'static str] {
        &[PORT_OK, PORT_ERROR]
    }
    /// Where in `params` further ports are written, as in `cases[].port`.
    fn ports_from(&self) -> Option<&'static str> {
        None
    }
    /// The port into a loop's body: what is reached only through it sees `item` and `index`.
    fn body_port(&self) -> Option<&'static str> {
        None
    }
    /// Whom nodes of this kind reach when the definition does not say.
    fn audience(&self) -> Audience {
        Audience::Staff
    }
    /// The port a run goes on by after a failure, with `on_error: continue`.
    fn fallback(&self) -> &'static str {
        PORT_OK
    }
    /// Largest output that is kept whole, in bytes of JSON.
    fn output_bytes_max(&self) -> usize {
        OUTPUT_BYTES_MAX
    }
    /// Reads `params` that already fit the schema.
    ///
    /// # Errors
    /// What the schema cannot say; paths are relative to `params`.
    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>>;
}

/// One node of a definition, its params read.
pub trait Node: fmt::Debug + Send + Sync {
    /// Every expression in the params, for validation.
    fn sources(&self) -> Vec<Source<'_>>;
    /// The ports written in the params, besides those of the kind.
    fn ports(&self) -> Vec<String> {
        Vec::new()
    }
    /// Decides what the run does here. Pure.
    ///
    /// # Errors
    /// Why the node cannot do its part; trying again would not help.
    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError>;
    /// What to do when the node's effect was looked up and not found.
    fn in_doubt(&self) -> InDoubt {
        InDoubt::default()
    }
    /// The events the node waits for, when it does.
    fn awaited(&self) -> Option<Awaited<'_>> {
        None
    }
    /// How the node works through its items, when it is a loop.
    fn pace(&self) -> Option<Pace> {
        None
    }
    /// How branches meet here, when they do.
    fn merge(&self) -> Option<MergeMode> {
        None
    }
    /// Whether time surely passes here: what makes a cycle through it harmless.
    fn takes_time(&self) -> bool {
        false
    }
}

/// What a node can see.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    pub scope: &'a Scope,
    pub now: Timestamp,
    /// The lead: in a loop over leads the item's, else the run's.
    pub lead: Option<&'a Lead>,
    /// The workflow's `settings.timezone`: for a lead whose own zone is not known.
    pub settings_zone: Option<&'a str>,
    pub run: RunFacts<'a>,
    /// What started the run.
    pub trigger: &'a Value,
}

/// Which run, and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct RunFacts<'a> {
    pub id: RunId,
    pub workflow_id: WorkflowId,
    /// The lead that effects made here are about: in a loop over leads the item's, else the run's.
    pub lead_id: Option<LeadId>,
    /// The lead the run is about.
    pub own_lead_id: Option<LeadId>,
    pub call_id: Option<CallId>,
    pub started_at: Timestamp,
    /// How many runs have started one another down to this one.
    pub depth: u8,
    /// The node.
    pub node: &'a str,
}

impl Scene<'_> {
    /// Says whom the run is about.
    ///
    /// # Errors
    /// `no_lead` when it is about nobody.
    pub(super) fn must_have_lead(&self) -> Result<&Lead, NodeError> {
        self.lead
            .ok_or_else(|| NodeError::new("no_lead", "the run is about no lead"))
    }
}

/// What a node decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Entered {
    /// The params with every expression rendered, for the history.
    pub input: Value,
    pub action: Action,
}

/// How a run goes on from a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// At once, by `port`.
    Leave { port: Cow<'static, str>, output: Value },
    /// By `ok`, not before `until`.
    Wait { until: Timestamp },
    /// By `ok` once the effect is carried out.
    Act(Request),
    /// By `event` once one of the awaited events comes, by `timeout` when none does in time.
    Listen(Wait),
    /// By `item` once for each of these, by `ok` after the last.
    Each(Vec<Value>),
    /// By `ok` when the branches that meet here have come.
    Merge(MergeMode),
    /// The run ends here, whatever else is under way.
    Stop {
        status: RunStatus,
        reason: Option<String>,
    },
}

/// A wait for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// When it has lasted its time.
    pub until: Timestamp,
    /// How far back an event may lie; `None` for not before the wait.
    pub since: Option<Timestamp>,
}

/// The events a node waits for.
#[derive(Debug, Clone, Copy)]
pub struct Awaited<'a> {
    pub events: &'a [EventType],
    pub filter: Option<&'a Filter>,
    /// How long before the wait an event may lie, and so before the run too.
    pub looks_back: Duration,
}

impl Awaited<'_> {
    /// Whether an event is of an awaited type.
    #[must_use]
    pub fn names(&self, observation: &Observation) -> bool {
        self.events.contains(&observation.kind)
    }
}

/// How a loop works through its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Items under way at once.
    pub concurrency: u32,
    /// Least time between the starts of two items.
    pub throttle: Duration,
}

/// Which branches a merge waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeMode {
    /// Every one that can still come.
    #[default]
    All,
    /// The first.
    Any,
}

/// Why a node cannot do its part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NodeError {
    /// Stable word for programs.
    pub code: &'static str,
    pub message: String,
}

impl NodeError {
    /// Puts the two parts together.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl From<ExpressionError> for NodeError {
    fn from(error: ExpressionError) -> Self {
        Self {
            code: error.code(),
            message: error.to_string(),
        }
    }
}

/// Reads params into their type.
///
/// # Errors
/// One problem with serde's words, when they do not fit.
pub(super) fn read<T: DeserializeOwned>(params: &Map<String, Value>) -> Result<T, Vec<Problem>> {
    serde_json::from_value(Value::Object(params.clone())).map_err(|error| {
        vec![Problem::new(
            "",
            "bad_params",
            error.to_string(),
            "see the node's schema",
        )]
    })
}

/// The node, when nothing is wrong with it.
///
/// # Errors
/// The problems, when there are any.
pub(super) fn sound(
    node: impl Node + 'static,
    problems: Vec<Problem>,
) -> Result<Box<dyn Node>, Vec<Problem>> {
    if problems.is_empty() {
        Ok(Box::new(node))
    } else {
        Err(problems)
    }
}
