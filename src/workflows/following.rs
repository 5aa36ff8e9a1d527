//! Runs that this run has started and waits for.
//!
//! The shell brings the news of a run's end directly. Should it be lost, with the process or on the way, a timer asks the
//! store, seldomer the longer it takes.
//!
//! A run that is waited for belongs to the step that waits: when that is dropped (the run is cancelled or ends otherwise, the
//! loop's item fails), it is told to end, and its end is waited for. So nothing goes on below a run that has ended, and no order
//! to end is lost with the process.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    definition::PORT_OK,
    effect::{Command, Effect, Request},
    journal::Entry,
    mover::Mover,
    run::{Alarm, Token, TokenState},
    snapshot,
};
use crate::domain::{ids::RunId, run::RunStatus};

/// First wait before the store is asked; each further one is twice as long.
const ASK_FIRST: Duration = Duration::from_secs(60);
/// Longest wait between two questions.
const ASK_MAX: Duration = Duration::from_secs(3_600);

/// A wait for another run's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Following {
    #[serde(rename = "r")]
    pub run_id: RunId,
    /// When the store is asked, should the news be lost.
    #[serde(rename = "a")]
    pub alarm: Alarm,
    #[serde(rename = "n", default, skip_serializing_if = "snapshot::is_zero")]
    pub asked: u32,
}

/// How long news is waited for before the store is asked; `asked` counts the questions before.
pub(super) fn ask_wait(asked: u32) -> Duration {
    ASK_FIRST.saturating_mul(1 << asked.min(6)).min(ASK_MAX)
}

impl Mover<'_> {
    /// The run that an effect has started is waited for, if the node asks for it. Returns whether it is.
    pub(super) fn follows(&mut self, token: &Token, effect: &Effect) -> bool {
        let Request::RunWorkflow { wait: true, .. } = effect.request else {
            return false;
        };
        let run_id = effect.child_id();
        self.note(Entry::Following {
            node: token.node.clone(),
            visit: token.visit,
            run_id,
        });
        let alarm = self.set_timer(self.world.now.plus(ask_wait(0)));
        let following = Following {
            run_id,
            alarm,
            asked: 0,
        };
        self.place(
            &token.node,
            token.visit,
            token.way.clone(),
            TokenState::Following(following),
        );
        // It may have ended before this run heard that it began; this run may be ending meanwhile.
        let question = self.question(token.way.frame, run_id);
        self.order(question);
        true
    }

    /// A place is given up whose effect may have started a run all the same: that run is followed to its end. Returns whether it
    /// is.
    pub(super) fn follows_given_up(&mut self, token: &Token, effect: &Effect) -> bool {
        !self.is_live(token.way.frame) && self.follows(token, effect)
    }

    /// What the shell is asked about a run that a place waits for: how it stands, or to end it when nobody wants its end any
    /// more.
    fn question(&self, frame: Option<u32>, run_id: RunId) -> Command {
        if self.is_live(frame) {
            Command::AskRun { run_id }
        } else {
            Command::CancelRun { run_id }
        }
    }

    /// No news so far: the store is asked.
    pub(super) fn ask_run(&mut self, token: Token, following: &Following) {
        let asked = following.asked + 1;
        let alarm = self.set_timer(self.world.now.plus(ask_wait(asked)));
        let run_id = following.run_id;
        let question = self.question(token.way.frame, run_id);
        self.order(question);
        let following = Following { run_id, alarm, asked };
        self.place(
            &token.node,
            token.visit,
            token.way,
            TokenState::Following(following),
        );
    }

    /// Whether a token waits for another run.
    pub(super) fn is_following(&self, number: u32) -> bool {
        let token = self.run.tokens.get(&number);
        token.is_some_and(|token| matches!(token.state, TokenState::Following(_)))
    }

    /// Asks once more about the run, or the call, that a token waits for.
    pub(super) fn ask_again(&mut self, number: u32) {
        let Some(token) = self.run.tokens.get(&number) else {
            return;
        };
        match &token.state {
            TokenState::Following(Following { run_id, .. }) => {
                let question = self.question(token.way.frame, *run_id);
                self.repeat_order(question);
            }
            TokenState::Calling(calling) => {
                let call_id = calling.call_id;
                self.repeat_order(Command::AskCall { call_id });
            }
            _ => {}
        }
    }

    /// A run has ended: the token that waits for it goes on, or is gone with what it belonged to.
    pub(super) fn run_ended(&mut self, run_id: RunId, status: RunStatus, reason: Option<&str>) {
        let number = self
            .run
            .tokens
            .iter()
            .find_map(|(number, token)| match &token.state {
                TokenState::Following(following) if following.run_id == run_id => Some(*number),
                _ => None,
            });
        let Some(token) = number
            .filter(|_| status.is_terminal())
            .and_then(|number| self.take(number))
        else {
            return;
        };
        self.clear(token.state.alarm());
        if !self.is_live(token.way.frame) {
            return self.note(Entry::NodeCancelled {
                node: token.node,
                visit: token.visit,
            });
        }
        let reason = reason.unwrap_or("no reason was given");
        match status {
            RunStatus::Failed => {
                let message = format!("the run it started has failed: {reason}");
                self.fail_token(&token, "child_failed", &message);
            }
            RunStatus::Cancelled => {
                let message = format!("the run it started was cancelled: {reason}");
                self.fail_token(&token, "child_cancelled", &message);
            }
            RunStatus::Running | RunStatus::Waiting | RunStatus::Stuck | RunStatus::Completed => {
                self.leave(&token, PORT_OK, json!({"run_id": run_id, "status": status}), None);
            }
        }
    }
}
