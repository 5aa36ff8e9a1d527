//! Answers about effects: done, refused, unknown, held back, looked up, decided.

use serde_json::{Value, json};

use super::{
    definition::PORT_OK,
    effect::{Command, Effect},
    input::{Choice, Failure, FailureKind, Finding},
    journal::Entry,
    mover::Mover,
    plan::PlannedNode,
    run::{Token, TokenState},
    settlement::{self, Next},
};
use crate::domain::{run::EffectState, time::Timestamp};

/// What a node's failure is called when nobody can say whether its effect was carried out.
pub const OUTCOME_UNKNOWN: &str = "outcome_unknown";

impl<'a> Mover<'a> {
    /// The gate let an attempt through: a line for people, nothing else changes.
    pub(super) fn judged(&mut self, key: &str, attempt: u32, gate: Value) {
        let at = self.run.tokens.values().find_map(|token| {
            let effect = token.state.effect()?;
            let is_meant = is_acting(&token.state) && effect.key == key && effect.attempt == attempt;
            is_meant.then(|| (token.node.clone(), token.visit))
        });
        let Some((node, visit)) = at else { return };
        self.note(Entry::Judged {
            node,
            visit,
            attempt,
            gate,
        });
    }

    /// The effect was carried out. A proof counts whenever it comes while the effect is open.
    pub(super) fn confirm(&mut self, key: &str, attempt: u32, provider_id: Option<String>, output: Value) {
        let open = |state: &TokenState| !matches!(state, TokenState::Held(..));
        let Some((token, effect)) = self.take_effect(key, Some(attempt), open) else {
            return;
        };
        self.clear(token.state.alarm());
        self.confirmed(&token, &effect, provider_id, output);
    }

    fn confirmed(&mut self, token: &Token, effect: &Effect, provider_id: Option<String>, output: Value) {
        self.record(effect, EffectState::Confirmed, provider_id.clone(), None);
        if self.follows(token, effect) || self.awaits_call(token, effect, provider_id.as_ref(), &output) {
            return;
        }
        self.leave(token, PORT_OK, output, provider_id);
    }

    /// The effect was definitely not carried out.
    pub(super) fn reject(&mut self, key: &str, attempt: u32, failure: &Failure) {
        let Some((token, effect, planned)) = self.take_planned(key, attempt, is_acting) else {
            return;
        };
        self.record(
            &effect,
            EffectState::Rejected,
            None,
            Some(format!("{}: {}", failure.code, failure.message)),
        );
        let again = failure.kind == FailureKind::Temporary
            && planned.retry.allows_after(effect.tries())
            && self.is_live(token.way.frame);
        let retry_at = again.then(|| {
            planned
                .retry
                .next_at(self.world.now, key, effect.tries(), failure.retry_after)
        });
        self.note(Entry::AttemptFailed {
            node: token.node.clone(),
            visit: token.visit,
            attempt,
            failure: failure.clone(),
            retry_at,
        });
        match retry_at {
            Some(at) => self.retry_at(&token, effect, at),
            None if self.follows_given_up(&token, &effect) => {}
            None => self.fail_token(&token, &failure.code, &failure.message),
        }
    }

    /// Whether the effect was carried out is not known.
    pub(super) fn doubt(&mut self, key: &str, attempt: u32, message: &str) {
        let Some((token, effect, planned)) = self.take_planned(key, attempt, is_acting) else {
            return;
        };
        self.record(&effect, EffectState::Unknown, None, Some(message.to_owned()));
        let next = match settlement::after_unknown(&effect, &planned.retry) {
            Next::Resend if !self.is_live(token.way.frame) => Next::GiveUp,
            next => next,
        };
        let retry_at =
            (next == Next::Resend).then(|| planned.retry.next_at(self.world.now, key, effect.tries(), None));
        self.note(Entry::AttemptUnknown {
            node: token.node.clone(),
            visit: token.visit,
            attempt,
            message: message.to_owned(),
            retry_at,
        });
        match (next, retry_at) {
            (Next::LookUp, _) => {
                self.order(Command::LookUp(Box::new(effect.clone())));
                self.replace(&token, TokenState::LookingUp(Box::new(effect)));
            }
            (Next::Resend, Some(at)) => self.retry_at(&token, effect, at),
            _ if self.follows_given_up(&token, &effect) => {}
            (Next::Resend | Next::GiveUp | Next::Done | Next::Ask | Next::Skip, _) => {
                self.give_up_or_ask(&token, effect, planned, message);
            }
        }
    }

    /// What a look-up found.
    pub(super) fn find(&mut self, key: &str, attempt: u32, finding: Finding) {
        let looking_up = |state: &TokenState| matches!(state, TokenState::LookingUp(_));
        let Some((token, effect, planned)) = self.take_planned(key, attempt, looking_up) else {
            return;
        };
        let next = settlement::after_look_up(&effect, &finding, &planned.retry);
        match finding {
            Finding::Present { provider_id, output } => self.confirmed(&token, &effect, provider_id, output),
            Finding::CannotTell { reason } => self.ask(&token, effect, reason),
            Finding::Absent => {
                self.record(&effect, EffectState::Absent, None, None);
                let resend = next == Next::Resend && self.is_live(token.way.frame);
                let retry_at = resend.then_some(self.world.now);
                let (node, visit) = (token.node.clone(), token.visit);
                self.note(Entry::AttemptAbsent {
                    node,
                    visit,
                    attempt,
                    retry_at,
                });
                match next {
                    Next::Resend if resend => self.again(&token, effect, 0),
                    Next::Ask => self.ask(&token, effect, "it was looked up and not found".to_owned()),
                    Next::Skip => self.leave(&token, PORT_OK, json!({"skipped": true}), None),
                    Next::Resend | Next::GiveUp | Next::Done | Next::LookUp => {
                        self.fail_token(&token, "not_carried_out", "it was looked up and not found");
                    }
                }
            }
        }
    }

    /// The gate lets the effect through only later; nothing was sent.
    pub(super) fn hold(&mut self, key: &str, attempt: u32, until: Timestamp, reason: String) {
        let Some((token, effect)) = self.take_effect(key, Some(attempt), is_acting) else {
            return;
        };
        self.record(&effect, EffectState::Absent, None, Some(reason.clone()));
        if !self.is_live(token.way.frame) {
            self.note(Entry::NodeCancelled {
                node: token.node,
                visit: token.visit,
            });
            return;
        }
        let (node, visit) = (token.node.clone(), token.visit);
        self.note(Entry::Held {
            node,
            visit,
            attempt,
            until,
            reason,
        });
        let alarm = self.set_timer(until);
        self.replace(&token, TokenState::Held(Box::new(effect), alarm));
    }

    /// A person decided about an effect in doubt.
    pub(super) fn decide(&mut self, key: &str, choice: Choice) {
        let asking = |state: &TokenState| matches!(state, TokenState::Asking(_));
        let Some((token, effect)) = self.take_effect(key, None, asking) else {
            return;
        };
        self.note(Entry::Decided {
            node: token.node.clone(),
            visit: token.visit,
            choice,
        });
        match choice {
            Choice::Resend => self.again(&token, effect, 0),
            Choice::Skip => self.leave(&token, PORT_OK, json!({"skipped": true}), None),
        }
    }

    /// The process that moved the run is gone: its claims are in doubt, its look-ups and timers are asked for again.
    pub(super) fn recover(&mut self) {
        let in_flight: Vec<Effect> = self.run.in_flight().into_iter().cloned().collect();
        for effect in in_flight {
            let claimed = self
                .run
                .tokens
                .values()
                .any(|token| is_acting(&token.state) && is(&token.state, &effect.key));
            if claimed {
                self.doubt(
                    &effect.key,
                    effect.attempt,
                    "the server stopped before the answer came",
                );
            } else {
                self.repeat_order(Command::LookUp(Box::new(effect)));
            }
        }
        for (timer, due) in self.run.timers() {
            self.repeat_order(Command::SetTimer { timer, due });
        }
        let waiting: Vec<u32> = self.run.tokens.keys().copied().collect();
        for number in waiting {
            self.look_back(number);
            self.ask_again(number);
        }
    }

    fn retry_at(&mut self, token: &Token, effect: Effect, at: Timestamp) {
        let alarm = self.set_timer(at);
        self.replace(token, TokenState::Retrying(Box::new(effect), alarm));
    }

    /// Repeating did not bring an answer: the failure takes its way when the author gave it one, else a person decides.
    fn give_up_or_ask(&mut self, token: &Token, effect: Effect, planned: &PlannedNode, message: &str) {
        let frame = token.way.frame;
        let has_way =
            self.port_after_failure(planned, frame).is_some() || self.failing_frame(frame).is_some();
        if self.is_live(frame) && !has_way {
            self.ask(token, effect, message.to_owned());
        } else {
            self.fail_token(token, OUTCOME_UNKNOWN, message);
        }
    }

    fn ask(&mut self, token: &Token, effect: Effect, reason: String) {
        self.record(&effect, EffectState::Unknown, None, Some(reason.clone()));
        let (node, visit, attempt, key) = (
            token.node.clone(),
            token.visit,
            effect.attempt,
            effect.key.clone(),
        );
        self.note(Entry::Asked {
            node,
            visit,
            attempt,
            key,
            reason,
        });
        if self.is_live(token.way.frame) {
            self.replace(token, TokenState::Asking(Box::new(effect)));
        }
    }

    /// Takes the token out that holds the effect, when its state fits.
    fn take_effect(
        &mut self,
        key: &str,
        attempt: Option<u32>,
        fits: impl Fn(&TokenState) -> bool,
    ) -> Option<(Token, Effect)> {
        let (number, effect) = self.run.tokens.iter().find_map(|(number, token)| {
            let effect = token.state.effect()?;
            let wanted = effect.key == key && attempt.is_none_or(|attempt| attempt == effect.attempt);
            (wanted && fits(&token.state)).then(|| (*number, effect.clone()))
        })?;
        Some((self.take(number)?, effect))
    }

    fn take_planned(
        &mut self,
        key: &str,
        attempt: u32,
        fits: impl Fn(&TokenState) -> bool,
    ) -> Option<(Token, Effect, &'a PlannedNode)> {
        let plan = self.plan;
        let (token, effect) = self.take_effect(key, Some(attempt), fits)?;
        let planned = plan.node(&token.node)?;
        Some((token, effect, planned))
    }
}

const fn is_acting(state: &TokenState) -> bool {
    matches!(state, TokenState::Acting(_))
}

fn is(state: &TokenState, key: &str) -> bool {
    state.effect().is_some_and(|effect| effect.key == key)
}
