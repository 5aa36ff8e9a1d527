//! Waiting runs when a new version is out: a preview of where each would land, and what becomes of them.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::{
    versions::VersionPath,
    workflow_views::{definition_errors, definition_of},
};
use crate::{
    domain::{
        ids::{LeadId, RunId, WorkflowId},
        run::RunStatus,
        time::Timestamp,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{ApiError, ApiResult},
        json::{Json, JsonOrDefault, Path},
        page::PageQuery,
    },
    store::{
        Page,
        runs::{RunFilter, RunHead},
    },
    workflows::{
        Definition, Run,
        migration::{Migration, Place, places},
    },
};

/// Most groups one request may decide about.
const GROUPS_MAX: usize = 200;

/// Which of the waiting runs to look at.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewOptions {
    /// Most runs to look at.
    #[schema(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the answer before.
    #[schema(max_length = 512)]
    cursor: Option<String>,
}

/// Where the waiting runs of a workflow would land.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MigrationPreview {
    /// The version looked at; null for the draft.
    version: Option<u32>,
    /// Waiting runs that are on another version, newest first.
    items: Vec<RunLanding>,
    /// The same runs by version and place: what `migrate` decides about.
    groups: Vec<LandingGroup>,
    next_cursor: Option<String>,
}

/// One waiting run.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RunLanding {
    run_id: RunId,
    lead_id: Option<LeadId>,
    /// The version it is on.
    version: u32,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// Where it stands, and where it would go on.
    places: Vec<Place>,
    /// Whether it can move without a word on where it lands.
    can_move: bool,
}

/// Runs that are on one version and wait at the same nodes.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LandingGroup {
    from_version: u32,
    nodes: BTreeSet<String>,
    runs: usize,
    can_move: bool,
}

/// What becomes of waiting runs.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MigrationOrder {
    /// What becomes of each group; runs of no group stay as they are.
    #[schema(min_items = 1, max_items = 200)]
    groups: Vec<GroupOrder>,
    /// Most runs to go through.
    #[schema(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the answer before.
    #[schema(max_length = 512)]
    cursor: Option<String>,
}

/// What becomes of the runs of one group.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupOrder {
    #[schema(minimum = 1)]
    from_version: u32,
    /// Where its runs wait, as the preview says.
    nodes: BTreeSet<String>,
    choice: MigrationChoice,
    /// For `move`: where tokens go on that cannot or should not stay, node of the old version to node of the new one.
    #[serde(default)]
    landing: BTreeMap<String, String>,
}

/// What may become of a waiting run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MigrationChoice {
    /// It goes on in the new version.
    Move,
    /// It finishes on the version it is on.
    Finish,
    /// It ends, and a new run starts from the beginning of the new version with the same trigger.
    Restart,
}

/// What became of them.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub struct MigrationResult {
    moved: Vec<RunId>,
    restarted: Vec<RestartedRun>,
    /// These finish on the version they are on.
    finishing: Vec<RunId>,
    /// These could not be moved and stay as they are.
    left: Vec<RunLeft>,
    /// Give it back as `cursor` for the next runs; null when all were gone through.
    next_cursor: Option<String>,
}

/// A run that was started over.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RestartedRun {
    run_id: RunId,
    new_run_id: RunId,
}

/// A run that stays, and why.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RunLeft {
    run_id: RunId,
    reason: String,
}

/// Show where waiting runs would land in a version
///
/// A run keeps the version it started with; this changes nothing.
#[utoipa::path(post, path = "/api/workflows/{id}/versions/{version}/preview", tag = "workflows",
    operation_id = "previewMigration", request_body = Option<PreviewOptions>,
    params(("id" = WorkflowId, Path, description = "The workflow."),
        ("version" = u32, Path, description = "The published version that runs would move to.")),
    responses((status = 200, description = "A part of the waiting runs.", body = MigrationPreview)))]
pub async fn preview(
    State(context): State<Context>,
    caller: Caller,
    Path(path): Path<VersionPath>,
    JsonOrDefault(options): JsonOrDefault<PreviewOptions>,
) -> ApiResult<Json<MigrationPreview>> {
    caller.must(Permission::Read)?;
    let row = context.store.workflows.get(caller.account_id, path.id).await?;
    let mut versions = Versions::new(&context, row.id);
    let to = versions.get(path.version).await?.clone();
    show(
        &context,
        &caller,
        &mut versions,
        (Some(path.version), to),
        options,
    )
    .await
}

/// Show where waiting runs would land if the draft were published
///
/// A run keeps the version it started with; this changes nothing.
#[utoipa::path(post, path = "/api/workflows/{id}/preview", tag = "workflows",
    operation_id = "previewDraftMigration", request_body = Option<PreviewOptions>,
    params(("id" = WorkflowId, Path, description = "The workflow.")),
    responses((status = 200, description = "A part of the waiting runs.", body = MigrationPreview)))]
pub async fn preview_draft(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<WorkflowId>,
    JsonOrDefault(options): JsonOrDefault<PreviewOptions>,
) -> ApiResult<Json<MigrationPreview>> {
    caller.must(Permission::Read)?;
    let row = context.store.workflows.get(caller.account_id, id).await?;
    let draft = Definition::from_json(&row.draft).map_err(definition_errors)?;
    show(
        &context,
        &caller,
        &mut Versions::new(&context, row.id),
        (None, draft),
        options,
    )
    .await
}

async fn show(
    context: &Context,
    caller: &Caller,
    versions: &mut Versions<'_>,
    to: (Option<u32>, Definition),
    options: PreviewOptions,
) -> ApiResult<Json<MigrationPreview>> {
    let (version, to) = to;
    let query = PageQuery {
        limit: options.limit,
        cursor: options.cursor,
    };
    let page = waiting(context, caller, versions.id, query).await?;
    let mut items = Vec::new();
    let mut groups: BTreeMap<(u32, BTreeSet<String>), LandingGroup> = BTreeMap::new();
    for head in page.items.iter().filter(|head| Some(head.version) != version) {
        let Some(run) = standing(context, head).await? else {
            continue;
        };
        let places = places(&run, versions.get(head.version).await?, &to);
        let can_move = places.iter().all(|place| place.lands_at.is_some());
        let nodes = run.standing_at();
        let group = groups
            .entry((head.version, nodes.clone()))
            .or_insert_with(|| LandingGroup {
                from_version: head.version,
                nodes,
                runs: 0,
                can_move,
            });
        group.runs += 1;
        items.push(RunLanding {
            run_id: head.id,
            lead_id: head.lead_id,
            version: head.version,
            started_at: head.started_at,
            places,
            can_move,
        });
    }
    Ok(Json(MigrationPreview {
        version,
        items,
        groups: groups.into_values().collect(),
        next_cursor: page.next_cursor,
    }))
}

/// Decide what becomes of waiting runs
///
/// For each group of the preview: `move`, `finish` or `restart`. Each run's move is on disk when this is answered, and its history
/// shows it; doing it again goes on where it stopped. Needs the role admin.
#[utoipa::path(post, path = "/api/workflows/{id}/versions/{version}/migrate", tag = "workflows",
    operation_id = "migrateRuns", request_body = MigrationOrder,
    params(("id" = WorkflowId, Path, description = "The workflow."),
        ("version" = u32, Path, description = "The published version that runs move to.")),
    responses((status = 200, description = "What became of them.", body = MigrationResult)))]
pub async fn migrate(
    State(context): State<Context>,
    caller: Caller,
    Path(path): Path<VersionPath>,
    Json(order): Json<MigrationOrder>,
) -> ApiResult<Json<MigrationResult>> {
    caller.must(Permission::EditWorkflows)?;
    let row = context.store.workflows.get(caller.account_id, path.id).await?;
    let mut versions = Versions::new(&context, row.id);
    let to = versions.get(path.version).await?;
    check(&order, to)?;
    let query = PageQuery {
        limit: order.limit,
        cursor: order.cursor,
    };
    let page = waiting(&context, &caller, row.id, query).await?;
    let mut result = MigrationResult {
        next_cursor: page.next_cursor,
        ..MigrationResult::default()
    };
    for head in page.items.iter().filter(|head| head.version != path.version) {
        let Some(run) = standing(&context, head).await? else {
            continue;
        };
        let nodes = run.standing_at();
        let is_of = |group: &&GroupOrder| group.from_version == head.version && group.nodes == nodes;
        let Some(group) = order.groups.iter().find(is_of) else {
            continue;
        };
        decide(&context, &caller, (head.id, path.version), group, &mut result).await?;
    }
    tracing::info!(workflow_id = %row.id, version = path.version, moved = result.moved.len(),
        restarted = result.restarted.len(), left = result.left.len(), by = %caller.user_id, "runs moved to a version");
    Ok(Json(result))
}

fn check(order: &MigrationOrder, to: &Definition) -> ApiResult<()> {
    if order.groups.is_empty() || order.groups.len() > GROUPS_MAX {
        return Err(ApiError::field("groups", format!("expected 1 to {GROUPS_MAX}")));
    }
    for (at, group) in order.groups.iter().enumerate() {
        if group.from_version == 0 {
            let field = format!("groups[{at}].from_version");
            return Err(ApiError::field(field, "versions count from 1: see the preview"));
        }
        for (node, landing) in &group.landing {
            if !group.nodes.contains(node) {
                let field = format!("groups[{at}].landing.{node}");
                return Err(ApiError::field(
                    field,
                    "no run of the group waits there: see `nodes`",
                ));
            }
            if !to.nodes.iter().any(|known| known.id == *landing) {
                let message = format!("the version has no node `{landing}`");
                return Err(ApiError::field(format!("groups[{at}].landing.{node}"), message));
            }
        }
    }
    Ok(())
}

/// Does with one run what was decided about its group.
async fn decide(
    context: &Context,
    caller: &Caller,
    target: (RunId, u32),
    group: &GroupOrder,
    result: &mut MigrationResult,
) -> ApiResult<()> {
    let (run_id, version) = target;
    let account_id = caller.account_id;
    let refused = match group.choice {
        MigrationChoice::Finish => {
            result.finishing.push(run_id);
            return Ok(());
        }
        MigrationChoice::Move => {
            let landing = group.landing.clone();
            match context
                .runs
                .migrate(account_id, run_id, Migration { version, landing })
                .await
            {
                Ok(()) => {
                    result.moved.push(run_id);
                    return Ok(());
                }
                Err(error) => error,
            }
        }
        MigrationChoice::Restart => match context.runs.restart_on(account_id, run_id, version).await {
            Ok(new_run_id) => {
                result.restarted.push(RestartedRun { run_id, new_run_id });
                return Ok(());
            }
            Err(error) => error,
        },
    };
    match ApiError::from(refused) {
        ApiError::Conflict { detail, .. } => {
            let reason = detail;
            result.left.push(RunLeft { run_id, reason });
            Ok(())
        }
        other => Err(other),
    }
}

async fn waiting(
    context: &Context,
    caller: &Caller,
    workflow_id: WorkflowId,
    query: PageQuery,
) -> ApiResult<Page<RunHead>> {
    let filter = RunFilter {
        workflow_id: Some(workflow_id),
        status: Some(RunStatus::Waiting),
        ..RunFilter::default()
    };
    let page = query.request()?;
    Ok(context.store.runs.list(caller.account_id, filter, page).await?)
}

/// The run as it stands; none when it has moved on meanwhile.
async fn standing(context: &Context, head: &RunHead) -> ApiResult<Option<Run>> {
    let (now, snapshot) = context.store.runs.load(head.id).await?;
    if now.revision != head.revision {
        return Ok(None);
    }
    let run = Run::from_snapshot(&snapshot).map_err(|error| ApiError::Internal(Box::new(error)))?;
    Ok(Some(run))
}

/// Definitions of a workflow's versions, each read once.
struct Versions<'a> {
    context: &'a Context,
    id: WorkflowId,
    read: BTreeMap<u32, Definition>,
}

impl<'a> Versions<'a> {
    const fn new(context: &'a Context, id: WorkflowId) -> Self {
        let read = BTreeMap::new();
        Self { context, id, read }
    }

    async fn get(&mut self, version: u32) -> ApiResult<&Definition> {
        if !self.read.contains_key(&version) {
            let stored = self.context.store.workflows.version(self.id, version).await?;
            self.read.insert(version, definition_of(&stored)?);
        }
        Ok(&self.read[&version])
    }
}
