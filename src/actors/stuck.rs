//! What happens to an actor that keeps failing on the same thing: it is parked, and a person is told.

use crate::{
    bus::{live::LiveFact, local::LocalBus},
    clock,
    domain::{
        alert::{Alert, Severity},
        ids::{AccountId, AlertId, CallId, LeadId, RunId},
    },
    store::{Recorded, Store, StoreResult},
};

/// What a person is told about.
#[derive(Debug, Clone)]
pub struct Stuck {
    pub account_id: AccountId,
    /// `run_stuck`, `outcome_unknown`, `call_stuck`, `lead_stuck`, `provider_down`.
    pub kind: &'static str,
    pub title: String,
    pub error: String,
    pub run_id: Option<RunId>,
    pub call_id: Option<CallId>,
    pub lead_id: Option<LeadId>,
}

/// Raises an alert for something stuck. Runs on its own: the parent that gives up must not wait.
pub fn tell(store: Store, bus: LocalBus, stuck: Stuck) {
    tokio::spawn(async move {
        if let Err(error) = raise(&store, &bus, AlertId::fresh(), stuck).await {
            tracing::error!(%error, "the alert about something stuck could not be kept");
        }
    });
}

/// Raises an alert for a run whose actor keeps failing.
pub fn park_run(store: Store, bus: LocalBus, run_id: RunId, error: String) {
    tokio::spawn(async move {
        let told = async {
            let (head, _) = store.runs.load(run_id).await?;
            let stuck = Stuck {
                account_id: head.account_id,
                kind: "run_stuck",
                title: "A workflow run keeps failing and was parked".to_owned(),
                error,
                run_id: Some(run_id),
                call_id: head.call_id,
                lead_id: head.lead_id,
            };
            raise(&store, &bus, AlertId::fresh(), stuck).await
        };
        if let Err(error) = told.await {
            tracing::error!(%run_id, %error, "the alert about a stuck run could not be kept");
        }
    });
}

/// Raises an alert, once for each id.
pub async fn raise(store: &Store, bus: &LocalBus, id: AlertId, stuck: Stuck) -> StoreResult<()> {
    let now = clock::now();
    let alert = Alert {
        id,
        account_id: stuck.account_id,
        kind: stuck.kind.to_owned(),
        severity: Severity::Critical,
        title: stuck.title,
        evidence: serde_json::json!({ "error": stuck.error }),
        call_id: stuck.call_id,
        lead_id: stuck.lead_id,
        run_id: stuck.run_id,
        raised_at: now,
        acked_at: None,
        acked_by: None,
        note: None,
    };
    if store.alerts.raise(alert.clone()).await? == Recorded::Fresh {
        bus.publish(
            alert.account_id,
            now,
            LiveFact::AlertRaised {
                alert: Box::new(alert),
            },
        );
    }
    Ok(())
}
