//! Events: those that end a run, and those it waits for.
//!
//! An event ends a wait once: a later wait of the same run does not find it again. What came before the wait began is
//! looked back for by the shell; signals, which are for one run only, are kept in the run itself until a wait takes them.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    effect::Command,
    journal::Entry,
    mover::Mover,
    nodes::{Awaited, Wait},
    run::{Alarm, Token, TokenState, Way},
    snapshot::{millis, optional_millis},
    trigger,
};
use crate::domain::{ids::ObservationId, observation::Observation, run::RunStatus, time::Timestamp};

/// Port of a wait that an event has ended.
pub const PORT_EVENT: &str = "event";
/// Port of a wait that has lasted its time.
pub const PORT_TIMEOUT: &str = "timeout";
/// What names of signals begin with.
pub const SIGNAL: &str = "signal.";
/// Events remembered one by one as taken by a wait. Beyond it the oldest is forgotten, and no wait hears what is as old any more:
/// found again, it would begin a cycle anew.
const HEARD_MAX: usize = 64;
/// Signals kept for a later wait. One more is not taken.
const SIGNALS_MAX: usize = 32;
/// Largest signal that is kept, in bytes of JSON.
const SIGNAL_BYTES_MAX: usize = 16 * 1024;

/// A wait for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listening {
    /// When it has lasted its time.
    #[serde(rename = "a")]
    pub alarm: Alarm,
    /// Since when the shell is looking back, until it has answered.
    #[serde(
        rename = "s",
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_millis"
    )]
    pub looking_since: Option<Timestamp>,
}

/// An event that has ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heard(
    /// Which.
    pub ObservationId,
    /// Tokens from this number on began after it.
    pub u32,
    /// When it was.
    #[serde(default, with = "millis")]
    pub Timestamp,
);

impl Mover<'_> {
    /// A fact about the run's lead or call, or a signal to the run.
    pub(super) fn observe(&mut self, observation: &Observation) {
        if observation.account_id != self.run.ids.account || !self.is_live(None) {
            return;
        }
        // What happened before the run began has not stopped it from beginning.
        if self.is_about(observation, None) && observation.at >= self.run.started_at {
            let kind = &observation.kind;
            let settings = &self.plan.definition().settings;
            if settings.exit_on.contains(kind) {
                return self.end(RunStatus::Cancelled, Some(format!("ended by {kind}")));
            }
            if settings.goal.contains(kind) {
                return self.end(RunStatus::Completed, Some(format!("goal reached: {kind}")));
            }
        }
        self.hear_of_call(observation);
        if !self.has_heard(observation, u32::MAX) {
            self.hear(observation);
        }
    }

    /// Brings an event to every wait for it.
    fn hear(&mut self, observation: &Observation) {
        let is_signal = is_signal(observation);
        let listening: Vec<u32> = self
            .run
            .tokens
            .iter()
            .filter(|(_, token)| matches!(token.state, TokenState::Listening(_)))
            .filter(|(_, token)| self.is_about(observation, token.way.frame))
            .filter(|(_, token)| {
                self.awaited_at(token)
                    .is_some_and(|awaited| awaited.names(observation))
            })
            .map(|(number, _)| *number)
            .collect();
        let mark = self.run.counters.0;
        let (mut taken, mut was_looked_at) = (false, false);
        for number in listening {
            match self.judge(number, observation) {
                Some(true) => {
                    taken = true;
                    self.end_wait(number, observation);
                }
                Some(false) => {}
                None => was_looked_at = true,
            }
        }
        if taken || was_looked_at {
            self.remember(observation, mark);
        } else if is_signal {
            self.keep_signal(observation);
        }
    }

    /// Whether a wait's filter holds for an event; `None`, with a line in the journal, when it cannot be decided.
    fn judge(&mut self, number: u32, observation: &Observation) -> Option<bool> {
        let token = self.run.tokens.get(&number)?;
        let (node, visit, way) = (token.node.clone(), token.visit, token.way.clone());
        let awaited = self.awaited_at(token)?;
        match self.filter_holds(&awaited, &way, observation) {
            Ok(holds) => Some(holds),
            Err(reason) => {
                self.note(Entry::EventUndecided {
                    node,
                    visit,
                    event: observation.kind.clone(),
                    reason,
                });
                None
            }
        }
    }

    fn filter_holds(
        &mut self,
        awaited: &Awaited<'_>,
        way: &Way,
        observation: &Observation,
    ) -> Result<bool, String> {
        let Some(filter) = awaited.filter else {
            return Ok(true);
        };
        let scope = self
            .scope_in(way.frame)
            .with("event", &trigger::value_of(observation));
        filter.holds(&scope).map_err(|error| error.to_string())
    }

    fn end_wait(&mut self, number: u32, observation: &Observation) {
        let Some(token) = self.take(number) else { return };
        self.clear(token.state.alarm());
        self.leave(&token, PORT_EVENT, trigger::value_of(observation), None);
    }

    /// A wait begins. A signal that is here already ends it at once.
    pub(super) fn listen(&mut self, node: &str, visit: u32, way: &Way, wait: &Wait) {
        let alarm = self.set_timer(wait.until);
        let number = self.place(
            node,
            visit,
            way.clone(),
            TokenState::Listening(Listening {
                alarm,
                looking_since: None,
            }),
        );
        let Some(since) = wait.since else { return };
        if self.take_signal(number, since) {
            return;
        }
        let asks = self
            .run
            .tokens
            .get(&number)
            .and_then(|token| self.awaited_at(token))
            .is_some_and(|awaited| {
                awaited
                    .events
                    .iter()
                    .any(|kind| !kind.as_str().starts_with(SIGNAL))
            });
        if asks && self.run.lead_id_in(way.frame).is_some() {
            self.set_looking(number, Some(since));
            self.look_back(number);
        }
    }

    /// Orders the look-back of a wait.
    pub(super) fn look_back(&mut self, number: u32) {
        let Some(token) = self.run.tokens.get(&number) else {
            return;
        };
        let TokenState::Listening(Listening {
            looking_since: Some(since),
            ..
        }) = token.state
        else {
            return;
        };
        let Some(awaited) = self.awaited_at(token) else {
            return;
        };
        let events = awaited.events.to_vec();
        let Some(lead_id) = self.run.lead_id_in(token.way.frame) else {
            return;
        };
        self.repeat_order(Command::LookBack {
            wait: number,
            lead_id,
            events,
            since,
        });
    }

    /// What the shell found in the past of a wait, oldest first.
    pub(super) fn looked_back(&mut self, number: u32, observations: &[Observation]) {
        let Some(token) = self.run.tokens.get(&number) else {
            return;
        };
        let TokenState::Listening(Listening {
            looking_since: Some(since),
            ..
        }) = token.state
        else {
            return;
        };
        let frame = token.way.frame;
        self.set_looking(number, None);
        for observation in observations {
            let is_awaited = self
                .run
                .tokens
                .get(&number)
                .and_then(|token| self.awaited_at(token))
                .is_some_and(|awaited| awaited.names(observation));
            let fits = observation.account_id == self.run.ids.account
                && observation.at >= since
                && is_awaited
                && self.is_about(observation, frame)
                && !self.is_trigger(observation)
                && !self.has_heard(observation, number);
            if fits && self.judge(number, observation) == Some(true) {
                let mark = self.run.counters.0;
                self.end_wait(number, observation);
                self.remember(observation, mark);
                return;
            }
        }
    }

    fn set_looking(&mut self, number: u32, since: Option<Timestamp>) {
        if let Some(token) = self.run.tokens.get_mut(&number)
            && let TokenState::Listening(listening) = &mut token.state
        {
            listening.looking_since = since;
            self.touch();
        }
    }

    /// A wait has lasted its time.
    pub(super) fn timed_out(&mut self, token: &Token, due: Timestamp) {
        self.leave(token, PORT_TIMEOUT, json!({"timed_out_at": due}), None);
    }

    /// Gives a wait the oldest kept signal that fits. Returns whether there was one.
    fn take_signal(&mut self, number: u32, since: Timestamp) -> bool {
        let kept = self.run.signals.clone();
        for (at, signal) in kept.iter().enumerate() {
            let is_awaited = self
                .run
                .tokens
                .get(&number)
                .and_then(|token| self.awaited_at(token))
                .is_some_and(|awaited| awaited.names(signal));
            if signal.at >= since && is_awaited && self.judge(number, signal) == Some(true) {
                self.run.signals.remove(at);
                self.remember(signal, self.run.counters.0);
                self.end_wait(number, signal);
                return true;
            }
        }
        false
    }

    /// Keeps a signal for a wait that the run has not come to. One that nothing waits for changes nothing.
    fn keep_signal(&mut self, signal: &Observation) {
        let is_kept = self.run.signals.iter().any(|kept| kept.id == signal.id);
        let fits = self.run.signals.len() < SIGNALS_MAX && signal.data.to_string().len() <= SIGNAL_BYTES_MAX;
        if !is_kept && fits && self.plan.awaits(&signal.kind) {
            self.run.signals.push(signal.clone());
            self.touch();
        }
    }

    /// Whether an event is about the lead or the call of a place, or for this run alone.
    fn is_about(&self, observation: &Observation, frame: Option<u32>) -> bool {
        let lead_id = self.run.lead_id_in(frame);
        is_signal(observation)
            || (lead_id.is_some() && observation.lead_id == lead_id)
            || (observation.call_id.is_some() && observation.call_id == self.run.ids.call)
    }

    /// Whether this is the fact that started the run.
    fn is_trigger(&self, observation: &Observation) -> bool {
        let trigger = &self.run.trigger;
        trigger.get("type") == Some(&json!(observation.kind))
            && trigger.get("at") == Some(&json!(observation.at))
    }

    /// Whether the event has ended a wait before the token of that number began to wait.
    fn has_heard(&self, observation: &Observation, number: u32) -> bool {
        let is_forgotten = self.run.heard_until.is_some_and(|until| observation.at <= until);
        let mut heard = self.run.heard.iter();
        is_forgotten || heard.any(|Heard(id, mark, _)| *id == observation.id && number >= *mark)
    }

    fn remember(&mut self, observation: &Observation, mark: u32) {
        if self.run.heard.len() >= HEARD_MAX {
            let Heard(_, _, at) = self.run.heard.remove(0);
            self.run.heard_until = self.run.heard_until.max(Some(at));
        }
        self.run.heard.push(Heard(observation.id, mark, observation.at));
        self.touch();
    }
}

impl<'a> Mover<'a> {
    /// What the node a token stands at waits for.
    fn awaited_at(&self, token: &Token) -> Option<Awaited<'a>> {
        let plan = self.plan;
        plan.node(&token.node)?.node.awaited()
    }
}

fn is_signal(observation: &Observation) -> bool {
    observation.kind.as_str().starts_with(SIGNAL)
}
