//! Backtests: what an edited workflow would have sent for what really happened, beside the published one.

use std::{sync::Arc, time::Duration};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{
    people_reached::leads_behind,
    trial_scripts::TrialScripts,
    workflow_views::{definition_errors, unreadable, value_of},
};
use crate::{
    domain::{
        ids::{AccountId, WorkflowId},
        lead::Lead,
        observation::{EventType, Observation},
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{ApiError, ApiResult},
        json::{Json, JsonOrDefault, Path},
    },
    store::{StoreError, StoreResult},
    workflows::{
        AccountFacts, Definition, Plan, World,
        backtest::{Backtest, CASES_MAX, Case, Gating, backtest},
        dry_run::EVENTS_MAX,
        gate_rules::GateRules,
    },
};

/// Facts that are played when nobody says how many.
const CASES_DEFAULT: usize = 100;
/// Backtests at the same time: each keeps a core busy.
static AT_ONCE: Semaphore = Semaphore::const_new(1);

/// What to compare, over how much.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BacktestOrder {
    /// How many of the newest recorded facts of the trigger's kind to play.
    #[schema(minimum = 1, maximum = 500, default = 100)]
    limit: Option<usize>,
    /// The edited version when it is not saved; the draft when left out.
    #[schema(value_type = Option<Object>)]
    definition: Option<Value>,
    /// The version to compare with; the newest published one when left out.
    #[schema(minimum = 1)]
    version: Option<u32>,
}

/// What the two versions would have done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BacktestView {
    /// The published version that was compared with; null when nothing is published.
    version: Option<u32>,
    /// The kind of facts that were played.
    #[schema(value_type = String, example = "call.no_answer")]
    event: EventType,
    #[serde(flatten)]
    result: Backtest,
}

/// Backtest a workflow
///
/// Plays the newest recorded facts of the trigger's kind through the published version and the edited one, with what happened to
/// each lead afterwards, and tells for whom the two differ. Leads are as they are now. Nothing is sent, started or kept.
#[utoipa::path(post, path = "/api/workflows/{id}/backtest", tag = "workflows", operation_id = "backtestWorkflow",
    params(("id" = WorkflowId, Path, description = "The workflow.")), request_body = Option<BacktestOrder>,
    responses((status = 200, description = "Who gains, loses, or reads something else.", body = BacktestView)))]
pub async fn backtest_workflow(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<WorkflowId>,
    JsonOrDefault(order): JsonOrDefault<BacktestOrder>,
) -> ApiResult<Json<BacktestView>> {
    caller.must(Permission::Read)?;
    let row = context.store.workflows.get(caller.account_id, id).await?;
    let limit = order.limit.unwrap_or(CASES_DEFAULT);
    if !(1..=CASES_MAX).contains(&limit) {
        return Err(ApiError::field("limit", format!("expected 1 to {CASES_MAX}")));
    }
    let edited = order.definition.map_or_else(|| value_of(&row.draft), Ok)?;
    let edited = Definition::from_value(&edited)
        .and_then(Plan::new)
        .map_err(definition_errors)?;
    let version = order.version.or((row.published > 0).then_some(row.published));
    let published = match version {
        Some(version) => {
            let stored = context.store.workflows.version(id, version).await?;
            let plan = Plan::from_json(&stored.definition);
            Some(plan.map_err(|problems| unreadable(&stored, &problems))?)
        }
        None => None,
    };
    let _turn = AT_ONCE.try_acquire().map_err(|_| ApiError::Busy)?;
    let event = edited.definition().trigger.kind.clone();
    let plans: Vec<&Plan> = published.iter().chain([&edited]).collect();
    let cases = cases(&context, caller.account_id, &event, limit, &plans).await?;
    let stage = Arc::new(Stage {
        id,
        published,
        edited,
        rules: Arc::clone(&context.gate_rules),
        cases,
        scripts: TrialScripts::new(&context),
    });
    let mut result = play(&stage, Vec::new()).await?;
    // Whom messages go to is known once they are written.
    let people = leads_behind(&context, caller.account_id, &result.strangers).await?;
    if !people.is_empty() {
        result = play(&stage, people).await?;
    }
    Ok(Json(BacktestView {
        version,
        event,
        result,
    }))
}

/// What a backtest is played with.
struct Stage {
    id: WorkflowId,
    published: Option<Plan>,
    edited: Plan,
    rules: Arc<GateRules>,
    cases: Vec<Case>,
    scripts: TrialScripts,
}

/// Plays it on a thread that serves nobody else; `people` are known beside the leads that the facts are about.
async fn play(stage: &Arc<Stage>, people: Vec<Lead>) -> ApiResult<Backtest> {
    let stage = Arc::clone(stage);
    let played = move || {
        let gating = Gating {
            rules: Some(&stage.rules),
            people: &people,
        };
        backtest(
            stage.id,
            stage.published.as_ref(),
            &stage.edited,
            gating,
            &|effect| Some(stage.scripts.run(effect)),
            &stage.cases,
        )
    };
    tokio::task::spawn_blocking(played)
        .await
        .map_err(|error| ApiError::Internal(Box::new(error)))
}

/// The newest recorded facts of a kind with the world around each, oldest first.
async fn cases(
    context: &Context,
    account_id: AccountId,
    event: &EventType,
    limit: usize,
    plans: &[&Plan],
) -> ApiResult<Vec<Case>> {
    let looks_back = plans.iter().map(|plan| plan.looks_back()).max();
    let looks_back = looks_back.unwrap_or_default();
    let store = &context.store;
    let account = AccountFacts::from(store.accounts.account(account_id).await?);
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let mut facts = store
        .observations
        .newest_of(account_id, event.clone(), limit)
        .await?;
    facts.reverse();
    let mut cases = Vec::with_capacity(facts.len());
    for observation in facts {
        let lead = match observation.lead_id {
            Some(id) => present(store.leads.get(account_id, id).await)?,
            None => None,
        };
        let call = match observation.call_id {
            Some(id) => present(store.calls.get(account_id, id).await)?,
            None => None,
        };
        let mut call_summary = None;
        for plan in plans {
            let summary = context.runs.call_summary(plan, call.as_ref()).await?;
            call_summary = call_summary.or(summary);
        }
        let earlier = earlier(context, &observation, looks_back).await?;
        let later = later(context, &observation).await?;
        let world = World {
            now: observation.at,
            account: account.clone(),
            lead,
            call,
            call_summary,
        };
        cases.push(Case {
            observation,
            world,
            earlier,
            later,
        });
    }
    Ok(cases)
}

/// What happened to the fact's lead before it, as far as a wait looks back: of a longer past, its beginning.
async fn earlier(
    context: &Context,
    observation: &Observation,
    looks_back: Duration,
) -> ApiResult<Vec<Observation>> {
    let Some(lead_id) = observation.lead_id.filter(|_| !looks_back.is_zero()) else {
        return Ok(Vec::new());
    };
    let from = observation.at.minus(looks_back);
    let facts = &context.store.observations;
    let facts = facts.of_lead_since(observation.account_id, lead_id, from).await?;
    let is_earlier = |fact: &Observation| fact.at <= observation.at && fact.id != observation.id;
    Ok(facts.into_iter().filter(is_earlier).collect())
}

/// What happened to the fact's lead after it.
async fn later(context: &Context, observation: &Observation) -> ApiResult<Vec<Observation>> {
    let Some(lead_id) = observation.lead_id else {
        return Ok(Vec::new());
    };
    let facts = context
        .store
        .observations
        .of_lead_since(observation.account_id, lead_id, observation.at)
        .await?;
    Ok(facts
        .into_iter()
        .filter(|fact| fact.id != observation.id)
        .take(EVENTS_MAX)
        .collect())
}

fn present<T>(read: StoreResult<T>) -> StoreResult<Option<T>> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
