//! A demonstration call or text message at a click, where the server can play one: `patchcord dev`.

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

/// Simulations that are played at once; one more is refused.
const PLAYING_MAX: u32 = 5;
/// Longest text message: what Twilio takes.
const SMS_CHARS_MAX: usize = 1600;

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

/// What is played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Simulation {
    Call(SimulatedEnding),
    /// A text message from the customer.
    Sms(String),
}

/// Plays a simulation into this server, from its first webhook to its last.
pub type Simulator = Box<dyn Fn(Simulation) -> BoxFuture<'static, ()> + Send + Sync>;

/// The call, or the text message, that is wanted.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SimulationOrder {
    /// How the call goes; `completed` when neither this nor `sms` is given.
    ending: Option<SimulatedEnding>,
    /// A text message from the customer, in place of a call.
    #[schema(
        min_length = 1,
        max_length = 1600,
        pattern = r"\S",
        example = "Is Tuesday still free?"
    )]
    sms: Option<String>,
}

impl SimulationOrder {
    fn read(self) -> ApiResult<Simulation> {
        let Some(text) = self.sms else {
            return Ok(Simulation::Call(self.ending.unwrap_or_default()));
        };
        if self.ending.is_some() {
            return Err(ApiError::field(
                "sms",
                "give `ending` for a call or `sms` for a text message, not both",
            ));
        }
        if text.trim().is_empty() || text.chars().count() > SMS_CHARS_MAX {
            return Err(ApiError::field(
                "sms",
                format!("expected 1 to {SMS_CHARS_MAX} characters"),
            ));
        }
        Ok(Simulation::Sms(text))
    }
}

/// What is being played: one of the two.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SimulationStarted {
    ending: Option<SimulatedEnding>,
    sms: Option<String>,
}

impl From<&Simulation> for SimulationStarted {
    fn from(simulation: &Simulation) -> Self {
        let (ending, sms) = match simulation {
            Simulation::Call(ending) => (Some(*ending), None),
            Simulation::Sms(text) => (None, Some(text.clone())),
        };
        Self { ending, sms }
    }
}

/// Counts a simulation that is being played, until it is dropped.
struct Playing;

impl Playing {
    fn begin() -> ApiResult<Self> {
        let begun = PLAYING.fetch_update(Ordering::AcqRel, Ordering::Acquire, |playing| {
            (playing < PLAYING_MAX).then_some(playing + 1)
        });
        begun.map(|_| Self).map_err(|_| ApiError::Conflict {
            code: "simulations_running",
            detail: format!("{PLAYING_MAX} simulations are being played: wait until one ends"),
        })
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        PLAYING.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Simulate a call or a text message
///
/// Plays the demonstration call (a customer who wants a refund), or a text message of its caller, through the server's own doors,
/// as `patchcord simulate` does. Only `patchcord dev` offers it: `GET /api/me` says so in `can_simulate`. Needs the role
/// supervisor.
#[utoipa::path(post, path = "/api/simulations", tag = "calls", operation_id = "simulateCall",
    request_body = Option<SimulationOrder>,
    responses((status = 202, description = "It begins.", body = SimulationStarted)))]
pub async fn create(
    State(context): State<Context>,
    caller: Caller,
    JsonOrDefault(order): JsonOrDefault<SimulationOrder>,
) -> ApiResult<Accepted<SimulationStarted>> {
    caller.must(Permission::StartRuns)?;
    let simulation = order.read()?;
    let simulator = context.simulator.get().ok_or_else(|| ApiError::Refused {
        code: "no_simulator",
        detail: "only the demo server (`patchcord dev`) simulates by itself; `patchcord simulate` plays a call or a text \
                 message into any"
            .to_owned(),
    })?;
    let playing = Playing::begin()?;
    let started = SimulationStarted::from(&simulation);
    let played = simulator(simulation);
    tokio::spawn(async move {
        played.await;
        drop(playing);
    });
    Ok(Accepted(started))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(order: &str) -> ApiResult<Simulation> {
        serde_json::from_str::<SimulationOrder>(order)
            .expect("an order")
            .read()
    }

    #[test]
    fn an_order_is_a_call_unless_it_has_a_text() {
        assert_eq!(
            read("{}").ok(),
            Some(Simulation::Call(SimulatedEnding::Completed))
        );
        assert_eq!(
            read(r#"{"ending": "busy"}"#).ok(),
            Some(Simulation::Call(SimulatedEnding::Busy))
        );
        assert_eq!(
            read(r#"{"sms": "Hi"}"#).ok(),
            Some(Simulation::Sms("Hi".to_owned()))
        );
    }

    #[test]
    fn a_text_that_nobody_could_send_is_refused() {
        let long = format!(r#"{{"sms": "{}"}}"#, "x".repeat(SMS_CHARS_MAX + 1));
        for order in [
            r#"{"sms": "Hi", "ending": "busy"}"#,
            r#"{"sms": "  "}"#,
            long.as_str(),
        ] {
            assert!(read(order).is_err(), "{order}");
        }
    }
}
