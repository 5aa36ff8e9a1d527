//! The gate in a dry run: the same rules as the real one, over the people, the facts and the contacts that the trial believes in.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{DryOutcome, stage::Stage};
use crate::{
    domain::{lead::Lead, time::Timestamp, tokens::Tokens},
    workflows::{
        definition::Audience,
        effect::{Effect, Errand, Recipient},
        gate_people::{Person, is_address_of, people_of},
        gate_rules::{GateFacts, GateRules, Objection, Refusal, is_heard},
        gate_together::{Permission, judge_together},
        input::{Failure, FailureKind, Input},
    },
};

impl Stage<'_> {
    /// Asks the gate as a real effect would. Gives what may go, without receivers that are left out; `None` when nothing may: then
    /// the run has its answer.
    pub(super) fn allowed(&mut self, effect: &Effect, request: &Value) -> Option<Effect> {
        let Some(rules) = &self.trial.rules else {
            return Some(effect.clone());
        };
        if effect.audience == Audience::Staff || effect.request.errand() == Errand::House {
            return Some(effect.clone());
        }
        let (key, attempt) = (effect.key.clone(), effect.attempt);
        let (outcome, reason, answer) = match self.judge(effect, rules) {
            Ok(permission) => {
                let gate = permission.gate;
                self.answers.push_back(Input::Judged { key, attempt, gate });
                let request = effect.request.without(&permission.left_out);
                return Some(Effect {
                    request: request.unwrap_or_else(|| effect.request.clone()),
                    ..effect.clone()
                });
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
        None
    }

    /// The permission for an effect, with its contacts booked.
    fn judge(&mut self, effect: &Effect, rules: &GateRules) -> Result<Permission, Objection> {
        let now = self.world.now;
        let people = self.people(effect);
        let requires_consent = self.world.account.require_consent;
        let facts = |person| Person::facts(person, effect, requires_consent, now);
        let facts: Vec<GateFacts<'_>> = people.iter().map(facts).collect();
        let together = judge_together(&facts, rules)?;
        let caps = &rules.caps;
        let mut answers = BTreeMap::new();
        for (place, pass) in &together.goes_to {
            let counted = caps.counted(effect, people[*place].lead_id(), pass);
            let answer = counted.map(|counted| {
                let channel = counted.channel;
                caps.judge(channel, self.contacts.book(counted, &effect.key, now))
            });
            answers.insert(*place, answer.transpose());
        }
        let permission = together.after_caps(effect, &people, answers);
        if permission.is_err() {
            self.contacts.release(&effect.key);
        }
        permission
    }

    /// Whom the effect would reach.
    fn people(&mut self, effect: &Effect) -> Vec<Person> {
        let own = self.world.lead.clone();
        let own = own.filter(|lead| effect.lead_id == Some(lead.id));
        let receivers = effect.request.errand().recipients();
        let owners = receivers.into_iter().map(|receiver| {
            let mut known = own.iter().chain(&self.trial.people);
            let owner: Option<&Lead> = known.find(|lead| is_address_of(lead, receiver));
            if owner.is_none() {
                self.strangers.insert(match receiver {
                    Recipient::Phone(number) => number.as_str().to_owned(),
                    Recipient::Email(address) => address.to_lowercase(),
                });
            }
            owner.cloned()
        });
        let owners = owners.collect();
        let mut people = people_of(effect, owners, own.as_ref());
        let last_heard = self.last_heard();
        for person in &mut people {
            let is_own = own.is_none() || person.lead_id() == own.as_ref().map(|lead| lead.id);
            person.last_heard = last_heard.filter(|_| is_own);
        }
        people
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
