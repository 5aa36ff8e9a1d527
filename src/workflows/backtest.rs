//! The backtest: what two versions of a workflow would each have sent for what really happened. Pure.
//!
//! In: recorded facts with the world around each, oldest first. Each is played through both versions on a virtual clock, with what
//! was recorded about its lead afterwards happening at its own times. The lead is as it is now: how it was then nobody kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Serialize;

use super::{
    dry_run::{Contacts, DryOutcome, DryRun, RunScript, Script, ScriptedEvent, Trial, dry_run},
    enrolment::{Admission, Earlier, admit},
    gate_rules::GateRules,
    plan::Plan,
    scope::World,
    trigger,
};
use crate::domain::{
    ids::{LeadId, ObservationId, RunId, WorkflowId},
    lead::Lead,
    observation::Observation,
    time::Timestamp,
    tokens::Tokens,
};

/// Recorded facts that one backtest plays at most.
pub const CASES_MAX: usize = 500;
/// Inputs a run of a backtest may take: a backtest has to end while somebody waits for it.
const INPUTS_MAX: usize = 500;

/// One recorded fact.
#[derive(Debug, Clone)]
pub struct Case {
    pub observation: Observation,
    /// As it is known; `now` is when the fact was recorded.
    pub world: World,
    /// What happened to the lead before, as far as a wait may look back, oldest first.
    pub earlier: Vec<Observation>,
    /// What happened to the lead afterwards, oldest first.
    pub later: Vec<Observation>,
}

/// What the gate holds messages to.
#[derive(Debug, Clone, Copy)]
pub struct Gating<'a> {
    /// None where every message goes.
    pub rules: Option<&'a GateRules>,
    /// Leads who are known beside those that the facts are about.
    pub people: &'a [Lead],
}

/// What the two versions would have done.
#[derive(Debug, Clone, PartialEq, Default, Serialize, utoipa::ToSchema)]
pub struct Backtest {
    /// How many facts were played.
    pub cases: usize,
    /// How many there are of each verdict.
    pub gains: usize,
    pub loses: usize,
    pub changed: usize,
    pub same: usize,
    /// What the published version would have cost.
    #[schema(value_type = String, example = "12.5")]
    pub published_tokens: Tokens,
    /// What the edited one would have cost.
    #[schema(value_type = String, example = "12.5")]
    pub edited_tokens: Tokens,
    /// Every fact for which the two differ, oldest first.
    pub differences: Vec<Difference>,
    /// Numbers and mail addresses that the gate knew nobody behind: whoever has the leads may play it again with them.
    #[serde(skip)]
    pub strangers: BTreeSet<String>,
}

/// What is different for one recorded fact.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Difference {
    pub event_id: ObservationId,
    pub lead_id: Option<LeadId>,
    pub lead_name: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub verdict: Verdict,
    pub published: Outcome,
    pub edited: Outcome,
}

/// How the edited version differs for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Something would be sent or done where nothing was.
    Gains,
    /// Nothing would be sent or done where something was.
    Loses,
    /// Something else, or at another time.
    Changed,
    Same,
}

/// What one version would have done.
#[derive(Debug, Clone, PartialEq, Default, Serialize, utoipa::ToSchema)]
#[schema(as = BacktestOutcome)]
pub struct Outcome {
    /// Why no run would have started; null when one would.
    pub not_started: Option<String>,
    /// How its run would have gone wrong.
    pub error: Option<String>,
    /// Everything that would have been carried out.
    pub sent: Vec<Sent>,
    #[schema(value_type = String, example = "1.5")]
    pub tokens: Tokens,
}

/// One thing carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = BacktestEffect)]
pub struct Sent {
    pub kind: String,
    pub to: Option<String>,
    pub text: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// Plays every case through both versions; without a published one nothing was done so far.
#[must_use]
pub fn backtest(
    workflow_id: WorkflowId,
    published: Option<&Plan>,
    edited: &Plan,
    gating: Gating<'_>,
    run_script: RunScript<'_>,
    cases: &[Case],
) -> Backtest {
    let mut before = published.map(|plan| Player::new(workflow_id, plan, gating, run_script));
    let mut after = Player::new(workflow_id, edited, gating, run_script);
    let mut result = Backtest::default();
    for case in cases.iter().take(CASES_MAX) {
        let nothing = || Outcome {
            not_started: Some("nothing is published".to_owned()),
            ..Outcome::default()
        };
        let published = before.as_mut().map_or_else(nothing, |player| player.play(case));
        let edited = after.play(case);
        result.cases += 1;
        result.published_tokens = result.published_tokens + published.tokens;
        result.edited_tokens = result.edited_tokens + edited.tokens;
        let verdict = verdict(&published, &edited);
        match verdict {
            Verdict::Gains => result.gains += 1,
            Verdict::Loses => result.loses += 1,
            Verdict::Changed => result.changed += 1,
            Verdict::Same => {
                result.same += 1;
                continue;
            }
        }
        result.differences.push(Difference {
            event_id: case.observation.id,
            lead_id: case.observation.lead_id,
            lead_name: case.world.lead.as_ref().map(|lead| lead.name.clone()),
            at: case.observation.at,
            verdict,
            published,
            edited,
        });
    }
    for player in before.into_iter().chain([after]) {
        result.strangers.extend(player.strangers);
    }
    result
}

fn verdict(published: &Outcome, edited: &Outcome) -> Verdict {
    match (published.sent.is_empty(), edited.sent.is_empty()) {
        (true, false) => Verdict::Gains,
        (false, true) => Verdict::Loses,
        _ if published.sent == edited.sent => Verdict::Same,
        _ => Verdict::Changed,
    }
}

/// One version on its way through the cases: it remembers who has been through it, and until when.
struct Player<'a> {
    workflow_id: WorkflowId,
    plan: &'a Plan,
    gating: Gating<'a>,
    run_script: RunScript<'a>,
    runs: BTreeMap<LeadId, Vec<(RunId, Timestamp)>>,
    /// What it has sent so far: caps hold over all cases.
    contacts: Contacts,
    strangers: BTreeSet<String>,
}

impl<'a> Player<'a> {
    fn new(workflow_id: WorkflowId, plan: &'a Plan, gating: Gating<'a>, run_script: RunScript<'a>) -> Self {
        Self {
            workflow_id,
            plan,
            gating,
            run_script,
            runs: BTreeMap::new(),
            contacts: Contacts::default(),
            strangers: BTreeSet::new(),
        }
    }

    fn play(&mut self, case: &Case) -> Outcome {
        if let Some(reason) = self.refusal(case) {
            return Outcome {
                not_started: Some(reason),
                ..Outcome::default()
            };
        }
        let observation = &case.observation;
        let id = RunId::derived(observation.at, &[b"backtest", observation.id.as_bytes()]);
        let trial = Trial {
            workflow_id: self.workflow_id,
            version: 0,
            run_id: id,
            call_id: observation.call_id,
            trigger: trigger::value_of(observation),
            world: case.world.clone(),
            script: Script {
                answers: BTreeMap::new(),
                events: case
                    .later
                    .iter()
                    .map(|fact| happened(observation, fact))
                    .collect(),
            },
            past: case.earlier.clone(),
            people: self.gating.people.to_vec(),
            rules: self.gating.rules.cloned(),
            inputs_max: INPUTS_MAX,
        };
        let mut run = dry_run(self.plan, &trial, &mut self.contacts, self.run_script);
        self.strangers.append(&mut run.strangers);
        if let Some(lead_id) = observation.lead_id {
            self.runs.entry(lead_id).or_default().push((id, run.ended_at));
        }
        outcome(run)
    }

    /// Why the fact starts no run.
    fn refusal(&self, case: &Case) -> Option<String> {
        let definition = self.plan.definition();
        match trigger::matches(&definition.trigger, &case.observation, &case.world) {
            Ok(true) => (),
            Ok(false) => return Some("the trigger does not match".to_owned()),
            Err(error) => return Some(format!("the trigger's filter cannot be decided: {error}")),
        }
        let earlier = case.observation.lead_id.and_then(|lead| self.runs.get(&lead))?;
        let active: Vec<RunId> = earlier
            .iter()
            .filter(|(_, ended_at)| *ended_at > case.observation.at)
            .map(|(id, _)| *id)
            .collect();
        let earlier = Earlier {
            any: true,
            active: &active,
        };
        match admit(definition.settings.enrolment, earlier) {
            Admission::Start | Admission::StartAfter(_) | Admission::Replace(_) => None,
            Admission::Refuse(reason) => Some(reason.to_owned()),
        }
    }
}

fn happened(start: &Observation, fact: &Observation) -> ScriptedEvent {
    ScriptedEvent {
        kind: fact.kind.clone(),
        data: fact.data.as_object().cloned().unwrap_or_default(),
        once_at: None,
        after: fact.at.since(start.at).max(Duration::from_millis(1)),
    }
}

fn outcome(run: DryRun) -> Outcome {
    let sent = run
        .effects
        .into_iter()
        .filter(|effect| effect.outcome == DryOutcome::Done)
        .map(|effect| Sent {
            kind: effect.kind,
            to: effect.to,
            text: effect.text,
            at: effect.at,
        })
        .collect();
    Outcome {
        not_started: None,
        error: run.error,
        sent,
        tokens: run.tokens,
    }
}
