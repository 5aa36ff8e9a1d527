//! How a run ends: all tokens gone, a failure, a cancel, an exit condition.
//!
//! Waits end at once. An effect that is on its way is waited for, so that what became of it is known.

use super::{
    effect::Command,
    journal::Entry,
    mover::Mover,
    run::{Ending, Phase},
};
use crate::domain::{observation::Observation, run::RunStatus};

impl Mover<'_> {
    /// Decides the end: what waits is dropped, what is in flight is waited for.
    pub(super) fn end(&mut self, status: RunStatus, error: Option<String>) {
        if self.run.phase != Phase::Active {
            return;
        }
        self.run.phase = Phase::Ending(Ending { status, error });
        self.touch();
        let waiting: Vec<u32> = self
            .run
            .tokens
            .iter()
            .filter(|(_, token)| !token.state.is_in_flight())
            .map(|(number, _)| *number)
            .collect();
        for number in waiting {
            let Some(token) = self.take(number) else { continue };
            if let Some(alarm) = token.state.alarm() {
                self.order(Command::ClearTimer { timer: alarm.0 });
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

    /// A fact about the run's lead or call: ends the run when the workflow says so.
    pub(super) fn observe(&mut self, observation: &Observation) {
        let about_us = observation.account_id == self.run.account_id
            && ((observation.lead_id.is_some() && observation.lead_id == self.run.lead_id)
                || (observation.call_id.is_some() && observation.call_id == self.run.call_id));
        let exits = self.plan.exit_on().contains(&observation.kind);
        // What happened before the run began has not stopped it from beginning.
        if about_us && exits && observation.at >= self.run.started_at {
            self.end(
                RunStatus::Cancelled,
                Some(format!("ended by {}", observation.kind)),
            );
        }
    }
}
