//! Moves tokens: into nodes, out of them by a port, and on to the next.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
};

use serde_json::{Value, json};

use super::{
    definition::{OnError, PORT_ERROR, PORT_OK},
    effect::{Command, Effect},
    frames::Begun,
    journal::{Entry, JournalEntry},
    nodes::{Action, NodeError},
    plan::{Plan, PlannedNode},
    run::{Alarm, Phase, Run, Token, TokenState, Way},
    scope::World,
    step::{EffectRecord, Outcome},
    surroundings::Surroundings,
};
use crate::domain::{
    run::{EffectState, RunStatus},
    time::Timestamp,
};

/// Nodes one input may begin: a cycle that no time passes in ends the run here instead of holding its worker.
pub const NODES_PER_STEP_MAX: u32 = 1_000;
/// Nodes a run may begin in its life, loops' bodies left out.
pub const NODES_PER_RUN_MAX: u32 = 10_000;
/// Nodes that one item of a loop may go through.
pub const NODES_PER_ITEM_MAX: u32 = 1_000;
/// Places a run may stand at once.
pub const TOKENS_MAX: usize = 200;
/// Largest output of a node that is kept whole, in bytes of JSON, unless its kind says otherwise.
pub const OUTPUT_BYTES_MAX: usize = 32 * 1024;

/// One step in the making.
pub(super) struct Mover<'a> {
    pub(super) plan: &'a Plan,
    pub(super) run: &'a mut Run,
    pub(super) world: &'a World,
    outcome: Outcome,
    /// By frame; built at the first expression, dropped when an output changes them.
    pub(super) scopes: BTreeMap<Option<u32>, Surroundings>,
    arriving: VecDeque<Arrival<'a>>,
    begun: u32,
}

/// A token on its way into a node.
pub(super) struct Arrival<'a> {
    pub node: &'a str,
    pub way: Way,
}

impl<'a> Mover<'a> {
    pub(super) const fn new(plan: &'a Plan, run: &'a mut Run, world: &'a World) -> Self {
        Self {
            plan,
            run,
            world,
            outcome: Outcome {
                changed: false,
                commands: Vec::new(),
                journal: Vec::new(),
                effects: Vec::new(),
                parts: Vec::new(),
            },
            scopes: BTreeMap::new(),
            arriving: VecDeque::new(),
            begun: 0,
        }
    }

    /// Lets the run begin at the nodes behind the trigger, or where a retry says.
    pub(super) fn begin(&mut self) {
        if self.run.phase != Phase::New {
            return;
        }
        self.run.phase = Phase::Active;
        self.note(Entry::RunStarted {
            trigger: self.run.trigger.clone(),
            retry_of: self.run.ids.retry_of,
            begin_at: self.run.begin_at.clone(),
        });
        if !self.plan.listens().is_empty() {
            self.order(Command::Listen {
                events: self.plan.listens().iter().cloned().collect(),
            });
        }
        let plan = self.plan;
        match self.run.begin_at.as_deref().map(|node| plan.id_of(node)) {
            None => self.go(plan.starts(), &Way::default()),
            Some(Some(node)) => self.arriving.push_back(Arrival {
                node,
                way: Way::default(),
            }),
            Some(None) => self.end(
                RunStatus::Failed,
                Some("the node to begin at is not in this version".to_owned()),
            ),
        }
    }

    /// Lets tokens arrive at `nodes`; they move when the step ends.
    pub(super) fn go(&mut self, nodes: &'a [String], way: &Way) {
        if !self.is_live(way.frame) {
            return;
        }
        self.arriving.extend(nodes.iter().map(|node| Arrival {
            node,
            way: way.clone(),
        }));
    }

    /// Lets a token arrive at one node; nothing happens when the plan does not have it.
    pub(super) fn land(&mut self, node: &str, way: &Way) {
        let plan = self.plan;
        if let Some(node) = plan.id_of(node) {
            self.arriving.push_back(Arrival {
                node,
                way: way.clone(),
            });
        }
    }

    pub(super) fn arrivals(&mut self) -> impl Iterator<Item = &mut Arrival<'a>> {
        self.arriving.iter_mut()
    }

    /// Moves what is on its way until each token waits or is gone.
    fn arrive(&mut self) {
        while let Some(Arrival { node, way }) = self.arriving.pop_front() {
            if !self.is_live(way.frame) {
                continue;
            }
            if let Some(limit) = self.limit_reached(way.frame) {
                self.end(RunStatus::Failed, Some(format!("{node}: {limit}")));
                return;
            }
            // A checked plan has every node its edges name.
            let plan = self.plan;
            if let Some(planned) = plan.node(node) {
                self.enter(node, planned, &way);
            }
        }
    }

    /// Whether anything new may happen at a place: the run goes on, and so does the item.
    pub(super) fn is_live(&self, frame: Option<u32>) -> bool {
        self.run.phase == Phase::Active && !self.run.frames_around(frame).any(|frame| frame.failed)
    }

    pub(super) const fn begun(&self) -> u32 {
        self.begun
    }

    pub(super) const fn count_begun(&mut self) {
        self.begun += 1;
    }

    fn limit_reached(&mut self, frame: Option<u32>) -> Option<String> {
        self.begun += 1;
        // An item of a loop counts for itself: a loop over thousands is no cycle.
        let of_item = frame.and_then(|number| self.run.frames.get_mut(&number));
        if let Some(frame) = of_item {
            frame.nodes += 1;
            if frame.nodes > NODES_PER_ITEM_MAX {
                return Some(format!(
                    "an item of the loop has gone through {NODES_PER_ITEM_MAX} nodes"
                ));
            }
        } else {
            self.run.counters.3 += 1;
        }
        if self.begun > NODES_PER_STEP_MAX {
            Some(format!(
                "{NODES_PER_STEP_MAX} nodes ran without a wait: put a delay into the cycle"
            ))
        } else if self.run.counters.3 > NODES_PER_RUN_MAX {
            Some(format!("the run has gone through {NODES_PER_RUN_MAX} nodes"))
        } else if self.run.tokens.len() >= TOKENS_MAX {
            Some(format!("the run stands at {TOKENS_MAX} places at once"))
        } else {
            None
        }
    }

    /// Runs one node.
    fn enter(&mut self, id: &str, planned: &'a PlannedNode, way: &Way) {
        let merge = planned.node.merge();
        if merge.is_some_and(|mode| self.is_swallowed(id, mode, way)) {
            return;
        }
        let count = self.run.visits.entry(id.to_owned()).or_insert(0);
        let visit = *count;
        *count += 1;
        let entered = match planned.node.enter(&self.scene(id, way.frame)) {
            Ok(entered) => entered,
            Err(NodeError { code, message }) => return self.fail_node(id, visit, way, code, &message),
        };
        let begun = Begun {
            node: id.to_owned(),
            kind: planned.kind.name().to_owned(),
            visit,
            item: self.item_of(way),
            input: entered.input,
        };
        match entered.action {
            Action::Leave { port, output } => self.pass(begun, port, output, way),
            Action::Wait { until } => {
                self.note_waiting(begun, Some(until));
                let alarm = self.set_timer(until);
                self.place(id, visit, way.clone(), TokenState::Pausing(alarm));
            }
            Action::Listen(wait) => {
                self.note_waiting(begun, Some(wait.until));
                self.listen(id, visit, way, &wait);
            }
            Action::Act(request) => self.act(begun, planned, request, way),
            Action::Each(items) => self.begin_loop(begun, way, items),
            Action::Merge(mode) => self.merge(mode, begun, way),
            Action::Stop { status, reason } => {
                let output = json!({"status": status, "reason": reason});
                self.pass(begun, Cow::Borrowed(""), output, way);
                self.end(status, reason);
            }
        }
    }

    /// A node is done at once: its token goes on by `port`.
    pub(super) fn pass(&mut self, begun: Begun, port: Cow<'static, str>, output: Value, way: &Way) {
        let plan = self.plan;
        let output = bounded(output, OUTPUT_BYTES_MAX);
        self.keep_output(&begun.node, &output, way.frame);
        if let Some(planned) = plan.node(&begun.node) {
            self.go(planned.behind(&port), way);
        }
        let Begun {
            node,
            kind,
            visit,
            item,
            input,
        } = begun;
        self.note(Entry::NodePassed {
            node,
            kind,
            visit,
            item,
            input,
            port: port.into_owned(),
            output,
        });
    }

    /// The node is done: its token goes on by `port`.
    pub(super) fn leave(&mut self, token: &Token, port: &str, output: Value, provider_id: Option<String>) {
        let plan = self.plan;
        let planned = plan.node(&token.node);
        let bytes_max = planned.map_or(OUTPUT_BYTES_MAX, |planned| planned.kind.output_bytes_max());
        let output = bounded(output, bytes_max);
        self.keep_output(&token.node, &output, token.way.frame);
        self.note(Entry::NodeDone {
            node: token.node.clone(),
            visit: token.visit,
            port: port.to_owned(),
            output,
            provider_id,
        });
        if let Some(planned) = planned {
            self.go(planned.behind(port), &token.way);
        }
    }

    pub(super) fn fail_token(&mut self, token: &Token, code: &str, message: &str) {
        self.fail_node(&token.node, token.visit, &token.way, code, message);
    }

    /// The node failed for good: takes its `error` port when wired, goes on with `on_error: continue`, else ends the loop's
    /// item or the run.
    pub(super) fn fail_node(&mut self, id: &str, visit: u32, way: &Way, code: &str, message: &str) {
        let plan = self.plan;
        let Some(planned) = plan.node(id) else { return };
        let port = self.port_after_failure(planned, way.frame);
        self.keep_output(
            id,
            &json!({"error": {"code": code, "message": message}}),
            way.frame,
        );
        self.note(Entry::NodeFailed {
            node: id.to_owned(),
            kind: planned.kind.name().to_owned(),
            visit,
            item: self.item_of(way),
            code: code.to_owned(),
            message: message.to_owned(),
            port: port.map(str::to_owned),
        });
        match (port, self.failing_frame(way.frame)) {
            (Some(port), _) => self.go(planned.behind(port), way),
            (None, _) if !self.is_live(way.frame) => {}
            (None, Some(frame)) => self.fail_frame(frame, &format!("{id}: {message}")),
            (None, None) => self.end(RunStatus::Failed, Some(format!("{id}: {message}"))),
        }
    }

    /// Where a token goes on after its node failed; `None` when the failure is the item's or the run's.
    pub(super) fn port_after_failure(
        &self,
        planned: &PlannedNode,
        frame: Option<u32>,
    ) -> Option<&'static str> {
        if !self.is_live(frame) {
            return None;
        }
        if !planned.behind(PORT_ERROR).is_empty() {
            return Some(PORT_ERROR);
        }
        match planned.on_error {
            OnError::Continue => Some(planned.kind.fallback()),
            OnError::Fail => None,
        }
    }

    /// A timer rang.
    pub(super) fn ring(&mut self, timer: u64) {
        let found = self.run.tokens.iter().find_map(|(number, token)| {
            token
                .state
                .alarm()
                .filter(|alarm| alarm.0 == timer)
                .map(|alarm| (*number, alarm))
        });
        let Some((number, Alarm(_, due))) = found else {
            return;
        };
        if self.world.now < due {
            // Rung early: a wait is never cut short, and never lost.
            self.repeat_order(Command::SetTimer { timer, due });
            return;
        }
        if self.loop_woken(number) {
            return;
        }
        let Some(token) = self.take(number) else { return };
        self.clear(token.state.alarm());
        match &token.state {
            TokenState::Pausing(_) => self.leave(&token, PORT_OK, json!({"until": due}), None),
            TokenState::Retrying(effect, _) => self.again(&token, (**effect).clone(), 0),
            TokenState::Held(effect, _) => self.again(&token, (**effect).clone(), 1),
            TokenState::Listening(_) => self.timed_out(&token, due),
            TokenState::Following(following) => {
                let following = following.clone();
                self.ask_run(token, &following);
            }
            TokenState::Calling(calling) => self.ask_call(&token, calling),
            TokenState::Acting(_)
            | TokenState::LookingUp(_)
            | TokenState::Asking(_)
            | TokenState::Merging { .. }
            | TokenState::Looping(_) => {}
        }
    }

    /// Puts the token back with another state.
    pub(super) fn replace(&mut self, token: &Token, state: TokenState) {
        self.place(&token.node, token.visit, token.way.clone(), state);
    }

    /// Puts a token down. Returns its number.
    pub(super) fn place(&mut self, node: &str, visit: u32, way: Way, state: TokenState) -> u32 {
        let number = self.number();
        let way = Way {
            frame: way.frame,
            late_at: self.still_late(node, way.late_at),
        };
        self.run.tokens.insert(
            number,
            Token {
                node: node.to_owned(),
                visit,
                way,
                state,
            },
        );
        self.outcome.changed = true;
        number
    }

    /// The number of the next token or frame.
    pub(super) const fn number(&mut self) -> u32 {
        let number = self.run.counters.0;
        self.run.counters.0 += 1;
        number
    }

    pub(super) fn take(&mut self, number: u32) -> Option<Token> {
        self.outcome.changed = true;
        self.run.tokens.remove(&number)
    }

    pub(super) fn set_timer(&mut self, due: Timestamp) -> Alarm {
        let timer = self.run.counters.1;
        self.run.counters.1 += 1;
        self.order(Command::SetTimer { timer, due });
        Alarm(timer, due)
    }

    /// A timer that was waited for is not needed any more; nothing happens where there was none.
    pub(super) fn clear(&mut self, alarm: Option<Alarm>) {
        if let Some(Alarm(timer, _)) = alarm {
            self.order(Command::ClearTimer { timer });
        }
    }

    pub(super) fn order(&mut self, command: Command) {
        self.outcome.changed = true;
        self.outcome.commands.push(command);
    }

    /// The run changed: there is something to append even when nothing is to be told.
    pub(super) fn touch(&mut self) {
        self.outcome.changed = true;
    }

    /// Gives a part to the shell to store.
    pub(super) fn hand_out(&mut self, part: u32, bytes: Vec<u8>) {
        self.outcome.changed = true;
        self.outcome.parts.push((part, bytes));
    }

    /// Asks for something again without the run changing.
    pub(super) fn repeat_order(&mut self, command: Command) {
        self.outcome.commands.push(command);
    }

    pub(super) fn note(&mut self, entry: Entry) {
        let seq = self.run.counters.2;
        self.run.counters.2 += 1;
        self.outcome.changed = true;
        self.outcome.journal.push(JournalEntry {
            seq,
            at: self.world.now,
            entry,
        });
    }

    pub(super) fn record(
        &mut self,
        effect: &Effect,
        state: EffectState,
        provider_id: Option<String>,
        error: Option<String>,
    ) {
        self.outcome
            .effects
            .retain(|record| record.effect.key != effect.key);
        self.outcome.effects.push(EffectRecord {
            effect: effect.clone(),
            state,
            provider_id,
            error,
        });
    }

    /// Moves what is on its way, lets loops and merges go on, ends the run when nothing is left to wait for, and gives the
    /// step's outcome.
    pub(super) fn finish(mut self) -> Outcome {
        loop {
            self.arrive();
            if self.run.phase != Phase::Active || !(self.advance_loops() || self.fire_merge()) {
                break;
            }
        }
        self.close();
        self.run.forget_unnamed_parts();
        self.outcome
    }
}

/// The output itself, or its beginning when it is too large to carry along.
fn bounded(output: Value, bytes_max: usize) -> Value {
    let text = output.to_string();
    if text.len() <= bytes_max {
        return output;
    }
    let beginning: String = text.chars().take(1_000).collect();
    json!({"truncated": true, "bytes": text.len(), "beginning": beginning})
}
