//! The automations that come with the product: workflows like any other, as data in `automations/`.

/// One automation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Automation {
    /// Stable name, as in its file's.
    pub slug: &'static str,
    /// What it does, for people.
    pub summary: &'static str,
    /// The definition, JSON that `Plan::from_json` takes.
    pub definition: &'static str,
}

macro_rules! automations {
    ($($slug:literal: $summary:literal),+ $(,)?) => {
        &[$(Automation {
            slug: $slug,
            summary: $summary,
            definition: include_str!(concat!("automations/", $slug, ".json")),
        }),+]
    };
}

/// Every automation there is.
pub const ALL: &[Automation] = automations! {
    "negative_sentiment_escalation":
        "While an unhappy customer is still on the line: tells the managers, makes an urgent task, apologises by SMS",
    "missed_call_text_back":
        "Answers a missed call with an SMS, and makes a task to call back an hour later",
    "no_answer_retry":
        "Calls again an hour after an unanswered call of ours, within business hours, and makes a task when it cannot",
    "voicemail_follow_up":
        "Thanks for a voicemail by SMS and makes a task to listen to it and call back",
    "positive_call_review":
        "An hour after a happy call: asks a customer for a review, anybody else for a referral",
    "after_call_summary":
        "Sums up every completed call in a follow-up task, sooner when it went badly",
};

/// Returns the automation of that name.
#[must_use]
pub fn find(slug: &str) -> Option<&'static Automation> {
    ALL.iter().find(|automation| automation.slug == slug)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflows::Plan;

    #[test]
    fn every_automation_is_a_valid_workflow() {
        for automation in ALL {
            let plan = Plan::from_json(automation.definition);
            assert!(plan.is_ok(), "{}: {:?}", automation.slug, plan.err());
        }
    }
}
