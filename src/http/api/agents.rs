//! Agents: who answers calls, what they can do, and whether they are there.

use std::collections::BTreeSet;

use axum::{Extension, extract::State, response::Response};
use serde::Deserialize;

use crate::{
    clock,
    domain::{
        agent::{Agent, AgentStatus},
        ids::{AgentId, UserId},
        phone::PhoneNumber,
        time::Timestamp,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{ApiError, ApiResult, Done},
        idempotency::RequestKey,
        json::{Json, Path, Query},
        page::{PageQuery, Paged},
        patch::{self, Patch},
        resources::{self, Fields, Tagged},
        revision::IfMatch,
    },
};

/// Most skills of one.
const SKILLS_MAX: usize = 50;
/// Longest skill.
const SKILL_CHARS_MAX: usize = 50;

/// Which agents are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AgentQuery {
    /// Most entries to return.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(max_length = 512)]
    cursor: Option<String>,
    /// Only those who are there, or away.
    #[param(inline)]
    status: Option<AgentStatus>,
}

/// An agent to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAgent {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S", example = "Ann Lee")]
    name: String,
    /// Where the calls go.
    #[schema(value_type = String, example = "+14155550123", pattern = r"^\+[1-9][0-9]{6,14}$")]
    phone: PhoneNumber,
    /// The user of the account that this is.
    user_id: Option<UserId>,
    /// What calls may be routed by: words in lower case. One that is repeated counts once.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 50, example = json!(["spanish"]))]
    skills: BTreeSet<String>,
    /// `available` when left out.
    status: Option<AgentStatus>,
}

/// What to change about an agent; what is left out stays, `null` empties.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentChange {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    name: Option<String>,
    #[schema(value_type = Option<String>, pattern = r"^\+[1-9][0-9]{6,14}$")]
    phone: Option<PhoneNumber>,
    #[serde(default, deserialize_with = "patch::present")]
    #[schema(value_type = Option<String>)]
    user_id: Patch<UserId>,
    #[schema(value_type = Option<Vec<String>>, max_items = 50)]
    skills: Option<BTreeSet<String>>,
    /// `away`: no call is given to them until they are back.
    status: Option<AgentStatus>,
}

/// List agents, newest first
#[utoipa::path(get, path = "/api/agents", tag = "agents", operation_id = "listAgents", params(AgentQuery),
    responses((status = 200, description = "A page of agents.", body = Paged<Agent>)))]
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Query(query): Query<AgentQuery>,
) -> ApiResult<Json<Paged<Agent>>> {
    caller.must(Permission::Read)?;
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let status = query.status.map(AgentStatus::as_str);
    resources::list(&context, caller.account_id, (None, status), page).await
}

/// Show an agent
#[utoipa::path(get, path = "/api/agents/{id}", tag = "agents", operation_id = "getAgent",
    params(("id" = AgentId, Path, description = "The agent.")),
    responses((status = 200, description = "The agent; its `ETag` is its revision.", body = Agent)))]
pub async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<AgentId>,
) -> ApiResult<Tagged<Agent>> {
    caller.must(Permission::Read)?;
    resources::find(&context, caller.account_id, *id.as_bytes())
        .await
        .map(Tagged)
}

/// Add an agent
///
/// Calls to numbers whose routing is `agents` are given to them. Needs the role supervisor.
#[utoipa::path(post, path = "/api/agents", tag = "agents", operation_id = "createAgent", request_body = NewAgent,
    responses((status = 201, description = "Created.", body = Agent)))]
pub async fn create(
    State(context): State<Context>,
    caller: Caller,
    key: Option<Extension<RequestKey>>,
    Json(wanted): Json<NewAgent>,
) -> ApiResult<Response> {
    caller.must(Permission::EditAgents)?;
    let now = clock::now();
    let agent = Agent {
        id: resources::parts_of(&caller, key.as_deref()).map_or_else(AgentId::fresh, |parts| {
            // No time in it: a repeat comes later and must find the same id.
            AgentId::derived(Timestamp::default(), &parts)
        }),
        account_id: caller.account_id,
        name: wanted.name,
        phone: wanted.phone,
        user_id: wanted.user_id,
        skills: wanted.skills,
        status: wanted.status.unwrap_or(AgentStatus::Available),
        last_routed_at: None,
        idle_since: Some(now),
        on_call: None,
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    check(&agent)?;
    known_user(&context, &caller, agent.user_id).await?;
    resources::room_for::<Agent>(&context, caller.account_id).await?;
    resources::make(&context, agent).await
}

/// Change an agent
///
/// With `If-Match` the change is refused when somebody else was faster. Needs the role supervisor.
#[utoipa::path(patch, path = "/api/agents/{id}", tag = "agents", operation_id = "updateAgent",
    params(("id" = AgentId, Path, description = "The agent."),
        ("If-Match" = Option<String>, Header, description = "The revision that was read.")),
    request_body = AgentChange,
    responses((status = 200, description = "The agent as it is afterwards.", body = Agent)))]
pub async fn update(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<AgentId>,
    read_at: IfMatch,
    Json(change): Json<AgentChange>,
) -> ApiResult<Tagged<Agent>> {
    caller.must(Permission::EditAgents)?;
    if let Patch::Set(user_id) = change.user_id {
        resources::find::<Agent>(&context, caller.account_id, *id.as_bytes()).await?;
        known_user(&context, &caller, Some(user_id)).await?;
    }
    resources::change(&context, &caller, *id.as_bytes(), read_at, |before: Agent| {
        let change = change.clone();
        let agent = Agent {
            name: change.name.unwrap_or(before.name),
            phone: change.phone.unwrap_or(before.phone),
            user_id: change.user_id.over(before.user_id),
            skills: change.skills.unwrap_or(before.skills),
            status: change.status.unwrap_or(before.status),
            ..before
        };
        check(&agent)?;
        Ok(agent)
    })
    .await
}

/// Remove an agent
///
/// No call is given to them any more. Needs the role admin.
#[utoipa::path(delete, path = "/api/agents/{id}", tag = "agents", operation_id = "deleteAgent",
    params(("id" = AgentId, Path, description = "The agent.")),
    responses((status = 204, description = "Gone.")))]
pub async fn delete(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<AgentId>,
) -> ApiResult<Done> {
    caller.must(Permission::EditNumbers)?;
    resources::remove::<Agent>(&context, caller.account_id, *id.as_bytes()).await?;
    Ok(Done)
}

fn check(agent: &Agent) -> ApiResult<()> {
    let mut fields = Fields::default();
    fields.title("name", &agent.name);
    if agent.skills.len() > SKILLS_MAX || !agent.skills.iter().all(|skill| is_skill(skill)) {
        let message = format!(
            "expected at most {SKILLS_MAX} words in lower case, each of 1 to {SKILL_CHARS_MAX} characters"
        );
        fields.wrong("skills", message);
    }
    fields.checked()
}

/// Whether a text can be a skill.
pub(super) fn is_skill(text: &str) -> bool {
    (1..=SKILL_CHARS_MAX).contains(&text.chars().count())
        && text.trim() == text
        && !text.chars().any(char::is_uppercase)
}

async fn known_user(context: &Context, caller: &Caller, user_id: Option<UserId>) -> ApiResult<()> {
    let Some(user_id) = user_id else { return Ok(()) };
    let users = context.store.accounts.users(caller.account_id).await?;
    if users.iter().any(|user| user.id == user_id) {
        return Ok(());
    }
    Err(ApiError::field("user_id", "there is no user with this id"))
}
