//! What the world is supposed to answer to an effect: the script's word for its node, or a sample of what goes well.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    domain::{
        lead::{EditBy, KeyedEdit, Lead, LeadEdit},
        sms_segments::segments,
    },
    workflows::{
        effect::Effect,
        input::{Failure, FailureKind},
    },
};

/// How the effects of one node are answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// They are carried out, and this is what the provider gives.
    #[schema(value_type = Object)]
    Output(Value),
    /// They fail.
    Fail(ScriptedFailure),
    /// Nobody can say whether they were carried out.
    Unknown,
}

/// A failure to be tried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptedFailure {
    #[serde(default = "sample_code")]
    pub code: String,
    #[serde(default = "sample_message")]
    pub message: String,
    /// Whether trying again can help.
    #[serde(default)]
    pub temporary: bool,
    /// How many attempts fail, counted from the first; all of them when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

fn sample_code() -> String {
    "tried_out".to_owned()
}

fn sample_message() -> String {
    "the provider refused it".to_owned()
}

impl ScriptedFailure {
    /// The failure of this attempt, if it is one that fails.
    pub(super) fn of_attempt(&self, attempt: u32) -> Option<Failure> {
        self.times.is_none_or(|times| attempt <= times).then(|| Failure {
            kind: if self.temporary {
                FailureKind::Temporary
            } else {
                FailureKind::Permanent
            },
            code: self.code.clone(),
            message: self.message.clone(),
            retry_after: None,
        })
    }
}

/// Returns what a provider would answer to an effect that goes well. `request` is the effect's own, as JSON.
pub(super) fn sample_output(effect: &Effect, request: &Value, lead: Option<&Lead>) -> Value {
    let body = request.get("body").and_then(Value::as_str).unwrap_or_default();
    match request.get("kind").and_then(Value::as_str).unwrap_or_default() {
        "send_sms" => {
            json!({"message_id": effect.message_id(), "status": "sent", "segments": segments(body)})
        }
        "send_email" | "slack_message" => json!({"message_id": effect.message_id(), "status": "sent"}),
        "place_call" => json!({"status": "completed", "outcome": "answered", "duration_s": 60}),
        "create_task" => json!({"task_id": effect.task_id()}),
        "raise_alert" => json!({"alert_id": effect.alert_id()}),
        "run_workflow" => json!({"run_id": effect.child_id()}),
        "webhook_request" => json!({"status": 200, "body": {}}),
        "calendar_event" => json!({"id": "sample"}),
        "stripe_coupon" | "stripe_credit" => json!({"id": "SAMPLE"}),
        "find_leads" => {
            let leads: Vec<Value> = lead.map(found).into_iter().collect();
            json!({"count": leads.len(), "leads": leads})
        }
        _ => json!({}),
    }
}

/// Makes an edit to a lead that is only thought of; returns it with what the store would answer. Whom a rule would choose nobody
/// can know without looking.
pub(super) fn edited(effect: &Effect, edit: &LeadEdit, before: &Lead) -> Result<(Lead, Value), Failure> {
    let after = match edit {
        LeadEdit::Update(update) => before.updated(update).map_err(|refusal| Failure {
            kind: FailureKind::Permanent,
            code: refusal.code().to_owned(),
            message: refusal.to_string(),
            retry_after: None,
        })?,
        LeadEdit::Score(change) => before.scored(*change),
        // Only runs are tried out, and the last two are never theirs.
        LeadEdit::Assign { .. } | LeadEdit::Change(_) | LeadEdit::Row(_) => before.clone(),
    };
    let keyed = KeyedEdit {
        account_id: effect.account_id,
        lead_id: before.id,
        key: effect.key.clone(),
        planned_at: effect.planned_at,
        at: effect.planned_at,
        by: EditBy::Run(effect.run_id),
        trace: None,
        edit: edit.clone(),
    };
    let output = serde_json::to_value(keyed.result(before, &after)).unwrap_or_default();
    Ok((after, output))
}

/// A lead as a search gives it.
fn found(lead: &Lead) -> Value {
    json!({"id": lead.id, "name": lead.name, "first_name": lead.first_name(), "phone": lead.phone,
        "email": lead.email, "timezone": lead.timezone, "score": lead.score, "stage": lead.stage})
}
