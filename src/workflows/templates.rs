//! The templates that come with the product: workflows like any other, as data in `templates/`, ready to be used as they are.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A workflow to start from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Stable name, as in its file's.
    pub slug: String,
    pub title: String,
    /// What it does, for people.
    pub description: String,
    pub category: Category,
    /// What has to be connected for all of it to work. With something missing it runs all the same; the step that needs it
    /// fails, and the workflow says what becomes of that.
    pub connects: Vec<Service>,
    /// The workflow, as it is created.
    #[schema(value_type = Object)]
    pub definition: Value,
}

/// What a template is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    Sales,
    Calls,
    Appointments,
    Payments,
    Growth,
}

/// Something outside that a template makes use of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// A number that can send text messages.
    Sms,
    /// A number that can place calls.
    Calls,
    Email,
    Slack,
    GoogleCalendar,
    Stripe,
}

macro_rules! files {
    ($($slug:literal),+ $(,)?) => {
        &[$(include_str!(concat!("templates/", $slug, ".json"))),+]
    };
}

/// In the order a gallery shows them.
const FILES: &[&str] = files![
    "lead_nurture",
    "appointment_confirmation",
    "payment_follow_up",
    "no_show_recovery",
    "negative_feedback_alert",
    "referral_request",
    "lead_scoring",
    "abandoned_cart_recovery",
    "birthday",
    "feedback_survey",
];

static ALL: LazyLock<Vec<Template>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|file| serde_json::from_str(file).expect("a test reads every template"))
        .collect()
});

/// Every template there is.
#[must_use]
pub fn all() -> &'static [Template] {
    &ALL
}

/// Returns the template of that name.
#[must_use]
pub fn find(slug: &str) -> Option<&'static Template> {
    ALL.iter().find(|template| template.slug == slug)
}
