//! How a run ends: all tokens gone, a failure, a cancel, an exit condition.
//!
//! Waits end at once. An effect that is on its way is waited for, so that what became of it is known; a run that is waited for is
//! told to end, and its end is waited for too.

use super::{
    effect::Command,
    journal::Entry,
    mover::Mover,
    run::{Ending, Phase},
};
use crate::domain::run::RunStatus;

impl Mover<'_> {
    /// Decides the end: what waits is dropped, what is in flight is waited for.
    pub(super) fn end(&mut self, status: RunStatus, error: Option<String>) {
        if self.run.phase != Phase::Active {
            return;
        }
        self.run.phase = Phase::Ending(Ending { status, error });
        self.touch();
        self.drop_waiting(None);
    }

    /// Drops what waits within a frame, or in the whole run. Effects on their way stay, and so do runs that are told to end.
    pub(super) fn drop_waiting(&mut self, frame: Option<u32>) {
        let waiting: Vec<u32> = self
            .run
            .tokens
            .iter()
            .filter(|(_, token)| !token.state.is_in_flight())
            .filter(|(_, token)| frame.is_none_or(|frame| self.is_within(token.way.frame, frame)))
            .map(|(number, _)| *number)
            .collect();
        for number in waiting {
            if self.is_following(number) {
                self.ask_again(number);
                continue;
            }
            let Some(token) = self.take(number) else { continue };
            self.clear(token.state.alarm());
            if let Some(effect) = token.state.effect()
                && self.follows_given_up(&token, effect)
            {
                continue;
            }
            self.note(Entry::NodeCancelled {
                node: token.node,
                visit: token.visit,
            });
        }
    }

    /// Ends the run when no token is left.
    pub(super) fn close(&mut self) {
        if !self.run.tokens.is_empty() {
            return;
        }
        let ending = match &self.run.phase {
            Phase::Active => Ending {
                status: RunStatus::Completed,
                error: None,
            },
            Phase::Ending(ending) => ending.clone(),
            Phase::New | Phase::Ended(_) => return,
        };
        let Ending { status, error } = ending.clone();
        self.run.phase = Phase::Ended(ending);
        self.run.frames.clear();
        self.run.large_outputs.clear();
        self.run.signals.clear();
        self.run.heard.clear();
        self.note(Entry::RunEnded {
            status,
            error: error.clone(),
        });
        self.order(Command::Finish { status, error });
    }

    /// A person or enrolment ends the run. One that has not begun ends without having done anything.
    pub(super) fn cancel(&mut self, reason: String) {
        if self.run.phase == Phase::New {
            self.run.phase = Phase::Active;
        }
        self.end(RunStatus::Cancelled, Some(reason));
    }
}
