//! `wait_for`: until an event comes, or the time is up.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    delay::DELAY_MAX,
    kind::{Action, Awaited, Entered, Node, NodeError, NodeKind, Scene, Wait, read},
    source::{Filter, Source},
};
use crate::{
    domain::{observation::EventType, time::parse_span},
    workflows::{
        definition::{one_or_many, span},
        problem::Problem,
        trigger,
        waits::{PORT_EVENT, PORT_TIMEOUT, SIGNAL},
    },
};

/// How long a node waits that does not say: every wait ends.
const TIMEOUT: Duration = Duration::from_secs(30 * 86_400);
/// Most event types of one wait.
const EVENTS_MAX: usize = 20;

pub(super) struct WaitFor;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    #[serde(deserialize_with = "one_or_many")]
    event: Vec<EventType>,
    #[serde(default = "thirty_days", with = "span")]
    timeout: Duration,
    filter: Option<Filter>,
    #[serde(default = "run")]
    look_back: String,
}

/// A wait as it is used.
#[derive(Debug)]
struct Waiting {
    events: Vec<EventType>,
    timeout: Duration,
    filter: Option<Filter>,
    look_back: LookBack,
}

/// How far back an event may lie.
#[derive(Debug, Clone, Copy)]
enum LookBack {
    Run,
    Span(Duration),
    None,
}

const fn thirty_days() -> Duration {
    TIMEOUT
}

fn run() -> String {
    "run".to_owned()
}

impl NodeKind for WaitFor {
    fn name(&self) -> &'static str {
        "wait_for"
    }

    fn title(&self) -> &'static str {
        "Wait for event"
    }

    fn ports(&self) -> &'static [&'static str] {
        &[PORT_EVENT, PORT_TIMEOUT]
    }

    fn fallback(&self) -> &'static str {
        PORT_TIMEOUT
    }

    fn schema(&self) -> Value {
        let name = json!({"type": "string", "minLength": 1, "maxLength": 100});
        json!({
            "type": "object", "additionalProperties": false, "required": ["event"],
            "properties": {
                "event": {"title": "Event", "description": "For example sms.received, or a list; signal.<name> for a signal",
                    "anyOf": [name, {"type": "array", "items": name, "minItems": 1, "maxItems": EVENTS_MAX}]},
                "timeout": {"type": "string", "default": "30d", "title": "At the longest", "format": "span"},
                "filter": {"type": "string", "minLength": 1, "title": "Only when", "format": "expression",
                    "description": "For example event.data.amount > 1000"},
                "look_back": {"type": "string", "default": "run", "title": "Events before the wait",
                    "description": "run: since the run began; a span like 1h; none"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        let mut problems = Vec::new();
        if let Some(Err(error)) = params.get("timeout").and_then(Value::as_str).map(parse_span) {
            problems.push(Problem::new(
                "timeout",
                "bad_span",
                error.to_string(),
                "write it like 3d",
            ));
            return Err(problems);
        }
        let params: Params = read(params)?;
        for kind in &params.event {
            problems.extend(trigger::check_event("event", kind));
        }
        if params.timeout.is_zero() || params.timeout > DELAY_MAX {
            let message = "the wait is not between a moment and ten years long";
            problems.push(Problem::new("timeout", "bad_span", message, "write it like 3d"));
        }
        let look_back = match params.look_back.as_str() {
            "run" => LookBack::Run,
            "none" => LookBack::None,
            text => match parse_span(text) {
                Ok(span) => LookBack::Span(span),
                Err(_) => {
                    let message = format!("`{text}` is not `run`, `none` or a span");
                    problems.push(Problem::new("look_back", "bad_span", message, "write it like 1h"));
                    LookBack::None
                }
            },
        };
        if problems.is_empty() {
            Ok(Box::new(Waiting {
                events: params.event,
                timeout: params.timeout,
                filter: params.filter,
                look_back,
            }))
        } else {
            Err(problems)
        }
    }
}

impl Node for Waiting {
    fn sources(&self) -> Vec<Source<'_>> {
        self.filter.iter().map(|filter| filter.source("filter")).collect()
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        self.check_reach(scene)?;
        let until = scene.now.plus(self.timeout);
        let since = match self.look_back {
            LookBack::Run => Some(scene.run.started_at),
            LookBack::Span(span) => Some(scene.now.minus(span)),
            LookBack::None => None,
        };
        Ok(Entered {
            input: json!({"event": self.events, "until": until, "since": since}),
            action: Action::Listen(Wait { until, since }),
        })
    }

    fn awaited(&self) -> Option<Awaited<'_>> {
        Some(Awaited {
            events: &self.events,
            filter: self.filter.as_ref(),
            looks_back: match self.look_back {
                LookBack::Span(span) => span,
                LookBack::Run | LookBack::None => Duration::ZERO,
            },
        })
    }
}

impl Waiting {
    /// A wait for an event that cannot come to this run is a mistake to hear of at once.
    fn check_reach(&self, scene: &Scene<'_>) -> Result<(), NodeError> {
        let run = &scene.run;
        if self.events.iter().all(|kind| kind.as_str().starts_with(SIGNAL)) {
            return Ok(());
        }
        if run.lead_id.is_none() {
            let message = "the run is about no lead, so only signals can reach it";
            return Err(NodeError::new("nobody_to_hear_of", message));
        }
        if run.lead_id != run.own_lead_id {
            let message = "the run hears of its own lead only: start a workflow for each lead with run_workflow and wait there";
            return Err(NodeError::new("nobody_to_hear_of", message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{ids::ObservationId, observation::Observation, run::RunStatus},
        workflows::{
            effect::Command,
            input::Input,
            tests::story::{Story, acts, done, single},
            transition::Transition,
        },
    };

    fn waiting(params: &Value) -> Value {
        let mut definition = single("wait_for", params, &json!({}));
        let task =
            |id: &str, title: &str| json!({"id": id, "type": "create_task", "params": {"title": title}});
        let nodes = definition["nodes"].as_array_mut().expect("a list");
        nodes.push(task("came", "{{ steps.one.output.data.text | default('?') }}"));
        nodes.push(task("late", "nothing came"));
        let edges = definition["edges"].as_array_mut().expect("a list");
        edges.push(json!({"from": "one", "port": "event", "to": "came"}));
        edges.push(json!({"from": "one", "port": "timeout", "to": "late"}));
        definition
    }

    fn event(story: &Story, kind: &str, text: &str) -> Observation {
        Observation {
            id: ObservationId::derived(story.world.now, &[kind.as_bytes(), text.as_bytes()]),
            account_id: story.run.account_id(),
            kind: EventType::new(kind),
            at: story.world.now,
            lead_id: story.run.lead_id(),
            call_id: None,
            caused_by: None,
            trace: None,
            data: json!({"text": text}),
        }
    }

    fn observed(story: &mut Story, kind: &str, text: &str) -> Transition {
        let observation = event(story, kind, text);
        story.give(Input::Observed(Box::new(observation)))
    }

    fn nodes(transition: &Transition) -> Vec<&str> {
        acts(transition)
            .iter()
            .map(|effect| effect.node.as_str())
            .collect()
    }

    fn none_before(story: &mut Story) {
        let wait = 0;
        story.give(Input::LookedBack {
            wait,
            observations: Vec::new(),
        });
    }

    #[test]
    fn the_event_ends_the_wait_once_and_others_do_not() {
        let params =
            json!({"event": ["sms.received", "payment.received"], "filter": "'yes' in event.data.text"});
        let mut story = Story::new(&waiting(&params));
        let begun = story.give(Input::Started);
        assert!(matches!(
            &begun.commands[..],
            [
                Command::Listen { .. },
                Command::SetTimer { .. },
                Command::LookBack { wait: 0, .. }
            ]
        ));
        assert_eq!(
            begun.run.status(),
            RunStatus::Running,
            "a look-back that is lost with the process is asked again"
        );
        none_before(&mut story);
        assert_eq!(story.run.status(), RunStatus::Waiting);
        story.pass(Duration::from_secs(60));
        assert!(!observed(&mut story, "quote.sent", "yes").changed);
        assert!(!observed(&mut story, "sms.received", "no").changed);
        let came = observed(&mut story, "sms.received", "yes please");
        assert_eq!((nodes(&came), came.timers_cleared.len()), (vec!["came"], 1));
        assert!(!observed(&mut story, "sms.received", "yes please").changed);
    }

    #[test]
    fn the_wait_ends_by_timeout_when_nothing_comes() {
        let mut story = Story::new(&waiting(
            &json!({"event": "sms.received", "timeout": "2h", "look_back": "none"}),
        ));
        let begun = story.give(Input::Started);
        let (timer, due) = begun.timers_set[0];
        story.world.now = due;
        assert_eq!(nodes(&story.give(Input::TimerFired { timer })), ["late"]);
    }

    #[test]
    fn an_event_before_the_wait_is_found_and_no_other_wait_finds_it_again() {
        let definition = json!({"name": "w", "trigger": {"type": "manual"},
            "nodes": [{"id": "pause", "type": "delay", "params": {"for": "1h"}},
                {"id": "one", "type": "wait_for", "params": {"event": "sms.received"}},
                {"id": "two", "type": "wait_for", "params": {"event": "sms.received"}}],
            "edges": [{"from": "trigger", "to": "pause"}, {"from": "pause", "to": "one"},
                {"from": "one", "port": "event", "to": "two"}]});
        let mut story = Story::new(&definition);
        let (timer, due) = story.give(Input::Started).timers_set[0];
        story.pass(Duration::from_secs(60));
        let early = event(&story, "sms.received", "here already");
        assert!(!story.give(Input::Observed(Box::new(early.clone()))).changed);
        story.world.now = due;
        let asked = story.give(Input::TimerFired { timer });
        let look_back = |given: &Transition| {
            given.commands.iter().find_map(|command| match command {
                Command::LookBack { wait, since, .. } => Some((*wait, *since)),
                _ => None,
            })
        };
        let (wait, since) = look_back(&asked).expect("a look-back");
        assert_eq!(since, story.run.started_at());
        let found = story.give(Input::LookedBack {
            wait,
            observations: vec![early.clone()],
        });
        let (wait, _) = look_back(&found).expect("the second wait looks back too");
        let again = story.give(Input::LookedBack {
            wait,
            observations: vec![early],
        });
        assert_eq!(
            again.run.status(),
            RunStatus::Waiting,
            "the second wait waits for another"
        );
    }

    #[test]
    fn a_signal_that_comes_early_is_kept_and_taken_once() {
        let definition = json!({"name": "w", "trigger": {"type": "manual"},
            "nodes": [{"id": "pause", "type": "delay", "params": {"for": "1h"}},
                {"id": "one", "type": "wait_for", "params": {"event": "signal.approved"}}],
            "edges": [{"from": "trigger", "to": "pause"}, {"from": "pause", "to": "one"}]});
        let mut story = Story::new(&definition);
        let (timer, due) = story.give(Input::Started).timers_set[0];
        assert!(
            !observed(&mut story, "signal.other", "x").changed,
            "nothing waits for it"
        );
        assert!(observed(&mut story, "signal.approved", "by Ada").changed);
        assert!(!observed(&mut story, "signal.approved", "by Ada").changed);
        story.world.now = due;
        let over = story.give(Input::TimerFired { timer });
        assert_eq!(over.run.status(), RunStatus::Completed);
        let step = story.steps().pop().expect("a step");
        assert_eq!(step.output.expect("an event")["data"]["text"], "by Ada");
    }

    #[test]
    fn a_filter_that_cannot_be_decided_is_told_and_the_wait_goes_on() {
        let mut story = Story::new(&waiting(
            &json!({"event": "sms.received", "filter": "event.data.amount > 5"}),
        ));
        story.give(Input::Started);
        none_before(&mut story);
        let undecided = observed(&mut story, "sms.received", "hello");
        assert!(undecided.changed && undecided.journal.len() == 1);
        assert_eq!(undecided.run.status(), RunStatus::Waiting);
        let steps = story.steps();
        let told = &steps.last().expect("the wait").passed_over[0];
        assert!(
            told.event == EventType::SMS_RECEIVED && !told.reason.is_empty(),
            "{told:?}"
        );
        assert!(!observed(&mut story, "sms.received", "hello").changed);
    }

    #[test]
    fn the_look_back_is_asked_again_after_a_crash_and_changes_nothing() {
        let mut story = Story::new(&waiting(&json!({"event": "sms.received"})));
        story.give(Input::Started);
        let recovered = story.give(Input::Recovered);
        assert!(!recovered.changed);
        assert!(
            recovered
                .commands
                .iter()
                .any(|command| matches!(command, Command::LookBack { .. }))
        );
    }

    #[test]
    fn a_run_about_nobody_can_wait_for_signals_only() {
        for (event, status) in [
            ("sms.received", RunStatus::Failed),
            ("signal.go", RunStatus::Waiting),
        ] {
            let mut story = Story::new(&waiting(&json!({"event": event})));
            story.run = crate::workflows::Run::new(crate::workflows::RunSeed {
                id: story.run.id(),
                account_id: story.run.account_id(),
                workflow_id: story.run.workflow_id(),
                version: 1,
                lead_id: None,
                call_id: None,
                trigger: json!({"type": "manual"}),
                started_at: story.world.now,
            });
            assert_eq!(story.give(Input::Started).run.status(), status, "{event}");
        }
    }

    #[test]
    fn slips_are_refused() {
        for params in [
            json!({"event": "sms.recieved"}),
            json!({"event": "sms.received", "timeout": "0s"}),
            json!({"event": "sms.received", "look_back": "ever"}),
            json!({"event": "sms.received", "timeout": "soon"}),
        ] {
            assert!(
                WaitFor.parse(params.as_object().expect("an object")).is_err(),
                "{params}"
            );
        }
    }

    #[test]
    fn round_after_round_each_event_is_heard_once_however_many_there_are() {
        let mut definition = waiting(&json!({"event": "sms.received"}));
        definition["nodes"]
            .as_array_mut()
            .expect("a list")
            .push(json!({"id": "pause", "type": "delay", "params": {"for": "1m"}}));
        let edges = definition["edges"].as_array_mut().expect("a list");
        edges.push(json!({"from": "came", "to": "pause"}));
        edges.push(json!({"from": "pause", "to": "one"}));
        let mut story = Story::new(&definition);
        let mut past: Vec<Observation> = Vec::new();
        let mut told = Vec::new();
        let mut moved = story.give(Input::Started);
        let mut sent = 0;
        while told.len() < 150 {
            let answer = moved.commands.iter().find_map(|command| match command {
                Command::LookBack { wait, .. } => Some(Input::LookedBack {
                    wait: *wait,
                    observations: past.clone(),
                }),
                Command::Act(effect) => Some(done(effect)),
                _ => None,
            });
            told.extend(acts(&moved).iter().map(|effect| effect.request.clone()));
            moved = if let Some(answer) = answer {
                story.give(answer)
            } else if story.run.standing_at().contains("pause") {
                story.pass(Duration::from_secs(60));
                let timer = story.run.timers()[0].0;
                story.give(Input::TimerFired { timer })
            } else {
                sent += 1;
                story.pass(Duration::from_secs(1));
                let message = event(&story, "sms.received", &sent.to_string());
                past.push(message.clone());
                story.give(Input::Observed(Box::new(message)))
            };
        }
        assert_eq!(sent, 150, "no message was heard twice");
    }
}
