//! Tasks and alerts: effects that stay in the house. Repeating one changes nothing, because its row's id comes from its key.

use async_trait::async_trait;
use serde_json::json;

use super::port::{EffectOutcome, EffectPort};
use crate::{
    domain::{
        alert::Alert,
        task::{Task, TaskStatus},
    },
    store::{Store, StoreError, StoreResult},
    workflows::{Effect, Finding, Provider, Request},
};

/// Writes to the store. The run's actor tells whoever watches.
pub struct Records {
    pub store: Store,
}

#[async_trait]
impl EffectPort for Records {
    async fn execute(&self, effect: &Effect) -> EffectOutcome {
        let recorded = if let Some(task) = task_of(effect) {
            self.store.tasks.create(task).await
        } else if let Some(alert) = alert_of(effect) {
            self.store.alerts.raise(alert).await
        } else {
            return EffectOutcome::permanent("no_record", "only tasks and alerts are records");
        };
        match recorded {
            Ok(_) => confirmed(effect),
            // Repeating it is harmless, so nothing is in doubt.
            Err(error) => EffectOutcome::store_failed(&error),
        }
    }

    async fn settle(&self, effect: &Effect) -> Finding {
        match self.is_there(effect).await {
            Ok(true) => match confirmed(effect) {
                EffectOutcome::Confirmed { provider_id, output } => Finding::Present { provider_id, output },
                EffectOutcome::Rejected(_) | EffectOutcome::Unknown { .. } => Finding::Absent,
            },
            Ok(false) => Finding::Absent,
            Err(error) => Finding::CannotTell {
                reason: error.to_string(),
            },
        }
    }
}

impl Records {
    async fn is_there(&self, effect: &Effect) -> StoreResult<bool> {
        let account = effect.account_id;
        let found = if effect.provider() == Provider::Task {
            self.store.tasks.get(account, effect.task_id()).await.map(drop)
        } else {
            self.store.alerts.get(account, effect.alert_id()).await.map(drop)
        };
        match found {
            Ok(()) => Ok(true),
            Err(StoreError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn confirmed(effect: &Effect) -> EffectOutcome {
    let output = if effect.provider() == Provider::Task {
        json!({"task_id": effect.task_id()})
    } else {
        json!({"alert_id": effect.alert_id()})
    };
    EffectOutcome::Confirmed {
        provider_id: None,
        output,
    }
}

/// The task an effect makes: the same for every attempt.
#[must_use]
pub fn task_of(effect: &Effect) -> Option<Task> {
    let Request::CreateTask {
        title,
        notes,
        priority,
        due_at,
    } = &effect.request
    else {
        return None;
    };
    Some(Task {
        id: effect.task_id(),
        account_id: effect.account_id,
        title: title.clone(),
        notes: notes.clone(),
        priority: *priority,
        status: TaskStatus::Open,
        due_at: *due_at,
        lead_id: effect.lead_id,
        call_id: effect.call_id,
        run_id: Some(effect.run_id),
        created_at: effect.planned_at,
        done_at: None,
        times_done: 0,
    })
}

/// The alert an effect raises: the same for every attempt.
#[must_use]
pub fn alert_of(effect: &Effect) -> Option<Alert> {
    let Request::RaiseAlert {
        alert,
        severity,
        title,
        evidence,
    } = &effect.request
    else {
        return None;
    };
    Some(Alert {
        id: effect.alert_id(),
        account_id: effect.account_id,
        kind: alert.clone(),
        severity: *severity,
        title: title.clone(),
        evidence: evidence.clone(),
        call_id: effect.call_id,
        lead_id: effect.lead_id,
        run_id: Some(effect.run_id),
        raised_at: effect.planned_at,
        acked_at: None,
        acked_by: None,
        note: None,
    })
}
