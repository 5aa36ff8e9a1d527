//! Tasks: what people have to do.

use axum::extract::State;
use serde::Deserialize;
use serde_json::json;

use crate::{
    clock,
    domain::{
        ids::{CallId, LeadId, ObservationId, TaskId},
        observation::{EventType, Observation},
        redaction::redact,
        task::{Priority, Task, TaskStatus},
        time::Timestamp,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{ApiError, ApiResult, Created, FieldError},
        json::{Json, Path, Query},
        page::{PageQuery, Paged},
        patch::{self, Patch},
    },
};

/// Longest title.
const TITLE_CHARS_MAX: usize = 200;
/// Longest notes.
const NOTES_CHARS_MAX: usize = 10_000;

/// A task to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTask {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    title: String,
    #[serde(default)]
    #[schema(max_length = 10_000)]
    notes: String,
    /// `normal` when left out.
    priority: Option<Priority>,
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Option<Timestamp>,
    lead_id: Option<LeadId>,
    call_id: Option<CallId>,
}

/// What to change about a task; what is left out stays.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskChange {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    title: Option<String>,
    #[schema(max_length = 10_000)]
    notes: Option<String>,
    priority: Option<Priority>,
    /// `done` finishes the task; workflows hear of it as `task.completed`.
    status: Option<TaskStatus>,
    #[serde(default, deserialize_with = "patch::present")]
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Patch<Timestamp>,
}

/// List tasks, newest first
#[utoipa::path(get, path = "/api/tasks", tag = "tasks", operation_id = "listTasks", params(PageQuery),
    responses((status = 200, description = "A page of tasks.", body = Paged<Task>)))]
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<Paged<Task>>> {
    caller.must(Permission::Read)?;
    let tasks = &context.store.tasks;
    page.of(|page| tasks.list(caller.account_id, page)).await
}

/// Show a task
#[utoipa::path(get, path = "/api/tasks/{id}", tag = "tasks", operation_id = "getTask",
    params(("id" = TaskId, Path, description = "The task.")),
    responses((status = 200, description = "The task.", body = Task)))]
pub async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<TaskId>,
) -> ApiResult<Json<Task>> {
    caller.must(Permission::Read)?;
    Ok(Json(context.store.tasks.get(caller.account_id, id).await?))
}

/// Create a task
#[utoipa::path(post, path = "/api/tasks", tag = "tasks", operation_id = "createTask", request_body = NewTask,
    responses((status = 201, description = "Created.", body = Task)))]
pub async fn create(
    State(context): State<Context>,
    caller: Caller,
    Json(wanted): Json<NewTask>,
) -> ApiResult<Created<Task>> {
    caller.must(Permission::WorkTasks)?;
    check(&wanted.title, &wanted.notes)?;
    if let Some(lead_id) = wanted.lead_id {
        let lead = context.store.leads.get(caller.account_id, lead_id).await;
        lead.map_err(|error| patch::reference("lead_id", error))?;
    }
    if let Some(call_id) = wanted.call_id {
        let call = context.store.calls.get(caller.account_id, call_id).await;
        call.map_err(|error| patch::reference("call_id", error))?;
    }
    let task = Task {
        id: TaskId::fresh(),
        account_id: caller.account_id,
        title: redact(wanted.title.trim()),
        notes: redact(&wanted.notes),
        priority: wanted.priority.unwrap_or(Priority::Normal),
        status: TaskStatus::Open,
        due_at: wanted.due_at,
        lead_id: wanted.lead_id,
        call_id: wanted.call_id,
        run_id: None,
        created_at: clock::now(),
        done_at: None,
        times_done: 0,
    };
    context.store.tasks.create(task.clone()).await?;
    Ok(Created(task))
}

/// Change or finish a task
#[utoipa::path(patch, path = "/api/tasks/{id}", tag = "tasks", operation_id = "updateTask",
    params(("id" = TaskId, Path, description = "The task.")), request_body = TaskChange,
    responses((status = 200, description = "The task as it is afterwards.", body = Task)))]
pub async fn update(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<TaskId>,
    Json(change): Json<TaskChange>,
) -> ApiResult<Json<Task>> {
    caller.must(Permission::WorkTasks)?;
    let before = context.store.tasks.get(caller.account_id, id).await?;
    let now = clock::now();
    let mut task = before.clone();
    if let Some(title) = change.title {
        task.title = redact(title.trim());
    }
    task.notes = change.notes.map_or(task.notes, |notes| redact(&notes));
    task.priority = change.priority.unwrap_or(task.priority);
    task.due_at = change.due_at.over(task.due_at);
    task.status = change.status.unwrap_or(task.status);
    task.done_at = match task.status {
        TaskStatus::Done => task.done_at.or(Some(now)),
        TaskStatus::Open => None,
    };
    check(&task.title, &task.notes)?;
    // The fact goes first: a crash in between finishes the task again, under the same id, instead of losing it.
    if before.status == TaskStatus::Open && task.status == TaskStatus::Done {
        task.times_done = before.times_done.saturating_add(1);
        context.leads.observe(completed(&task, &caller, now)).await?;
    }
    context.store.tasks.update(task.clone()).await?;
    Ok(Json(task))
}

/// The fact that a task was finished: one each time, however often that is tried.
fn completed(task: &Task, caller: &Caller, now: Timestamp) -> Observation {
    let time = task.times_done.to_be_bytes();
    Observation {
        id: ObservationId::derived(task.created_at, &[b"task.completed", task.id.as_bytes(), &time]),
        account_id: task.account_id,
        kind: EventType::TASK_COMPLETED,
        at: now,
        lead_id: task.lead_id,
        call_id: task.call_id,
        caused_by: task.run_id,
        trace: None,
        data: json!({
            "task_id": task.id, "title": task.title, "priority": task.priority, "completed_by": caller.user_id,
        }),
    }
}

fn check(title: &str, notes: &str) -> ApiResult<()> {
    let mut errors = Vec::new();
    if title.trim().is_empty() || title.chars().count() > TITLE_CHARS_MAX {
        errors.push(FieldError::new(
            "title",
            format!("expected 1 to {TITLE_CHARS_MAX} characters"),
        ));
    }
    if notes.chars().count() > NOTES_CHARS_MAX {
        errors.push(FieldError::new(
            "notes",
            format!("expected at most {NOTES_CHARS_MAX} characters"),
        ));
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(ApiError::Invalid(errors))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::ids::{AccountId, KeyId, UserId},
        http::auth::Via,
        store::accounts::Role,
    };

    #[test]
    fn a_task_finished_again_after_a_crash_is_one_fact_and_one_opened_again_another() {
        let caller = Caller {
            account_id: AccountId::fresh(),
            user_id: UserId::fresh(),
            role: Role::Agent,
            via: Via::Key(KeyId::fresh()),
        };
        let at = Timestamp::from_unix_millis;
        let first = Task {
            id: TaskId::fresh(),
            account_id: caller.account_id,
            title: "Call".to_owned(),
            notes: String::new(),
            priority: Priority::Normal,
            status: TaskStatus::Done,
            due_at: None,
            lead_id: None,
            call_id: None,
            run_id: None,
            created_at: at(1_000),
            done_at: None,
            times_done: 1,
        };
        let second = Task {
            times_done: 2,
            ..first.clone()
        };
        let id = |task, now| completed(task, &caller, at(now)).id;
        assert_eq!(id(&first, 2_000), id(&first, 3_000));
        assert_ne!(id(&first, 2_000), id(&second, 2_000));
    }
}
