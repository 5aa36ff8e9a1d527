//! Whether the server lives, is ready, and how each thing it depends on stands.
//!
//! `/livez` says that the process answers; a supervisor restarts it when it does not. `/readyz` says that requests can be
//! served; a balancer sends none while it cannot. `/healthz` is for people.

use std::{collections::BTreeMap, time::Duration};

use axum::extract::State;
use serde::Serialize;
use tokio::time::timeout;

use super::{context::Context, error::Standing, json::Json};
use crate::{bus::redis::Redis, clock, domain::time::Timestamp};

/// How long a dependency may take to answer before it counts as down.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Ok,
    /// Works with less than it could have.
    Degraded,
    Down,
}

/// One thing the server depends on.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Dependency {
    status: Health,
    detail: String,
}

/// How everything stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HealthReport {
    /// The worst of all.
    status: Health,
    version: &'static str,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    uptime_s: u64,
    /// By name: `store`, `speech_model`, `telephony`, and `redis` where it is set up.
    dependencies: BTreeMap<&'static str, Dependency>,
}

/// One word.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Word {
    status: Health,
}

/// Is the process alive?
#[utoipa::path(get, path = "/livez", tag = "operating", operation_id = "livez", security(()),
    responses((status = 200, description = "It is.", body = Word)))]
pub async fn livez() -> Json<Word> {
    Json(Word { status: Health::Ok })
}

/// Can requests be served?
#[utoipa::path(get, path = "/readyz", tag = "operating", operation_id = "readyz", security(()),
    responses((status = 200, description = "They can.", body = Word),
              (status = 503, description = "They cannot.", body = Word)))]
pub async fn readyz(State(context): State<Context>) -> Standing<Word> {
    let status = store(&context).await.status;
    Standing {
        stands: status != Health::Down,
        body: Word { status },
    }
}

/// How does everything stand?
#[utoipa::path(get, path = "/healthz", tag = "operating", operation_id = "healthz", security(()),
    responses((status = 200, description = "Everything a request needs stands.", body = HealthReport),
              (status = 503, description = "Something a request needs is down.", body = HealthReport)))]
pub async fn healthz(State(context): State<Context>) -> Standing<HealthReport> {
    let mut dependencies = BTreeMap::from([
        ("store", store(&context).await),
        ("speech_model", speech_model(&context)),
        ("telephony", telephony(&context)),
    ]);
    if let Some(redis) = &context.redis {
        dependencies.insert("redis", shared(redis).await);
    }
    let statuses = dependencies.values().map(|dependency| dependency.status);
    let status = worst(statuses);
    let report = HealthReport {
        status,
        version: env!("CARGO_PKG_VERSION"),
        started_at: context.started_at,
        uptime_s: clock::now().since(context.started_at).as_secs(),
        dependencies,
    };
    Standing {
        stands: status != Health::Down,
        body: report,
    }
}

async fn store(context: &Context) -> Dependency {
    match timeout(ANSWER_WITHIN, context.store.accounts.first_account()).await {
        Ok(Ok(_)) => Dependency {
            status: Health::Ok,
            detail: "answers".to_owned(),
        },
        Ok(Err(error)) => {
            tracing::warn!(%error, "the store failed its health check");
            Dependency {
                status: Health::Down,
                detail: "does not answer".to_owned(),
            }
        }
        Err(_) => Dependency {
            status: Health::Down,
            detail: format!("no answer within {ANSWER_WITHIN:?}"),
        },
    }
}

/// Nothing a request needs is in Redis alone, so that its loss is never `down`.
async fn shared(redis: &Redis) -> Dependency {
    match redis.ping().await {
        Ok(()) => Dependency {
            status: Health::Ok,
            detail: "answers".to_owned(),
        },
        Err(fault) => Dependency {
            status: Health::Degraded,
            detail: format!("{fault}: limits and the live stream are each node's own until it does"),
        },
    }
}

fn speech_model(context: &Context) -> Dependency {
    match &*context.speech_model {
        "" | "none" => Dependency {
            status: Health::Degraded,
            detail: "none loaded: calls are not transcribed; run `patchcord model fetch`".to_owned(),
        },
        name => Dependency {
            status: Health::Ok,
            detail: name.to_owned(),
        },
    }
}

fn telephony(context: &Context) -> Dependency {
    if context.twilio.account_sid.is_empty() {
        let detail = "no account is configured: the telephony doors answer 403".to_owned();
        return Dependency {
            status: Health::Degraded,
            detail,
        };
    }
    Dependency {
        status: Health::Ok,
        detail: "configured".to_owned(),
    }
}

fn worst(statuses: impl Iterator<Item = Health>) -> Health {
    statuses.fold(Health::Ok, |worst, status| match (worst, status) {
        (Health::Down, _) | (_, Health::Down) => Health::Down,
        (Health::Degraded, _) | (_, Health::Degraded) => Health::Degraded,
        (Health::Ok, Health::Ok) => Health::Ok,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_decides() {
        assert_eq!(
            worst([Health::Ok, Health::Degraded, Health::Ok].into_iter()),
            Health::Degraded
        );
        assert_eq!(worst([Health::Degraded, Health::Down].into_iter()), Health::Down);
        assert_eq!(worst([].into_iter()), Health::Ok);
    }
}
