//! Dry runs: what a workflow would do, without anything being done.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    lead_rules,
    people_reached::leads_behind,
    trial_scripts::TrialScripts,
    workflow_views::{definition_errors, value_of},
};
use crate::{
    clock,
    domain::{
        call::Call,
        consent::ContactChannel,
        contact_caps::CONTACT_LIFE,
        ids::{AccountId, CallId, LeadId, ObservationId, RunId, WorkflowId},
        lead::Lead,
        observation::{EventType, Observation},
        phone::PhoneNumber,
        time::Timestamp,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{ApiError, ApiResult},
        json::{self, Json, JsonOrDefault, Path},
        patch,
    },
    store::StoreError,
    workflows::{
        Definition, Plan, World,
        clockwork::{Clock, clock_of},
        dry_run::{Contacts, DryRun, EVENTS_MAX, INPUTS_MAX, Script, Trial, dry_run},
        gate_rules::{GateRules, is_heard},
        samples, scope, trigger,
    },
};

/// How often people behind addresses are looked up and the run played again with them.
const LOOKS_MAX: usize = 2;

/// What to try out, with whom, and what the world is supposed to answer.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DryRunOrder {
    /// A published version; the draft when left out.
    #[schema(minimum = 1)]
    version: Option<u32>,
    /// A definition that is not saved; takes the place of the draft.
    #[schema(value_type = Option<Object>)]
    definition: Option<Value>,
    /// A real lead; a sample one when left out.
    lead_id: Option<LeadId>,
    /// What to change about the sample lead.
    #[serde(deserialize_with = "json::object")]
    lead: Option<SampleLead>,
    /// A recorded call: what its fact of the trigger's kind carried.
    call_id: Option<CallId>,
    /// A recorded event.
    event_id: Option<ObservationId>,
    /// What the run sees as `trigger.data`, laid over what was recorded or a sample.
    #[schema(value_type = Object)]
    data: Map<String, Value>,
    /// When it begins; now when left out.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
    /// Whether the gate's rules hold (opt-out, consent, quiet hours, caps); true when left out.
    gate: Option<bool>,
    /// How the effects of a node are answered, and what happens meanwhile.
    #[serde(deserialize_with = "json::object_if_given")]
    script: Script,
}

/// A lead that does not exist.
#[derive(Debug, Default, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SampleLead {
    name: Option<String>,
    #[schema(value_type = Option<String>)]
    phone: Option<PhoneNumber>,
    email: Option<String>,
    #[schema(minimum = 0, maximum = 100)]
    score: Option<i32>,
    stage: Option<String>,
    timezone: Option<String>,
    opted_out: bool,
    #[schema(value_type = Object)]
    fields: Map<String, Value>,
}

/// What would happen.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DryRunView {
    /// Whether the trigger's filter lets this start a run; the run is played either way.
    would_start: bool,
    /// Why the filter could not be decided.
    filter_error: Option<String>,
    /// What expressions see when it begins: `trigger`, `lead`, `call`, `account`, `now`, each with what has a value.
    #[schema(value_type = Object)]
    seen: Map<String, Value>,
    #[serde(flatten)]
    run: DryRun,
}

/// Dry-run a workflow
///
/// Plays the draft, a version or an unsaved definition through on a virtual clock. Nothing is sent, started or kept. Effects go
/// well unless `script.answers` names their node (`{"fail": {"code", "message", "temporary", "times"}}`, `{"output": …}`,
/// `"unknown"`); waits for events end by `script.events`, else by their timeout. A `script` step runs, as it reaches nothing
/// outside: all of them together for 10 s at most.
#[utoipa::path(post, path = "/api/workflows/{id}/dry-run", tag = "workflows", operation_id = "dryRunWorkflow",
    params(("id" = WorkflowId, Path, description = "The workflow.")), request_body = Option<DryRunOrder>,
    responses((status = 200, description = "The path, every message as it would read, the waits and the cost.", body = DryRunView)))]
pub async fn dry_run_workflow(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<WorkflowId>,
    JsonOrDefault(order): JsonOrDefault<DryRunOrder>,
) -> ApiResult<Json<DryRunView>> {
    caller.must(Permission::Read)?;
    let row = context.store.workflows.get(caller.account_id, id).await?;
    if order.script.events.len() > EVENTS_MAX {
        return Err(ApiError::field("script.events", format!("at most {EVENTS_MAX}")));
    }
    let value = match (&order.definition, order.version) {
        (Some(definition), None) => definition.clone(),
        (Some(_), Some(_)) => {
            return Err(ApiError::field(
                "definition",
                "give `definition` or `version`, not both",
            ));
        }
        (None, Some(version)) => value_of(&context.store.workflows.version(id, version).await?.definition)?,
        (None, None) => value_of(&row.draft)?,
    };
    let plan = Definition::from_value(&value)
        .and_then(Plan::new)
        .map_err(definition_errors)?;
    check_nodes(&order.script, plan.definition())?;
    let mut scene = scene(&context, caller.account_id, &order, plan.definition()).await?;
    if scene.world.call_summary.is_none() {
        let call = scene.world.call.as_ref();
        scene.world.call_summary = context.runs.call_summary(&plan, call).await?;
    }
    let version = order.version.unwrap_or(row.published + 1);
    let (would_start, filter_error) =
        match trigger::matches(&plan.definition().trigger, &scene.observation, &scene.world) {
            Ok(matches) => (matches, None),
            Err(error) => (false, Some(error.to_string())),
        };
    let past = past(&context, &scene.world, &plan).await?;
    let mut contacts = Contacts::default();
    add_contacts(&context, &mut contacts, scene.world.lead.iter(), scene.world.now).await?;
    let trigger = trigger::value_of(&scene.observation);
    let seen = scope::facts_of(&scene.world, &trigger);
    let trial = Trial {
        workflow_id: id,
        version,
        run_id: RunId::fresh(),
        call_id: scene.world.call.as_ref().map(|call| call.id),
        trigger,
        world: scene.world,
        script: order.script,
        past,
        people: Vec::new(),
        rules: order
            .gate
            .unwrap_or(true)
            .then(|| GateRules::clone(&context.gate_rules)),
        inputs_max: INPUTS_MAX,
    };
    let run = play_with_all(&context, plan, trial, contacts).await?;
    Ok(Json(DryRunView {
        would_start,
        filter_error,
        seen,
        run,
    }))
}

/// Plays it, and again with the people whom its messages turn out to go to: with them judged, it may write to others still.
async fn play_with_all(
    context: &Context,
    plan: Plan,
    mut trial: Trial,
    mut contacts: Contacts,
) -> ApiResult<DryRun> {
    let (plan, scripts) = (Arc::new(plan), Arc::new(TrialScripts::new(context)));
    let mut run = play(&plan, &trial, &contacts, &scripts).await?;
    for _ in 0..LOOKS_MAX {
        let found = leads_behind(context, trial.world.account.id, &run.strangers).await?;
        if found.is_empty() {
            break;
        }
        add_contacts(context, &mut contacts, &found, trial.world.now).await?;
        trial.people.extend(found);
        run = play(&plan, &trial, &contacts, &scripts).await?;
    }
    Ok(run)
}

/// Plays it on a thread that serves nobody else: it is bounded, but may take a while.
async fn play(
    plan: &Arc<Plan>,
    trial: &Trial,
    contacts: &Contacts,
    scripts: &Arc<TrialScripts>,
) -> ApiResult<DryRun> {
    let (plan, trial, mut contacts) = (Arc::clone(plan), trial.clone(), contacts.clone());
    let scripts = Arc::clone(scripts);
    tokio::task::spawn_blocking(move || {
        dry_run(&plan, &trial, &mut contacts, &|effect| Some(scripts.run(effect)))
    })
    .await
    .map_err(|error| ApiError::Internal(Box::new(error)))
}

/// A slip in a node's id would silently try out nothing.
fn check_nodes(script: &Script, definition: &Definition) -> ApiResult<()> {
    let answers = script
        .answers
        .keys()
        .map(|node| (format!("script.answers.{node}"), node));
    let events = script.events.iter().enumerate().filter_map(|(at, event)| {
        let node = event.once_at.as_ref()?;
        Some((format!("script.events[{at}].once_at"), node))
    });
    for (field, node) in answers.chain(events) {
        if !definition.nodes.iter().any(|known| known.id == *node) {
            return Err(ApiError::field(
                field,
                format!("the workflow has no node `{node}`"),
            ));
        }
    }
    Ok(())
}

/// What starts the run, and the world around it.
struct Scene {
    observation: Observation,
    world: World,
}

async fn scene(
    context: &Context,
    account_id: AccountId,
    order: &DryRunOrder,
    definition: &Definition,
) -> ApiResult<Scene> {
    let now = order.at.unwrap_or_else(clock::now);
    let kind = definition.trigger.kind.clone();
    let (recorded, recorded_call) = recorded(context, account_id, order, &kind).await?;
    let lead_id = order
        .lead_id
        .or_else(|| recorded.as_ref().and_then(|observation| observation.lead_id));
    let lead = match lead_id {
        Some(id) => context
            .store
            .leads
            .get(account_id, id)
            .await
            .map_err(|error| patch::reference("lead_id", error))?,
        None => sample_lead(account_id, order.lead.clone().unwrap_or_default(), now)?,
    };
    let sample_call = || samples::call(account_id, &kind, Some(lead.id), now);
    let (call, call_summary) = match recorded_call {
        Some(call) => (Some(call), None),
        None => {
            let call = sample_call();
            let summary = call.as_ref().map(samples::summary);
            (call, summary)
        }
    };
    let is_sample = recorded.is_none();
    let mut observation = recorded.unwrap_or_else(|| Observation {
        id: ObservationId::fresh(),
        account_id,
        kind: kind.clone(),
        at: now,
        lead_id: None,
        call_id: call.as_ref().map(|call| call.id),
        caused_by: None,
        trace: None,
        data: Value::Object(samples::data(&kind, now)),
    });
    observation.lead_id = Some(lead.id);
    if is_sample && let Some(Clock::After(after)) = clock_of(definition) {
        // What starts such a workflow is the end of the wait, not the fact it waits after.
        observation.kind = after.source.clone();
        observation = after.observation(&observation, &[]).unwrap_or(observation);
    }
    if let Some(data) = observation.data.as_object_mut() {
        trigger::fit(&definition.trigger, data);
        data.extend(order.data.clone());
    }
    let account = context.store.accounts.account(account_id).await?;
    let world = World {
        now,
        account: account.into(),
        lead: Some(lead),
        call,
        call_summary,
    };
    Ok(Scene { observation, world })
}

/// What is recorded about the lead before the run and may matter to it; nothing about a sample.
async fn past(context: &Context, world: &World, plan: &Plan) -> ApiResult<Vec<Observation>> {
    let Some(lead) = &world.lead else {
        return Ok(Vec::new());
    };
    let from = world
        .now
        .minus(plan.looks_back().max(context.gate_rules.reply_within));
    let matters = |fact: &Observation| {
        fact.at < world.now && (plan.awaits(&fact.kind) || is_heard(fact.kind.as_str(), &fact.data))
    };
    let facts = &context.store.observations;
    Ok(facts
        .past_of_lead(lead.account_id, lead.id, from, &matters)
        .await?)
}

/// Adds what went to these leads before the run; nothing has gone to a sample.
async fn add_contacts(
    context: &Context,
    contacts: &mut Contacts,
    leads: impl IntoIterator<Item = &Lead>,
    now: Timestamp,
) -> ApiResult<()> {
    let from = now.minus(CONTACT_LIFE);
    for lead in leads {
        let subject = lead.id.to_string();
        for channel in ContactChannel::ALL {
            let booked = &context.store.contacts;
            let booked = booked
                .booked_since(lead.account_id, &subject, channel, from)
                .await?;
            contacts.add(subject.clone(), channel, booked);
        }
    }
    Ok(())
}

/// The recorded fact that is asked for, and its call.
async fn recorded(
    context: &Context,
    account_id: AccountId,
    order: &DryRunOrder,
    kind: &EventType,
) -> ApiResult<(Option<Observation>, Option<Call>)> {
    let store = &context.store;
    match (order.event_id, order.call_id) {
        (None, None) => Ok((None, None)),
        (Some(_), Some(_)) => Err(ApiError::field(
            "call_id",
            "give `event_id` or `call_id`, not both",
        )),
        (Some(id), None) => {
            let observation = store
                .observations
                .get(account_id, id)
                .await
                .map_err(|error| patch::reference("event_id", error))?;
            let call = match observation.call_id {
                Some(id) => Some(store.calls.get(account_id, id).await?),
                None => None,
            };
            Ok((Some(observation), call))
        }
        (None, Some(id)) => {
            let call = store
                .calls
                .get(account_id, id)
                .await
                .map_err(|error| patch::reference("call_id", error))?;
            let observation = fact_of(context, &call, kind).await?;
            Ok((Some(observation), Some(call)))
        }
    }
}

/// The call's fact of that kind as it was recorded, else as the call's record would have it.
async fn fact_of(context: &Context, call: &Call, kind: &EventType) -> ApiResult<Observation> {
    let parts: [&[u8]; 2] = [kind.as_str().as_bytes(), call.id.as_bytes()];
    let id = ObservationId::derived(Timestamp::default(), &parts);
    match context.store.observations.get(call.account_id, id).await {
        Ok(observation) => return Ok(observation),
        Err(StoreError::Missing { .. }) => (),
        Err(error) => return Err(error.into()),
    }
    let mut data = samples::data(kind, call.started_at);
    for (name, value) in [
        ("direction", json!(call.direction)),
        ("from", json!(call.from)),
        ("to", json!(call.to)),
        ("status", json!(call.status)),
        ("duration_s", json!(call.duration_s)),
        ("answered_by", json!(call.answered_by)),
    ] {
        data.insert(name.to_owned(), value);
    }
    Ok(Observation {
        id,
        account_id: call.account_id,
        kind: kind.clone(),
        at: call.started_at,
        lead_id: call.lead_id,
        call_id: Some(call.id),
        caused_by: None,
        trace: None,
        data: Value::Object(data),
    })
}

/// The sample as it was asked for; what no real lead could hold is refused.
fn sample_lead(account_id: AccountId, wanted: SampleLead, now: Timestamp) -> ApiResult<Lead> {
    let mut lead = samples::lead(account_id, now);
    lead.name = wanted.name.unwrap_or(lead.name);
    lead.phone = wanted.phone.or(lead.phone);
    lead.email = wanted.email.or(lead.email);
    lead.score = wanted.score.unwrap_or(lead.score);
    lead.stage = wanted.stage.unwrap_or(lead.stage);
    lead.timezone = wanted.timezone.or(lead.timezone);
    lead.opted_out = wanted.opted_out;
    lead.fields.extend(wanted.fields);
    lead_rules::checked(lead).map_err(|error| match error {
        ApiError::Invalid(mut errors) => {
            for error in &mut errors {
                error.field = format!("lead.{}", error.field);
            }
            ApiError::Invalid(errors)
        }
        other => other,
    })
}
