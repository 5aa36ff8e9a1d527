//! The gate in a dry run: the same rules as the real one, over the facts and the contacts that the trial believes in.

use serde_json::Value;

use super::{DryOutcome, stage::Stage};
use crate::{
    domain::{time::Timestamp, tokens::Tokens},
    workflows::{
        definition::Audience,
        effect::{Effect, Errand},
        gate_rules::{GateFacts, GateRules, Objection, Refusal, is_heard, judge},
        input::{Failure, FailureKind, Input},
    },
};

impl Stage<'_> {
    /// Asks the gate as a real effect would. Returns whether it may go; else the run has its answer.
    pub(super) fn passes(&mut self, effect: &Effect, request: &Value) -> bool {
        let Some(rules) = &self.trial.rules else {
            return true;
        };
        if effect.audience == Audience::Staff || effect.request.errand() == Errand::House {
            return true;
        }
        let (key, attempt) = (effect.key.clone(), effect.attempt);
        let (outcome, reason, answer) = match self.judge(effect, rules) {
            Ok(gate) => {
                self.answers.push_back(Input::Judged { key, attempt, gate });
                return true;
            }
            Err(Objection::Hold { until, reason }) => {
                let held = Input::EffectHeld {
                    key,
                    attempt,
                    until,
                    reason: reason.clone(),
                };
                (DryOutcome::Held, reason, held)
            }
            Err(Objection::Refuse(Refusal { code, message })) => {
                let failure = Failure {
                    kind: FailureKind::Permanent,
                    code: code.to_owned(),
                    message: message.clone(),
                    retry_after: None,
                };
                let refused = Input::EffectFailed {
                    key,
                    attempt,
                    failure,
                };
                (DryOutcome::Refused, message, refused)
            }
        };
        self.show(effect, request.clone(), (outcome, Some(reason)), Tokens::ZERO);
        self.answers.push_back(answer);
        false
    }

    /// The grounds on which an effect goes out, with its contact booked.
    fn judge(&mut self, effect: &Effect, rules: &GateRules) -> Result<Value, Objection> {
        let errand = effect.request.errand();
        let facts = GateFacts {
            now: self.world.now,
            account_requires_consent: self.world.account.require_consent,
            channel: errand.channel(),
            lead: self
                .world
                .lead
                .as_ref()
                .filter(|lead| effect.lead_id == Some(lead.id)),
            to: errand.phone(),
            window: effect.window.as_deref(),
            last_heard: self.last_heard(),
        };
        let pass = judge(&facts, rules)?;
        let Some(counted) = rules.caps.counted(effect, effect.lead_id, &pass) else {
            return Ok(pass.shown(None));
        };
        let channel = counted.channel;
        let booking = self.contacts.book(counted, &effect.key, self.world.now);
        let counts = rules.caps.judge(channel, booking)?;
        Ok(pass.shown(Some(counts)))
    }

    /// When the person last wrote or called, as far as the trial knows.
    fn last_heard(&self) -> Option<Timestamp> {
        let trigger = &self.trial.trigger;
        let begun = is_heard(trigger["type"].as_str().unwrap_or_default(), &trigger["data"])
            .then_some(self.trial.world.now);
        let mut facts = self.past.iter().rev();
        let heard = facts.find(|fact| is_heard(fact.kind.as_str(), &fact.data));
        begun.max(heard.map(|fact| fact.at))
    }
}
