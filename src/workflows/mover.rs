//! Moves tokens: into nodes, out of them by a port, and on to the next.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::{
    definition::{Audience, OnError, PORT_ERROR, PORT_OK},
    effect::{Command, Effect, Request, SendWindow},
    journal::{Entry, JournalEntry},
    nodes::{Action, NodeError, RunFacts, Scene},
    plan::{Plan, PlannedNode},
    run::{Alarm, Phase, Run, Token, TokenState},
    scope::{Scope, World},
    step::{EffectRecord, Outcome},
};
use crate::domain::{
    run::{EffectState, RunStatus},
    time::Timestamp,
};

/// Nodes one input may begin: a cycle that no time passes in ends the run here instead of holding its worker.
pub const NODES_PER_STEP_MAX: u32 = 500;
/// Nodes a run may begin in its life.
pub const NODES_PER_RUN_MAX: u32 = 10_000;
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
    /// Built at the first expression, dropped when an output changes it.
    scope: Option<Scope>,
    begun: u32,
}

impl<'a> Mover<'a> {
    pub(super) fn new(plan: &'a Plan, run: &'a mut Run, world: &'a World) -> Self {
        Self {
            plan,
            run,
            world,
            outcome: Outcome::default(),
            scope: None,
            begun: 0,
        }
    }

    /// Lets the run begin at the nodes behind the trigger.
    pub(super) fn begin(&mut self) {
        if self.run.phase != Phase::New {
            return;
        }
        self.run.phase = Phase::Active;
        self.note(Entry::RunStarted {
            trigger: self.run.trigger.clone(),
        });
        if !self.plan.exit_on().is_empty() {
            self.order(Command::Listen {
                events: self.plan.exit_on().to_vec(),
            });
        }
        let plan = self.plan;
        self.go(plan.starts());
    }

    /// Lets tokens arrive at `nodes`, one after the other, and moves them until each waits or is gone.
    pub(super) fn go(&mut self, nodes: &'a [String]) {
        let mut arriving: VecDeque<&'a str> = nodes.iter().map(String::as_str).collect();
        while let Some(id) = arriving.pop_front() {
            if self.run.phase != Phase::Active {
                return;
            }
            if let Some(limit) = self.limit_reached() {
                self.end(RunStatus::Failed, Some(format!("{id}: {limit}")));
                return;
            }
            // A checked plan has every node its edges name.
            let plan = self.plan;
            let Some(planned) = plan.node(id) else { continue };
            arriving.extend(self.enter(id, planned).iter().map(String::as_str));
        }
    }

    fn limit_reached(&mut self) -> Option<String> {
        self.begun += 1;
        self.run.counters.3 += 1;
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

    /// Runs one node. Returns the nodes the token goes on to at once.
    fn enter(&mut self, id: &str, planned: &'a PlannedNode) -> &'a [String] {
        let count = self.run.visits.entry(id.to_owned()).or_insert(0);
        let visit = *count;
        *count += 1;
        let kind = planned.kind.name().to_owned();
        let entered = match planned.node.enter(&self.scene(id)) {
            Ok(entered) => entered,
            Err(NodeError { code, message }) => return self.fail_node(id, visit, code, &message),
        };
        let (node, input) = (id.to_owned(), entered.input);
        match entered.action {
            Action::Leave { port, output } => {
                self.keep_output(id, &output);
                let onward = planned.behind(&port);
                self.note(Entry::NodePassed {
                    node,
                    kind,
                    visit,
                    input,
                    port: port.into_owned(),
                    output,
                });
                return onward;
            }
            Action::Wait { until } => {
                self.note(Entry::NodeWaiting {
                    node,
                    kind,
                    visit,
                    input,
                    until,
                });
                let alarm = self.set_timer(until);
                self.place(id, visit, TokenState::Pausing(alarm));
            }
            Action::Act(request) => {
                let effect = self.effect_of(id, visit, planned, request);
                let (key, provider) = (effect.key.clone(), effect.provider());
                self.note(Entry::NodeActed {
                    node,
                    kind,
                    visit,
                    input,
                    key,
                    provider,
                });
                let token = self.claim(effect);
                self.place(id, visit, token);
            }
            Action::Stop { status, reason } => {
                let output = json!({"status": status, "reason": reason});
                self.note(Entry::NodePassed {
                    node,
                    kind,
                    visit,
                    input,
                    port: String::new(),
                    output,
                });
                self.end(status, reason);
            }
        }
        &[]
    }

    fn effect_of(&self, node: &str, visit: u32, planned: &PlannedNode, request: Request) -> Effect {
        Effect {
            key: Effect::key_of(self.run.id, node, visit, 0),
            attempt: 1,
            holds: 0,
            run_id: self.run.id,
            account_id: self.run.account_id,
            workflow_id: self.run.workflow_id,
            lead_id: self.run.lead_id,
            call_id: self.run.call_id,
            node: node.to_owned(),
            visit,
            planned_at: self.world.now,
            audience: planned.audience,
            window: self.window_for(planned.audience),
            valid_until: None,
            in_doubt: planned.node.in_doubt(),
            request,
        }
    }

    /// The workflow's rules for when its lead may be reached, where there are any.
    fn window_for(&self, audience: Audience) -> Option<Box<SendWindow>> {
        let settings = &self.plan.definition().settings;
        let window = SendWindow {
            timezone: settings.timezone.clone(),
            quiet_hours: settings.quiet_hours,
        };
        (audience == Audience::Lead && window != SendWindow::default()).then(|| Box::new(window))
    }

    /// Claims one attempt and orders it. Returns what its token waits for.
    pub(super) fn claim(&mut self, effect: Effect) -> TokenState {
        self.record(&effect, EffectState::Claimed, None, None);
        self.order(Command::Act(Box::new(effect.clone())));
        TokenState::Acting(Box::new(effect))
    }

    /// The node is done: its token goes on by `port`.
    pub(super) fn leave(&mut self, token: &Token, port: &str, output: Value, provider_id: Option<String>) {
        let plan = self.plan;
        let bytes_max = plan
            .node(&token.node)
            .map_or(OUTPUT_BYTES_MAX, |planned| planned.kind.output_bytes_max());
        let output = bounded(output, bytes_max);
        self.keep_output(&token.node, &output);
        self.note(Entry::NodeDone {
            node: token.node.clone(),
            visit: token.visit,
            port: port.to_owned(),
            output,
            provider_id,
        });
        if let Some(planned) = plan.node(&token.node) {
            self.go(planned.behind(port));
        }
    }

    /// The node failed for good: takes its `error` port when wired, goes on with `on_error: continue`, else ends the run.
    /// Returns where the token goes on to.
    pub(super) fn fail_node(&mut self, id: &str, visit: u32, code: &str, message: &str) -> &'a [String] {
        let plan = self.plan;
        let Some(planned) = plan.node(id) else { return &[] };
        let port = self.port_after_failure(planned);
        self.keep_output(id, &json!({"error": {"code": code, "message": message}}));
        self.note(Entry::NodeFailed {
            node: id.to_owned(),
            kind: planned.kind.name().to_owned(),
            visit,
            code: code.to_owned(),
            message: message.to_owned(),
            port: port.map(str::to_owned),
        });
        match port {
            Some(port) => planned.behind(port),
            None => {
                self.end(RunStatus::Failed, Some(format!("{id}: {message}")));
                &[]
            }
        }
    }

    /// Where a token goes on after its node failed; `None` when the failure is the run's.
    pub(super) fn port_after_failure(&self, planned: &PlannedNode) -> Option<&'static str> {
        if self.run.phase != Phase::Active {
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
            self.outcome.commands.push(Command::SetTimer { timer, due });
            return;
        }
        let Some(token) = self.take(number) else { return };
        self.order(Command::ClearTimer { timer });
        match token.state {
            TokenState::Pausing(_) => self.leave(&token, PORT_OK, json!({"until": due}), None),
            TokenState::Retrying(effect, _) => self.again(&token.node, token.visit, *effect, 0),
            TokenState::Held(effect, _) => self.again(&token.node, token.visit, *effect, 1),
            TokenState::Acting(_) | TokenState::LookingUp(_) | TokenState::Asking(_) => {}
        }
    }

    /// Claims a further attempt of the same effect; `held` of the attempts so far were not really made.
    pub(super) fn again(&mut self, node: &str, visit: u32, mut effect: Effect, held: u32) {
        effect.attempt += 1;
        effect.holds += held;
        self.note(Entry::Attempted {
            node: node.to_owned(),
            visit,
            attempt: effect.attempt,
        });
        let state = self.claim(effect);
        self.place(node, visit, state);
    }

    pub(super) fn place(&mut self, node: &str, visit: u32, state: TokenState) {
        let number = self.run.counters.0;
        self.run.counters.0 += 1;
        self.run.tokens.insert(
            number,
            Token {
                node: node.to_owned(),
                visit,
                state,
            },
        );
        self.outcome.changed = true;
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

    pub(super) fn order(&mut self, command: Command) {
        self.outcome.changed = true;
        self.outcome.commands.push(command);
    }

    /// The run changed: there is something to append even when nothing is to be told.
    pub(super) fn touch(&mut self) {
        self.outcome.changed = true;
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

    fn keep_output(&mut self, node: &str, output: &Value) {
        if self.plan.keeps_output(node) {
            self.run.outputs.insert(node.to_owned(), output.clone());
            self.scope = None;
        }
    }

    fn scene<'s>(&'s mut self, node: &'s str) -> Scene<'s> {
        let (plan, world, run) = (self.plan, self.world, &*self.run);
        let scope = self
            .scope
            .get_or_insert_with(|| Scope::new(world, &run.trigger, &run.outputs));
        Scene {
            scope,
            now: world.now,
            lead: world.lead.as_ref(),
            settings_zone: plan.definition().settings.timezone.as_deref(),
            run: RunFacts {
                id: run.id,
                workflow_id: run.workflow_id,
                lead_id: run.lead_id,
                node,
            },
            trigger: &run.trigger,
        }
    }

    /// Ends the run when nothing is left to wait for, and gives the step's outcome.
    pub(super) fn finish(mut self) -> Outcome {
        self.close();
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
