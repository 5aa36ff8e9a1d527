//! Which node kinds there are.

use serde::Serialize;
use serde_json::Value;

use super::{
    alert::Alert, assign_lead::AssignLead, calendar_event::CalendarEvent, condition::ConditionKind,
    create_task::CreateTask, delay::Delay, find_leads::FindLeads, for_each::ForEach, kind::NodeKind,
    merge::Merge, place_call::PlaceCall, run_workflow::RunWorkflow, score_lead::ScoreLead, script::Script,
    send_email::SendEmail, send_sms::SendSms, sheet_row::SheetRow, slack_message::SlackMessage,
    split::SplitKind, stop::Stop, stripe_coupon::StripeCoupon, stripe_credit::StripeCredit,
    switch::SwitchKind, update_lead::UpdateLead, wait_for::WaitFor, webhook::Webhook, zapier::Zapier,
};
use crate::workflows::definition::Audience;

/// Every kind, in the order a palette shows them.
static KINDS: &[&dyn NodeKind] = &[
    &SendSms,
    &SendEmail,
    &PlaceCall,
    &SlackMessage,
    &CreateTask,
    &Alert,
    &UpdateLead,
    &ScoreLead,
    &AssignLead,
    &FindLeads,
    &Webhook,
    &Zapier,
    &CalendarEvent,
    &SheetRow,
    &StripeCredit,
    &StripeCoupon,
    &RunWorkflow,
    &Script,
    &Delay,
    &WaitFor,
    &ConditionKind,
    &SwitchKind,
    &SplitKind,
    &ForEach,
    &Merge,
    &Stop,
];

/// What a form needs to know of a kind.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct KindInfo {
    #[serde(rename = "type")]
    pub name: &'static str,
    pub title: &'static str,
    pub ports: &'static [&'static str],
    /// Where in `params` further ports are written, as in `cases[].port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports_from: Option<&'static str>,
    pub audience: Audience,
    /// JSON Schema of `params`.
    pub schema: Value,
}

/// Returns the kind of that name.
#[must_use]
pub fn kind(name: &str) -> Option<&'static dyn NodeKind> {
    KINDS.iter().copied().find(|kind| kind.name() == name)
}

/// The names of all kinds.
#[must_use]
pub fn names() -> Vec<&'static str> {
    KINDS.iter().map(|kind| kind.name()).collect()
}

/// Every kind with its schema.
#[must_use]
pub fn catalogue() -> Vec<KindInfo> {
    KINDS
        .iter()
        .map(|kind| KindInfo {
            name: kind.name(),
            title: kind.title(),
            ports: kind.ports(),
            ports_from: kind.ports_from(),
            audience: kind.audience(),
            schema: kind.schema(),
        })
        .collect()
}
