//! A run that is given whatever is drawn, and checked along the way: what the shell relies on.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    random_workflows::ATTEMPTS,
    story::{START, Story},
};
use crate::{
    domain::{
        call::{CallEnd, CallStatus},
        ids::{CallId, ObservationId, RunId},
        observation::{EventType, Observation},
        run::{EffectState, RunStatus},
    },
    workflows::{
        effect::{Command, Effect},
        input::{Choice, Failure, FailureKind, Finding, Input},
        settlement::IN_DOUBT_ATTEMPTS_MIN,
        transition::{Transition, transition},
    },
};

/// What is kept along a sequence to check it by.
pub(super) struct Watch {
    pub(super) story: Story,
    /// Each effect by key, attempt counts left out.
    effects: BTreeMap<String, Effect>,
    acted: BTreeSet<(String, u32)>,
    resent_by_hand: BTreeMap<String, u32>,
    /// Timers that are set, as the shell would hold them.
    pub(super) timers: BTreeMap<u64, crate::domain::time::Timestamp>,
    open: Vec<Effect>,
    looking_up: Vec<Effect>,
    looking_back: Vec<u32>,
    asked_runs: Vec<RunId>,
    asked_calls: Vec<CallId>,
    pub(super) trace: Vec<u8>,
}

impl Watch {
    pub(super) fn new(definition: &Value) -> Self {
        let mut watch = Self {
            story: Story::new(definition),
            effects: BTreeMap::new(),
            acted: BTreeSet::new(),
            resent_by_hand: BTreeMap::new(),
            timers: BTreeMap::new(),
            open: Vec::new(),
            looking_up: Vec::new(),
            looking_back: Vec::new(),
            asked_runs: Vec::new(),
            asked_calls: Vec::new(),
            trace: Vec::new(),
        };
        watch.give(Input::Started);
        watch
    }

    fn give(&mut self, input: Input) -> Transition {
        let straight = transition(
            &self.story.plan,
            self.story.run.clone(),
            input.clone(),
            &self.story.world,
        );
        let ended_before = self.story.run.has_ended();
        let bytes_before = self.story.run.snapshot();
        let given = self.story.give(input.clone());
        assert_eq!(straight, given, "through a snapshot and without one");
        assert!(
            !(ended_before && given.changed),
            "an ended run changed on {input:?}"
        );
        assert!(
            given.changed || bytes_before == given.run.snapshot(),
            "changed without saying so: {input:?}"
        );
        self.check_commands(&given);
        self.trace.extend(given.run.snapshot());
        self.trace.extend(format!("{:?}", given.commands).into_bytes());
        let repeated = transition(
            &self.story.plan,
            given.run.clone(),
            input.clone(),
            &self.story.world,
        );
        // What the first recovery claimed anew is in doubt after a second: only then may that one change the run.
        let claims = |transition: &Transition| {
            let mut commands = transition.commands.iter();
            commands.any(|command| matches!(command, Command::Act(_)))
        };
        if input == Input::Recovered && claims(&given) {
            return given;
        }
        assert!(!repeated.changed, "{input:?} changed the run twice");
        assert!(!claims(&repeated), "{input:?} acted twice");
        given
    }

    fn check_commands(&mut self, given: &Transition) {
        for command in &given.commands {
            match command {
                Command::Act(effect) => self.check_effect(effect, given),
                Command::LookUp(effect) => self.looking_up.push((**effect).clone()),
                Command::LookBack { wait, .. } => self.looking_back.push(*wait),
                Command::AskRun { run_id } | Command::CancelRun { run_id } => self.asked_runs.push(*run_id),
                Command::AskCall { call_id } => self.asked_calls.push(*call_id),
                Command::SetTimer { .. } | Command::ClearTimer { .. } | Command::Listen { .. } => {}
                Command::Finish { status, .. } => assert!(status.is_terminal()),
            }
        }
        for timer in &given.timers_cleared {
            self.timers.remove(timer);
        }
        self.timers.extend(given.timers_set.iter().copied());
        let held: BTreeMap<_, _> = given.run.timers().into_iter().collect();
        assert_eq!(self.timers, held, "the shell's timers are the run's");
        let in_flight = !given.run.in_flight().is_empty();
        assert!(!in_flight || given.run.status() == RunStatus::Running);
        if given.run.status() == RunStatus::Waiting {
            assert!(!self.timers.is_empty(), "a waiting run waits for a timer");
        }
    }

    fn check_effect(&mut self, effect: &Effect, given: &Transition) {
        let plain = Effect {
            attempt: 0,
            holds: 0,
            ..effect.clone()
        };
        let known = self
            .effects
            .entry(effect.key.clone())
            .or_insert_with(|| plain.clone());
        assert_eq!(*known, plain, "one key, one content");
        assert!(
            self.acted.insert((effect.key.clone(), effect.attempt)),
            "attempt {} twice",
            effect.attempt
        );
        let by_hand = self.resent_by_hand.get(&effect.key).copied().unwrap_or(0);
        assert!(
            effect.tries() <= ATTEMPTS.max(IN_DOUBT_ATTEMPTS_MIN) + by_hand,
            "tries of {}",
            effect.key
        );
        let claimed = given
            .effects
            .iter()
            .any(|record| record.effect == *effect && record.state == EffectState::Claimed);
        assert!(claimed, "an act without its claim");
        let again: Effect =
            serde_json::from_value(serde_json::to_value(effect).expect("JSON")).expect("an effect");
        assert_eq!(again, *effect);
        self.open.push(effect.clone());
    }

    /// One drawn input.
    #[expect(clippy::too_many_lines, reason = "one arm for each kind of input")]
    pub(super) fn draw(&mut self, (what, which, how): (u8, u8, u8)) {
        let pick = |effects: &[Effect]| {
            (!effects.is_empty()).then(|| effects[usize::from(which) % effects.len()].clone())
        };
        match what {
            0..=8 => {
                let Some(effect) = pick(&self.open) else { return };
                self.give(answer(&effect, how, &self.story));
            }
            9..=11 => {
                let Some(effect) = pick(&self.looking_up) else {
                    return;
                };
                let finding = match how % 3 {
                    0 => Finding::Present {
                        provider_id: None,
                        output: json!({"found": true}),
                    },
                    1 => Finding::Absent,
                    _ => Finding::CannotTell {
                        reason: "no access".to_owned(),
                    },
                };
                self.give(Input::LookedUp {
                    key: effect.key,
                    attempt: effect.attempt,
                    finding,
                });
            }
            12..=16 => {
                let timer = u64::from(which) % 12;
                if let (Some(due), true) = (self.timers.get(&timer), how % 4 != 0) {
                    self.story.world.now = self.story.world.now.max(*due);
                }
                self.give(Input::TimerFired { timer });
            }
            17 => {
                let Some(effect) = pick(&self.open) else { return };
                let choice = if how.is_multiple_of(2) {
                    Choice::Resend
                } else {
                    Choice::Skip
                };
                let decided = self.try_decide(&effect, choice);
                self.give(decided);
            }
            18 => {
                self.give(Input::Recovered);
            }
            19 => self.story.pass(Duration::from_secs(u64::from(how))),
            20 if how < 40 => {
                self.give(Input::Cancelled {
                    reason: "by hand".to_owned(),
                });
            }
            21 if how < 40 => {
                let event = opted_out(&self.story);
                self.give(Input::Observed(Box::new(event)));
            }
            22 | 23 => {
                let event = happened(&self.story, which, how);
                self.give(Input::Observed(Box::new(event)));
            }
            24 => {
                let Some(wait) = self
                    .looking_back
                    .get(usize::from(which) % self.looking_back.len().max(1))
                else {
                    return;
                };
                let observations = (0..how % 3).map(|at| happened(&self.story, which, how.wrapping_add(at)));
                let (wait, observations) = (*wait, observations.collect());
                self.give(Input::LookedBack { wait, observations });
            }
            25 => {
                let Some(run_id) = self
                    .asked_runs
                    .get(usize::from(which) % self.asked_runs.len().max(1))
                else {
                    return;
                };
                let status = [
                    RunStatus::Completed,
                    RunStatus::Failed,
                    RunStatus::Waiting,
                    RunStatus::Cancelled,
                ];
                let (run_id, status) = (*run_id, status[usize::from(how) % 4]);
                self.give(Input::RunEnded {
                    run_id,
                    status,
                    reason: None,
                });
            }
            26 => {
                let Some(call_id) = self
                    .asked_calls
                    .get(usize::from(which) % self.asked_calls.len().max(1))
                else {
                    return;
                };
                self.give(call_ended(*call_id));
            }
            _ => {
                self.give(Input::Started);
            }
        }
    }

    fn try_decide(&mut self, effect: &Effect, choice: Choice) -> Input {
        if choice == Choice::Resend {
            *self.resent_by_hand.entry(effect.key.clone()).or_insert(0) += 1;
        }
        Input::Decided {
            key: effect.key.clone(),
            choice,
        }
    }

    /// Answers everything and lets time pass: the run has to end.
    pub(super) fn drain(&mut self) {
        for _ in 0..20_000 {
            if self.story.run.has_ended() {
                return;
            }
            if let Some(effect) = self.story.run.in_flight().first().map(|effect| (*effect).clone()) {
                self.give(done(&effect));
            } else if let Some(wait) = self.looking_back.pop() {
                self.give(Input::LookedBack {
                    wait,
                    observations: Vec::new(),
                });
            } else if let Some(run_id) = self.asked_runs.pop() {
                self.give(Input::RunEnded {
                    run_id,
                    status: RunStatus::Completed,
                    reason: None,
                });
            } else if let Some(call_id) = self.asked_calls.pop() {
                self.give(call_ended(call_id));
            } else if let Some((timer, due)) =
                self.timers.first_key_value().map(|(timer, due)| (*timer, *due))
            {
                self.story.world.now = self.story.world.now.max(due);
                self.give(Input::TimerFired { timer });
            } else {
                let keys: Vec<String> = self.effects.keys().cloned().collect();
                for key in keys {
                    self.give(Input::Decided {
                        key,
                        choice: Choice::Skip,
                    });
                }
            }
        }
        panic!("the run does not end: {:?}", self.story.run);
    }
}

fn answer(effect: &Effect, how: u8, story: &Story) -> Input {
    let (key, attempt) = (effect.key.clone(), effect.attempt);
    let kind = if how.is_multiple_of(2) {
        FailureKind::Temporary
    } else {
        FailureKind::Permanent
    };
    match how % 8 {
        0..=2 => done(effect),
        3 | 4 => Input::EffectFailed {
            key,
            attempt,
            failure: Failure {
                kind,
                code: "x".to_owned(),
                message: "no".to_owned(),
                retry_after: None,
            },
        },
        5 | 6 => Input::EffectUnknown {
            key,
            attempt,
            message: "timed out".to_owned(),
        },
        _ => {
            let until = story.world.now.plus(Duration::from_secs(60));
            Input::EffectHeld {
                key,
                attempt,
                until,
                reason: "quiet hours".to_owned(),
            }
        }
    }
}

fn done(effect: &Effect) -> Input {
    Input::EffectDone {
        key: effect.key.clone(),
        attempt: effect.attempt,
        provider_id: None,
        output: json!({"id": 1, "call_id": CallId::derived(START, &[effect.key.as_bytes()])}),
    }
}

const fn call_ended(call_id: CallId) -> Input {
    let end = CallEnd {
        status: CallStatus::Completed,
        answered_by: None,
        duration_s: Some(7),
    };
    Input::CallEnded { call_id, end }
}

/// A text message or a signal; some are the same ones.
fn happened(story: &Story, which: u8, how: u8) -> Observation {
    let kind = if which.is_multiple_of(2) {
        "sms.received"
    } else {
        "signal.go"
    };
    Observation {
        id: ObservationId::derived(START, &[kind.as_bytes(), &[how % 16]]),
        kind: EventType::new(kind),
        data: if how.is_multiple_of(7) {
            json!({})
        } else {
            json!({"n": how})
        },
        ..opted_out(story)
    }
}

fn opted_out(story: &Story) -> Observation {
    Observation {
        id: ObservationId::derived(START, &[b"out"]),
        account_id: story.run.account_id(),
        kind: EventType::LEAD_OPTED_OUT,
        at: story.world.now,
        lead_id: story.run.lead_id(),
        call_id: None,
        caused_by: None,
        trace: None,
        data: json!({}),
    }
}
