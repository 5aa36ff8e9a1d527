//! Runs: what was done, step by step, and what a person may do about it.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::run_progress::{RunProgress, progress_of};
use crate::{
    domain::{
        ids::{AccountId, CallId, LeadId, RunId, WorkflowId},
        phone::PhoneNumber,
        run::RunStatus,
        time::Timestamp,
        tokens::Tokens,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{ApiError, ApiResult},
        json::{Json, Path, Query},
        page::{PageQuery, Paged},
    },
    store::{
        Store, StoreResult, kin,
        runs::{RunFilter, RunHead},
    },
    workflows::{
        Choice, Entry, JournalEntry,
        history::{self, Step, VersionMove},
        prices,
    },
};

/// Longest text that is searched for.
const SEARCH_CHARS_MAX: usize = 200;

/// Which runs are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RunQuery {
    /// Most entries to return.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(max_length = 512)]
    cursor: Option<String>,
    /// Only runs of this workflow.
    workflow_id: Option<WorkflowId>,
    /// Only runs about this lead.
    lead_id: Option<LeadId>,
    /// Only runs that stand like this.
    #[param(inline)]
    status: Option<RunStatus>,
    /// Only runs about the lead with this phone number, or with a duplicate of that number.
    #[param(value_type = Option<String>, example = "+14155550100")]
    phone: Option<PhoneNumber>,
    /// Only runs about leads whose name or phone number holds this text, a merged duplicate's number among them.
    #[param(min_length = 1, max_length = 200)]
    q: Option<String>,
    /// Only runs that started then or later.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Only runs that started before then.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
}

/// A run in a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RunSummary {
    id: RunId,
    workflow_id: WorkflowId,
    /// The version it started with and keeps.
    version: u32,
    lead_id: Option<LeadId>,
    call_id: Option<CallId>,
    /// The run that this one takes up again.
    retry_of: Option<RunId>,
    /// What started it.
    #[schema(example = "call.no_answer")]
    trigger: String,
    status: RunStatus,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// Why it failed or is stuck.
    error: Option<String>,
}

/// A run with every step.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Run)]
pub struct RunView {
    #[serde(flatten)]
    summary: RunSummary,
    /// In the order the run came by them.
    steps: Vec<StepView>,
    /// What the run has cost so far.
    #[schema(value_type = String, example = "1.5")]
    tokens: Tokens,
    /// Runs that take this one up again, newest first.
    retried_as: Vec<RunId>,
    /// Moves to another version, oldest first.
    version_moves: Vec<VersionMove>,
    /// How far its messages and calls to leads have come; null when it makes none.
    progress: Option<RunProgress>,
}

/// One step with what it cost.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = RunStep)]
pub struct StepView {
    #[serde(flatten)]
    step: Step,
    #[schema(value_type = String, example = "1")]
    tokens: Tokens,
}

/// What becomes of an effect whose outcome is unknown.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// `effect.key` of the step.
    #[schema(min_length = 1, max_length = 300)]
    effect_key: String,
    choice: Choice,
}

impl From<RunHead> for RunSummary {
    fn from(head: RunHead) -> Self {
        let RunHead {
            id,
            account_id: _,
            workflow_id,
            version,
            lead_id,
            call_id,
            retry_of,
            trigger,
            status,
            revision: _,
            started_at,
            updated_at,
            ended_at,
            error,
        } = head;
        Self {
            id,
            workflow_id,
            version,
            lead_id,
            call_id,
            retry_of,
            trigger,
            status,
            started_at,
            updated_at,
            ended_at,
            error,
        }
    }
}

/// List runs, newest first
#[utoipa::path(get, path = "/api/runs", tag = "runs", operation_id = "listRuns", params(RunQuery),
    responses((status = 200, description = "A page of runs.", body = Paged<RunSummary>)))]
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Query(query): Query<RunQuery>,
) -> ApiResult<Json<Paged<RunSummary>>> {
    caller.must(Permission::Read)?;
    let RunQuery {
        limit,
        cursor,
        workflow_id,
        lead_id,
        status,
        phone,
        q,
        from,
        to,
    } = query;
    let page = PageQuery { limit, cursor }.request()?;
    if q.as_ref()
        .is_some_and(|text| !(1..=SEARCH_CHARS_MAX).contains(&text.chars().count()))
    {
        return Err(ApiError::field(
            "q",
            format!("expected 1 to {SEARCH_CHARS_MAX} characters"),
        ));
    }
    let filter = RunFilter {
        workflow_id,
        status,
        text: q,
        from,
        until: to,
        ..RunFilter::default()
    };
    let (account_id, store) = (caller.account_id, &context.store);
    let page = match wanted_leads(store, account_id, lead_id, phone).await? {
        Some(leads) => kin::runs(store, account_id, &leads, &filter, page).await?,
        None => store.runs.list(account_id, filter, page).await?,
    };
    Ok(Json(Paged::of(page, RunSummary::from)))
}

/// Every id of the lead that both say; nobody's when they say two, `None` when neither says one.
async fn wanted_leads(
    store: &Store,
    account_id: AccountId,
    lead_id: Option<LeadId>,
    phone: Option<PhoneNumber>,
) -> StoreResult<Option<Vec<LeadId>>> {
    let Some(phone) = phone else {
        return match lead_id {
            Some(id) => kin::ids_of(store, account_id, id).await.map(Some),
            None => Ok(None),
        };
    };
    let lead = store.leads.by_phone(account_id, &phone).await?;
    let mut ids = lead.map_or_else(Vec::new, |lead| lead.ids());
    if lead_id.is_some_and(|id| !ids.contains(&id)) {
        ids.clear();
    }
    Ok(Some(ids))
}

/// Show a run with every step
///
/// Each step with its input, output, attempts, gate decision, provider's id, cost, error and times.
#[utoipa::path(get, path = "/api/runs/{id}", tag = "runs", operation_id = "getRun",
    params(("id" = RunId, Path, description = "The run.")),
    responses((status = 200, description = "The run.", body = RunView)))]
pub async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<RunId>,
) -> ApiResult<Json<RunView>> {
    caller.must(Permission::Read)?;
    show(&context, &caller, id).await
}

/// Cancel a run
///
/// Its end is on disk when this is answered. What was sent stays sent. Needs the role supervisor.
#[utoipa::path(post, path = "/api/runs/{id}/cancel", tag = "runs", operation_id = "cancelRun",
    params(("id" = RunId, Path, description = "The run.")),
    responses((status = 200, description = "The cancelled run.", body = RunView)))]
pub async fn cancel(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<RunId>,
) -> ApiResult<Json<RunView>> {
    caller.must(Permission::SteerRuns)?;
    context
        .runs
        .cancel(caller.account_id, id, "cancelled by a person".to_owned())
        .await?;
    tracing::info!(run_id = %id, by = %caller.user_id, "run cancelled");
    show(&context, &caller, id).await
}

/// Decide about an effect whose outcome is unknown
///
/// `resend` sends it again under the same key, `skip` goes on as if it had been carried out. Needs the role supervisor.
#[utoipa::path(post, path = "/api/runs/{id}/decide", tag = "runs", operation_id = "decideRun",
    params(("id" = RunId, Path, description = "The run.")), request_body = Decision,
    responses((status = 200, description = "The run after the decision.", body = RunView)))]
pub async fn decide(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<RunId>,
    Json(decision): Json<Decision>,
) -> ApiResult<Json<RunView>> {
    caller.must(Permission::SteerRuns)?;
    let Decision { effect_key, choice } = decision;
    context
        .runs
        .decide(caller.account_id, id, effect_key, choice)
        .await?;
    tracing::info!(run_id = %id, ?choice, by = %caller.user_id, "effect in doubt decided");
    show(&context, &caller, id).await
}

/// The run as its page shows it.
///
/// # Errors
/// When the account has no such run.
pub async fn show(context: &Context, caller: &Caller, id: RunId) -> ApiResult<Json<RunView>> {
    let head = context.store.runs.head(caller.account_id, id).await?;
    let journal = context.store.runs.journal(caller.account_id, id).await?;
    let journal = journal
        .iter()
        .map(|line| {
            let entry = Entry::from_json(&line.entry)?;
            let (seq, at) = (line.seq, line.at);
            Ok(JournalEntry { seq, at, entry })
        })
        .collect::<Result<Vec<_>, serde_json::Error>>()
        .map_err(|error| ApiError::Internal(Box::new(error)))?;
    let retries = RunFilter {
        retry_of: Some(id),
        ..RunFilter::default()
    };
    let page = PageQuery::default().request()?;
    let retries = context.store.runs.list(caller.account_id, retries, page).await?;
    let steps: Vec<StepView> = history::steps(&journal)
        .into_iter()
        .map(|step| StepView {
            tokens: prices::of_step(&step),
            step,
        })
        .collect();
    let progress = progress_of(context.store.runs.as_ref(), caller.account_id, id).await?;
    Ok(Json(RunView {
        summary: head.into(),
        tokens: steps.iter().map(|step| step.tokens).sum::<Tokens>() + prices::RUN,
        steps,
        retried_as: retries.items.into_iter().map(|head| head.id).collect(),
        version_moves: history::version_moves(&journal),
        progress,
    }))
}
