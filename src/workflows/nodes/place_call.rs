//! `place_call`: calls the lead, or a number, and says something or connects somebody.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read, sound},
    phone_params,
    source::{Source, Template, given},
};
use crate::{
    domain::{
        call::{CallPlan, OnMachine},
        time::{millis_of, parse_span},
    },
    workflows::{
        definition::Audience,
        effect::{InDoubt, Request},
        problem::Problem,
    },
};

const RING_MIN: Duration = Duration::from_secs(5);
const RING_MAX: Duration = Duration::from_secs(600);
const WAIT_MIN: Duration = Duration::from_secs(60);
/// As long as Twilio lets a call last.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3_600);
/// As long as Twilio lets a call last that does not ask for more.
const WAIT: Duration = Duration::from_secs(4 * 3_600);

pub(super) struct PlaceCall;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    to: Option<Template>,
    from: Option<Template>,
    say: Option<Template>,
    connect_to: Option<Template>,
    #[serde(default)]
    on_machine: Machine,
    machine_text: Option<Template>,
    #[serde(default = "half_a_minute")]
    timeout: String,
    #[serde(default)]
    wait: bool,
    wait_timeout: Option<String>,
    #[serde(default = "ask")]
    in_doubt: InDoubt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Machine {
    #[default]
    Continue,
    HangUp,
    LeaveMessage,
}

fn half_a_minute() -> String {
    "30s".to_owned()
}

/// A phone that rings twice for one reason is worse than a call that somebody has to look at.
const fn ask() -> InDoubt {
    InDoubt::Ask
}

impl NodeKind for PlaceCall {
    fn name(&self) -> &'static str {
        "place_call"
    }

    fn title(&self) -> &'static str {
        "Place call"
    }

    fn audience(&self) -> Audience {
        Audience::Lead
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "to": {"type": "string", "minLength": 1, "title": "To", "format": "template",
                    "description": "Phone number in E.164 form. The lead's own when left out."},
                "say": {"type": "string", "minLength": 1, "maxLength": 3000, "title": "Say", "format": "template",
                    "description": "Read out when somebody answers"},
                "connect_to": {"type": "string", "minLength": 1, "title": "Connect to", "format": "template",
                    "description": "The number of whoever talks then, after what is said"},
                "on_machine": {"type": "string", "enum": ["continue", "hang_up", "leave_message"], "default": "continue",
                    "title": "When a machine answers", "description": "continue: nobody looks whether it is one"},
                "machine_text": {"type": "string", "minLength": 1, "maxLength": 3000, "title": "Message for a machine",
                    "format": "template"},
                "timeout": {"type": "string", "default": "30s", "format": "span", "title": "Rings for",
                    "description": "5s to 10m"},
                "wait": {"type": "boolean", "default": false, "title": "Wait for its end",
                    "description": "Go on once the call is over, with its outcome: answered, machine, no_answer, busy or failed"},
                "wait_timeout": {"type": "string", "default": "4h", "format": "span", "title": "Wait at the longest",
                    "description": "1m to 24h; the node fails when the end is not known by then"},
                "from": {"type": "string", "minLength": 1, "title": "From", "format": "template",
                    "description": "The number shown. The account's own when left out."},
                "in_doubt": {"type": "string", "enum": ["ask", "resend", "drop"], "default": "ask",
                    "title": "When nobody can say whether it was placed"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        let params: Params = read(params)?;
        let mut problems = phone_params::check(&[
            ("to", &params.to),
            ("from", &params.from),
            ("connect_to", &params.connect_to),
        ]);
        let mut wrong = |field: &str, code: &str, message: String, fix: &str| {
            problems.push(Problem::new(field, code, message, fix));
        };
        if params.say.is_none() && params.connect_to.is_none() {
            let message = "nothing happens when the call is answered".to_owned();
            wrong("say", "bad_params", message, "give `say`, `connect_to` or both");
        }
        if (params.on_machine == Machine::LeaveMessage) != params.machine_text.is_some() {
            let message = "`machine_text` is what `on_machine: leave_message` reads out".to_owned();
            wrong("machine_text", "bad_params", message, "give both or neither");
        }
        if ring_of(&params.timeout).is_none() {
            let message = format!("`{}` is not a span from 5s to 10m", params.timeout);
            wrong("timeout", "bad_span", message, "write it like 30s");
        }
        if params.wait_timeout.is_some() && !params.wait {
            let message = "`wait_timeout` is how long the end of the call is waited for".to_owned();
            wrong(
                "wait_timeout",
                "bad_params",
                message,
                "set `wait` to true, or leave it out",
            );
        }
        if wait_of(params.wait_timeout.as_deref()).is_none() {
            let message = "`wait_timeout` is not a span from 1m to 24h".to_owned();
            wrong("wait_timeout", "bad_span", message, "write it like 2h");
        }
        sound(params, problems)
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        given(&[
            ("to", &self.to),
            ("from", &self.from),
            ("say", &self.say),
            ("connect_to", &self.connect_to),
            ("machine_text", &self.machine_text),
        ])
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let to = phone_params::receiver(self.to.as_ref(), scene)?;
        let text = |template: &Option<Template>, field| {
            template
                .as_ref()
                .map(|template| template.render_filled(scene, field))
                .transpose()
        };
        let on_machine = match (self.on_machine, text(&self.machine_text, "machine_text")?) {
            (Machine::Continue, _) => OnMachine::Continue,
            (Machine::HangUp, _) | (Machine::LeaveMessage, None) => OnMachine::HangUp,
            (Machine::LeaveMessage, Some(text)) => OnMachine::LeaveMessage(text),
        };
        let plan = CallPlan {
            say: text(&self.say, "say")?,
            connect_to: phone_params::render(self.connect_to.as_ref(), scene)?,
            on_machine,
            timeout_s: ring_of(&self.timeout).unwrap_or(30),
        };
        let from = phone_params::render(self.from.as_ref(), scene)?;
        let wait_ms = wait_of(self.wait_timeout.as_deref())
            .filter(|_| self.wait)
            .map(millis_of);
        let input = json!({"to": to, "plan": plan, "wait": self.wait});
        Ok(Entered {
            input,
            action: Action::Act(Request::PlaceCall {
                to,
                from,
                plan,
                wait_ms,
            }),
        })
    }

    fn in_doubt(&self) -> InDoubt {
        self.in_doubt
    }
}

/// How long the end of a call is waited for; `None` for a span out of bounds.
fn wait_of(text: Option<&str>) -> Option<Duration> {
    let wait = text.map_or(Ok(WAIT), parse_span).ok()?;
    (WAIT_MIN..=WAIT_MAX).contains(&wait).then_some(wait)
}

/// Whole seconds of a span within the bounds.
fn ring_of(text: &str) -> Option<u32> {
    let span = parse_span(text).ok()?;
    let is_fit = (RING_MIN..=RING_MAX).contains(&span);
    is_fit.then(|| u32::try_from(span.as_secs()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            call::{CallEnd, CallStatus},
            ids::{CallId, ObservationId},
            observation::{EventType, Observation},
            run::{RunStatus, StepStatus},
            time::Timestamp,
        },
        workflows::{
            effect::{Command, Effect},
            history::AttemptOutcome,
            input::Input,
            tests::story::{START, Story, acts, single},
        },
    };

    fn waiting(more: &Value) -> Value {
        let mut params = json!({"say": "Hello", "wait": true});
        params
            .as_object_mut()
            .expect("a map")
            .extend(more.as_object().expect("a map").clone());
        single("place_call", &params, &json!({}))
    }

    fn call_id() -> CallId {
        CallId::derived(START, &[b"call"])
    }

    fn placed(effect: &Effect) -> Input {
        Input::EffectDone {
            key: effect.key.clone(),
            attempt: effect.attempt,
            provider_id: Some("CA1".to_owned()),
            output: json!({"call_id": call_id(), "sid": "CA1", "status": "queued"}),
        }
    }

    /// A story whose call is placed, and the timer that asks for it.
    fn ringing(definition: &Value) -> (Story, u64, Timestamp) {
        let mut story = Story::new(definition);
        let effect = acts(&story.give(Input::Started))[0].clone();
        let begun = story.give(placed(&effect));
        assert_eq!(begun.run.status(), RunStatus::Waiting);
        assert!(begun.commands.contains(&Command::AskCall { call_id: call_id() }));
        let (timer, due) = begun.timers_set[0];
        (story, timer, due)
    }

    fn told(story: &Story, call_id: CallId, status: &str) -> Input {
        Input::Observed(Box::new(Observation {
            id: ObservationId::derived(START, &[status.as_bytes()]),
            account_id: story.run.account_id(),
            kind: EventType::CALL_NO_ANSWER,
            at: story.world.now,
            lead_id: None,
            call_id: Some(call_id),
            caused_by: Some(story.run.id()),
            trace: None,
            data: json!({"status": status, "duration_s": 0, "answered_by": null}),
        }))
    }

    #[test]
    fn goes_on_with_the_outcome_that_a_fact_about_its_own_call_tells() {
        let (mut story, ..) = ringing(&waiting(&json!({})));
        let step = &story.steps()[0];
        assert_eq!(step.status, StepStatus::Waiting);
        let effect = step.effect.as_ref().expect("an effect");
        assert_eq!(effect.provider_id.as_deref(), Some("CA1"));
        assert_eq!(effect.attempts[0].outcome, AttemptOutcome::Confirmed);
        let other = CallId::derived(START, &[b"another"]);
        for nothing in [
            told(&story, other, "busy"),
            told(&story, call_id(), "in_progress"),
        ] {
            assert!(!story.give(nothing).changed);
        }
        story.pass(Duration::from_secs(40));
        let over = story.give(told(&story, call_id(), "no_answer"));
        assert_eq!(over.run.status(), RunStatus::Completed);
        assert_eq!(over.timers_cleared.len(), 1);
        let step = &story.steps()[0];
        let output = step.output.as_ref().expect("an output");
        assert_eq!(
            (&output["outcome"], &output["sid"], &output["duration_s"]),
            (&json!("no_answer"), &json!("CA1"), &json!(0))
        );
        let attempt = &step.effect.as_ref().expect("an effect").attempts[0];
        assert!(
            attempt.ended_at < step.ended_at,
            "placing it ended before the call did"
        );
    }

    #[test]
    fn asks_the_store_should_the_news_be_lost_and_after_a_crash() {
        let (mut story, timer, due) = ringing(&waiting(&json!({})));
        story.world.now = due;
        let asked = story.give(Input::TimerFired { timer });
        let question = Command::AskCall { call_id: call_id() };
        assert!(asked.commands.contains(&question));
        assert!(
            asked.timers_set[0].1.since(due) > due.since(START),
            "asks seldomer"
        );
        let recovered = story.give(Input::Recovered);
        assert!(!recovered.changed && recovered.commands.contains(&question));
        let end = CallEnd {
            status: CallStatus::Completed,
            answered_by: Some(crate::domain::call::AnsweredBy::MachineEndBeep),
            duration_s: Some(31),
        };
        let ended = Input::CallEnded {
            call_id: call_id(),
            end,
        };
        assert_eq!(story.give(ended.clone()).run.status(), RunStatus::Completed);
        assert_eq!(
            story.steps()[0].output.as_ref().expect("an output")["outcome"],
            "machine"
        );
        assert!(!story.give(ended).changed);
    }

    #[test]
    fn a_call_whose_end_nobody_tells_fails_the_node_when_the_wait_has_lasted_its_time() {
        let (mut story, mut timer, mut due) = ringing(&waiting(&json!({"wait_timeout": "150s"})));
        for _ in 0..2 {
            story.world.now = due;
            let moved = story.give(Input::TimerFired { timer });
            (timer, due) = *moved.timers_set.first().unwrap_or(&(timer, due));
        }
        assert_eq!(due, START.plus(Duration::from_secs(150)));
        let over = story.give(Input::TimerFired { timer });
        assert_eq!(over.run.status(), RunStatus::Failed);
        assert_eq!(
            story.steps()[0].error.as_ref().map(|error| error.code.as_str()),
            Some("call_end_unknown")
        );
    }

    #[test]
    fn what_went_to_the_outbox_is_no_call_to_wait_for() {
        let mut story = Story::new(&waiting(&json!({})));
        let effect = acts(&story.give(Input::Started))[0].clone();
        let noted = Input::EffectDone {
            key: effect.key.clone(),
            attempt: effect.attempt,
            provider_id: None,
            output: json!({"status": "outbox", "outcome": "not_placed"}),
        };
        assert_eq!(story.give(noted).run.status(), RunStatus::Completed);
    }

    #[test]
    fn slips_about_the_wait_are_refused() {
        for (params, field) in [
            (json!({"say": "x", "wait_timeout": "1h"}), "wait_timeout"),
            (
                json!({"say": "x", "wait": true, "wait_timeout": "30s"}),
                "wait_timeout",
            ),
            (
                json!({"say": "x", "wait": true, "wait_timeout": "25h"}),
                "wait_timeout",
            ),
        ] {
            let problems = PlaceCall
                .parse(params.as_object().expect("a map"))
                .expect_err("a slip");
            assert_eq!(problems[0].path, field, "{params}");
        }
    }
}
