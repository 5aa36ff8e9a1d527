//! Plays a run: gives it one input after the other and answers what it asks for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use super::{
    Contacts, DryEffect, DryOutcome, DryRun, EVENTS_MAX, RunScript, SkippedWait, Trial,
    answers::{Answer, edited, sample_output},
};
use crate::{
    domain::{
        ids::{LeadId, ObservationId},
        observation::{EventType, Observation},
        run::RunStatus,
        time::Timestamp,
        tokens::Tokens,
    },
    workflows::{
        effect::{Command, Effect, Request},
        history,
        input::{Failure, Finding, Input},
        journal::{Entry, JournalEntry},
        plan::Plan,
        prices,
        run::{Run, RunSeed},
        scope::World,
        transition::transition,
    },
};

/// A run in the making, and the world it believes in.
pub(super) struct Stage<'a> {
    plan: &'a Plan,
    pub(super) trial: &'a Trial,
    pub(super) world: World,
    run: Run,
    journal: Vec<JournalEntry>,
    effects: Vec<DryEffect>,
    waits: Vec<SkippedWait>,
    tokens: Tokens,
    timers: BTreeMap<u64, Timestamp>,
    /// What providers have answered and the run has not heard.
    pub(super) answers: VecDeque<Input>,
    /// Events whose time is known, and those that wait for the run to come to a node: by place in the script.
    due_events: BTreeMap<usize, Timestamp>,
    /// What happened to the lead, oldest first: before the run, and since.
    pub(super) past: Vec<Observation>,
    /// What has gone out.
    pub(super) contacts: &'a mut Contacts,
    /// Addresses that nobody was known behind.
    pub(super) strangers: BTreeSet<String>,
    run_script: RunScript<'a>,
    inputs: usize,
}

/// What happens next.
enum Next {
    Ring(u64),
    Happen(usize),
}

impl<'a> Stage<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        trial: &'a Trial,
        contacts: &'a mut Contacts,
        run_script: RunScript<'a>,
    ) -> Self {
        let world = trial.world.clone();
        let seed = RunSeed {
            id: trial.run_id,
            account_id: world.account.id,
            workflow_id: trial.workflow_id,
            version: trial.version,
            lead_id: world.lead.as_ref().map(|lead| lead.id),
            call_id: trial.call_id,
            trigger: trial.trigger.clone(),
            started_at: world.now,
        };
        let events = trial.script.events.iter().take(EVENTS_MAX).enumerate();
        let due_events = events
            .filter(|(_, event)| event.once_at.is_none())
            .map(|(place, event)| (place, world.now.plus(event.after)))
            .collect();
        Self {
            plan,
            trial,
            world,
            run: Run::new(seed),
            journal: Vec::new(),
            effects: Vec::new(),
            waits: Vec::new(),
            tokens: prices::RUN,
            timers: BTreeMap::new(),
            answers: VecDeque::new(),
            due_events,
            past: trial.past.clone(),
            contacts,
            strangers: BTreeSet::new(),
            run_script,
            inputs: 0,
        }
    }

    pub(super) fn play(mut self) -> DryRun {
        self.give(Input::Started);
        while !self.run.has_ended() && self.inputs < self.trial.inputs_max {
            if let Some(answer) = self.answers.pop_front() {
                self.give(answer);
                continue;
            }
            match self.next() {
                Some((at, Next::Ring(timer))) => {
                    self.world.now = self.world.now.max(at);
                    self.give(Input::TimerFired { timer });
                }
                Some((at, Next::Happen(place))) => {
                    self.world.now = self.world.now.max(at);
                    self.due_events.remove(&place);
                    let observation = self.observation(place);
                    self.past.push(observation.clone());
                    self.give(Input::Observed(Box::new(observation)));
                }
                None => break,
            }
        }
        self.finish()
    }

    /// The earliest thing to come; of two at once, what happened before what was waited for.
    fn next(&self) -> Option<(Timestamp, Next)> {
        let events = self
            .due_events
            .iter()
            .map(|(place, at)| (*at, 0, Next::Happen(*place)));
        let timers = self.timers.iter().map(|(timer, at)| (*at, 1, Next::Ring(*timer)));
        events
            .chain(timers)
            .min_by_key(|(at, order, _)| (*at, *order))
            .map(|(at, _, next)| (at, next))
    }

    fn observation(&self, place: usize) -> Observation {
        let event = &self.trial.script.events[place];
        Observation {
            id: ObservationId::derived(self.world.now, &[b"dry run", &place.to_be_bytes()]),
            account_id: self.world.account.id,
            kind: event.kind.clone(),
            at: self.world.now,
            lead_id: self.run.lead_id(),
            call_id: self.run.call_id(),
            caused_by: None,
            trace: None,
            data: Value::Object(event.data.clone()),
        }
    }

    /// What a wait finds when it looks back.
    fn past_of(&self, lead_id: LeadId, events: &[EventType], since: Timestamp) -> Vec<Observation> {
        let fits = |fact: &&Observation| {
            fact.lead_id == Some(lead_id) && fact.at >= since && events.contains(&fact.kind)
        };
        self.past.iter().filter(fits).cloned().collect()
    }

    fn give(&mut self, input: Input) {
        self.inputs += 1;
        let moved = transition(self.plan, self.run.clone(), input, &self.world);
        self.run = moved.run;
        for line in &moved.journal {
            self.note(line);
        }
        self.journal.extend(moved.journal);
        for command in moved.commands {
            match command {
                Command::Act(effect) => self.act(&effect),
                Command::LookUp(effect) => self.look_up(&effect),
                Command::SetTimer { timer, due } => {
                    self.timers.insert(timer, due);
                }
                Command::ClearTimer { timer } => {
                    self.timers.remove(&timer);
                }
                Command::LookBack {
                    wait,
                    lead_id,
                    events,
                    since,
                } => {
                    let observations = self.past_of(lead_id, &events, since);
                    self.answers.push_back(Input::LookedBack { wait, observations });
                }
                // The runs it starts come to their end at once.
                Command::AskRun { run_id } => self.answers.push_back(Input::RunEnded {
                    run_id,
                    status: RunStatus::Completed,
                    reason: None,
                }),
                Command::CancelRun { run_id } => self.answers.push_back(Input::RunEnded {
                    run_id,
                    status: RunStatus::Cancelled,
                    reason: None,
                }),
                // A call that is waited for ends with its sample answer.
                Command::AskCall { .. } | Command::Listen { .. } | Command::Finish { .. } => (),
            }
        }
    }

    /// Keeps the waits, and lets the events happen that wait for the run to come to a node.
    fn note(&mut self, line: &JournalEntry) {
        let wait = match &line.entry {
            Entry::NodeWaiting { node, until, .. } => {
                Some((node, "wait".to_owned(), until.unwrap_or(line.at)))
            }
            Entry::Held {
                node, until, reason, ..
            } => Some((node, reason.clone(), *until)),
            Entry::AttemptFailed {
                node,
                retry_at: Some(until),
                ..
            } => Some((node, "retry".to_owned(), *until)),
            _ => None,
        };
        let Some((node, reason, until)) = wait else { return };
        for (place, event) in self.trial.script.events.iter().take(EVENTS_MAX).enumerate() {
            if event.once_at.as_ref() == Some(node) {
                self.due_events.insert(place, line.at.plus(event.after));
            }
        }
        // A loop's items and a merge's branches are no wait of their own.
        if until == line.at {
            return;
        }
        self.waits.push(SkippedWait {
            node: node.clone(),
            reason,
            from: line.at,
            until,
        });
    }

    /// Answers an effect by the script, or with a sample.
    fn act(&mut self, effect: &Effect) {
        let request = serde_json::to_value(&effect.request).unwrap_or_default();
        let Some(effect) = &self.allowed(effect, &request) else {
            return;
        };
        let request = serde_json::to_value(&effect.request).unwrap_or_default();
        let (key, attempt) = (effect.key.clone(), effect.attempt);
        let failure = match self.trial.script.answers.get(&effect.node) {
            Some(Answer::Unknown) => {
                let message = "the answer was lost".to_owned();
                self.show(
                    effect,
                    request,
                    (DryOutcome::Unknown, Some(message.clone())),
                    Tokens::ZERO,
                );
                self.answers.push_back(Input::EffectUnknown {
                    key,
                    attempt,
                    message,
                });
                return;
            }
            Some(Answer::Fail(failure)) => failure.of_attempt(effect.tries()),
            Some(Answer::Output(_)) | None => None,
        };
        let answered = match failure {
            Some(failure) => Err(failure),
            None => self.output(effect, &request),
        };
        let output = match answered {
            Ok(output) => output,
            Err(failure) => {
                // Nothing was sent, so it counts for no cap.
                self.contacts.release(&effect.key);
                let reason = Some(failure.message.clone());
                self.show(effect, request, (DryOutcome::Failed, reason), Tokens::ZERO);
                self.answers.push_back(Input::EffectFailed {
                    key,
                    attempt,
                    failure,
                });
                return;
            }
        };
        let kind = self.plan.kind_of(&effect.node).unwrap_or_default();
        let tokens = prices::of_effect(kind, &request, &output);
        self.show(effect, request, (DryOutcome::Done, None), tokens);
        self.answers.push_back(Input::EffectDone {
            key,
            attempt,
            provider_id: None,
            output,
        });
    }

    /// What the provider gives. Edits are made to the lead of this world, so that later steps see them.
    fn output(&mut self, effect: &Effect, request: &Value) -> Result<Value, Failure> {
        let scripted = match self.trial.script.answers.get(&effect.node) {
            Some(Answer::Output(output)) => Some(output.clone()),
            Some(Answer::Fail(_) | Answer::Unknown) | None => None,
        };
        if scripted.is_none()
            && let Request::RunScript { .. } = effect.request
            && let Some(returned) = (self.run_script)(effect)
        {
            return returned;
        }
        let edited = match (&effect.request, &self.world.lead) {
            (Request::EditLead { edit }, Some(lead)) if effect.lead_id == Some(lead.id) => {
                Some(edited(effect, edit, lead)?)
            }
            _ => None,
        };
        let sample = match edited {
            Some((lead, output)) => {
                self.world.lead = Some(lead);
                output
            }
            None => sample_output(effect, request, self.world.lead.as_ref()),
        };
        Ok(scripted.unwrap_or(sample))
    }

    /// Nobody can say: that is what was to be tried out.
    fn look_up(&mut self, effect: &Effect) {
        self.answers.push_back(Input::LookedUp {
            key: effect.key.clone(),
            attempt: effect.attempt,
            finding: Finding::CannotTell {
                reason: "the provider could not say".to_owned(),
            },
        });
    }

    pub(super) fn show(
        &mut self,
        effect: &Effect,
        request: Value,
        (outcome, reason): (DryOutcome, Option<String>),
        tokens: Tokens,
    ) {
        let first = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| request.get(*name).and_then(in_words))
        };
        self.tokens = self.tokens + tokens;
        self.effects.push(DryEffect {
            node: effect.node.clone(),
            visit: effect.visit,
            at: self.world.now,
            kind: first(&["kind"]).unwrap_or_default(),
            to: first(&["to", "channel", "url", "calendar"]),
            text: first(&["body", "text", "title"]).or_else(|| in_words(&request["plan"]["say"])),
            request,
            outcome,
            reason,
            tokens,
        });
    }

    fn finish(self) -> DryRun {
        let status = self.run.status();
        let error = match status {
            _ if self.inputs >= self.trial.inputs_max => Some(format!(
                "stopped after {} steps: the dry run goes no further",
                self.trial.inputs_max
            )),
            RunStatus::Waiting => Some("waits for an event that the script does not hold".to_owned()),
            _ => self.run.error(),
        };
        DryRun {
            status,
            error,
            started_at: self.trial.world.now,
            ended_at: self.world.now,
            path: history::steps(&self.journal),
            effects: self.effects,
            waits: self.waits,
            tokens: self.tokens,
            strangers: self.strangers,
        }
    }
}

/// A text, or several with commas.
fn in_words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(texts) => {
            let texts: Option<Vec<&str>> = texts.iter().map(Value::as_str).collect();
            texts.map(|texts| texts.join(", "))
        }
        _ => None,
    }
}
