//! Calls that this run has placed and waits for the end of.
//!
//! What became of a call comes as a fact. Should it be lost, with the process or on the way, a timer asks the store, seldomer the
//! longer it takes; when the wait has lasted its time, the node fails.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    definition::PORT_OK,
    effect::{Command, Effect, Request},
    following::ask_wait,
    journal::Entry,
    mover::Mover,
    run::{Alarm, Token, TokenState},
    snapshot::{self, millis},
};
use crate::domain::{call::CallEnd, ids::CallId, observation::Observation, time::Timestamp};

/// What a node's failure is called when the end of its call did not come in time.
const END_UNKNOWN: &str = "call_end_unknown";

/// A wait for a call's end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Calling {
    #[serde(rename = "c")]
    pub call_id: CallId,
    /// When the store is asked, should the news be lost.
    #[serde(rename = "a")]
    pub alarm: Alarm,
    /// When the wait has lasted its time.
    #[serde(rename = "u", with = "millis")]
    pub until: Timestamp,
    #[serde(rename = "n", default, skip_serializing_if = "snapshot::is_zero")]
    pub asked: u32,
    /// What placing it gave.
    #[serde(rename = "o")]
    pub output: Value,
}

impl Mover<'_> {
    /// The end of a call that was placed is waited for, if the node asks for it. Returns whether it is.
    pub(super) fn awaits_call(
        &mut self,
        token: &Token,
        effect: &Effect,
        provider_id: Option<&String>,
        output: &Value,
    ) -> bool {
        let Request::PlaceCall {
            wait_ms: Some(wait_ms),
            ..
        } = effect.request
        else {
            return false;
        };
        // What went to the outbox is no call, and a trial says how its call ended.
        let is_over = output.get("outcome").is_some();
        let call_id: Option<CallId> = output.get("call_id").and_then(|id| id.as_str()?.parse().ok());
        let Some(call_id) = call_id.filter(|_| !is_over && self.is_live(token.way.frame)) else {
            return false;
        };
        let until = self.world.now.plus(Duration::from_millis(wait_ms));
        self.note(Entry::Calling {
            node: token.node.clone(),
            visit: token.visit,
            call_id,
            provider_id: provider_id.cloned(),
            until,
        });
        let alarm = self.set_timer(until.min(self.world.now.plus(ask_wait(0))));
        let calling = Calling {
            call_id,
            alarm,
            until,
            asked: 0,
            output: output.clone(),
        };
        self.replace(token, TokenState::Calling(Box::new(calling)));
        // It may have ended before this run heard that it was placed.
        self.order(Command::AskCall { call_id });
        true
    }

    /// No news so far: the store is asked, or the wait is over.
    pub(super) fn ask_call(&mut self, token: &Token, calling: &Calling) {
        if self.world.now >= calling.until {
            let message = "the call has not ended, or nobody has told so, within `wait_timeout`";
            return self.fail_token(token, END_UNKNOWN, message);
        }
        let asked = calling.asked + 1;
        let alarm = self.set_timer(calling.until.min(self.world.now.plus(ask_wait(asked))));
        self.order(Command::AskCall {
            call_id: calling.call_id,
        });
        let calling = Calling {
            alarm,
            asked,
            ..calling.clone()
        };
        self.replace(token, TokenState::Calling(Box::new(calling)));
    }

    /// A fact may tell the end of a call that is waited for.
    pub(super) fn hear_of_call(&mut self, observation: &Observation) {
        if let (Some(call_id), Some(end)) = (observation.call_id, CallEnd::told(&observation.data)) {
            self.call_ended(call_id, end);
        }
    }

    /// A call has ended: the token that waits for it goes on.
    pub(super) fn call_ended(&mut self, call_id: CallId, end: CallEnd) {
        let number = self
            .run
            .tokens
            .iter()
            .find_map(|(number, token)| match &token.state {
                TokenState::Calling(calling) if calling.call_id == call_id => Some(*number),
                _ => None,
            });
        let Some(token) = number.and_then(|number| self.take(number)) else {
            return;
        };
        self.clear(token.state.alarm());
        let TokenState::Calling(calling) = &token.state else {
            return;
        };
        let mut output = calling.output.clone();
        output["status"] = json!(end.status);
        output["outcome"] = json!(end.outcome());
        output["duration_s"] = json!(end.duration_s);
        output["answered_by"] = json!(end.answered_by);
        self.leave(&token, PORT_OK, output, None);
    }
}
