//! A demonstration call at a click, where the server can play one: `patchcord dev`.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::extract::State;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::http::{
    auth::{Caller, permission::Permission},
    context::Context,
    error::{Accepted, ApiError, ApiResult},
    json::JsonOrDefault,
};

/// Calls that are played at once; one more is refused.
const PLAYING_MAX: u32 = 5;

static PLAYING: AtomicU32 = AtomicU32::new(0);

/// How a simulated call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SimulatedEnding {
    /// Both sides talk until the recording ends.
    #[default]
    Completed,
    NoAnswer,
    Busy,
    Failed,
    /// Nobody answers; a message is left.
    Voicemail,
}

/// Plays a call into this server, from its first webhook to its last.
pub type Simulator = Box<dyn Fn(SimulatedEnding) -> BoxFuture<'static, ()> + Send + Sync>;

/// The call that is wanted.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SimulationOrder {
    ending: SimulatedEnding,
}

/// The call that is being played.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SimulationStarted {
    ending: SimulatedEnding,
}

/// Counts a call that is being played, until it is dropped.
struct Playing;

impl Playing {
    fn begin() -> ApiResult<Self> {
        let begun = PLAYING.fetch_update(Ordering::AcqRel, Ordering::Acquire, |playing| {
            (playing < PLAYING_MAX).then_some(playing + 1)
        });
        begun.map(|_| Self).map_err(|_| ApiError::Conflict {
            code: "simulations_running",
            detail: format!("{PLAYING_MAX} simulated calls are being played: wait until one ends"),
        })
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        PLAYING.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Simulate a call
///
/// Plays the demonstration call (a customer who wants a refund) through the server's own doors, as `patchcord simulate` does.
/// Only `patchcord dev` offers it: `GET /api/me` says so in `can_simulate`. Needs the role supervisor.
#[utoipa::path(post, path = "/api/simulations", tag = "calls", operation_id = "simulateCall",
    request_body = Option<SimulationOrder>,
    responses((status = 202, description = "The call begins.", body = SimulationStarted)))]
pub async fn create(
    State(context): State<Context>,
    caller: Caller,
    JsonOrDefault(order): JsonOrDefault<SimulationOrder>,
) -> ApiResult<Accepted<SimulationStarted>> {
    caller.must(Permission::StartRuns)?;
    let simulator = context.simulator.get().ok_or_else(|| ApiError::Refused {
        code: "no_simulator",
        detail: "only the demo server (`patchcord dev`) simulates calls by itself; `patchcord simulate` plays one into any"
            .to_owned(),
    })?;
    let playing = Playing::begin()?;
    let call = simulator(order.ending);
    tokio::spawn(async move {
        call.await;
        drop(playing);
    });
    Ok(Accepted(SimulationStarted { ending: order.ending }))
}
