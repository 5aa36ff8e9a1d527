//! What becomes of an effect whose outcome is not known.
//!
//! Never sent again on a guess: either repeating it is harmless, or it is looked up first, or a person decides.

use super::{
    effect::{Effect, InDoubt, Request},
    input::Finding,
    retry::RetryPolicy,
};

/// How the kind of effect can be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// The receiver knows the key, or what it makes has a derived id: doing it twice is doing it once.
    Repeat,
    /// The provider takes no key, but can say whether it has done it.
    LookUp,
}

/// What to do with an effect in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Send it again under the same key, after the back-off.
    Resend,
    LookUp,
    /// It was carried out.
    Done,
    /// It counts as failed.
    GiveUp,
    /// A person decides.
    Ask,
    /// The run goes on as if it had been carried out.
    Skip,
}

/// Fewest attempts an effect in doubt gets, whatever the node's retry policy says: a policy of one attempt speaks of
/// definite failures, and giving up after one lost answer would leave most doubts to a person.
pub const IN_DOUBT_ATTEMPTS_MIN: u32 = 3;

/// How effects of this kind are settled.
#[must_use]
pub const fn settlement(request: &Request) -> Settlement {
    match request {
        Request::SendSms { .. }
        | Request::PlaceCall { .. }
        | Request::SendEmail(_)
        | Request::SlackMessage { .. }
        | Request::SheetRow(_) => Settlement::LookUp,
        Request::CreateTask { .. }
        | Request::RaiseAlert { .. }
        | Request::EditLead { .. }
        | Request::FindLeads { .. }
        | Request::RunScript { .. }
        | Request::WebhookRequest { .. }
        | Request::RunWorkflow { .. }
        | Request::ZapierHook { .. }
        // An event's id and Stripe's keys are derived from the effect's key.
        | Request::CalendarEvent(_)
        | Request::StripeCredit(_)
        | Request::StripeCoupon(_) => Settlement::Repeat,
    }
}

/// Decides after an attempt whose outcome is unknown.
#[must_use]
pub fn after_unknown(effect: &Effect, retry: &RetryPolicy) -> Next {
    match settlement(&effect.request) {
        Settlement::LookUp => Next::LookUp,
        Settlement::Repeat if may_resend(effect, retry) => Next::Resend,
        Settlement::Repeat => Next::GiveUp,
    }
}

/// Decides after a look-up.
#[must_use]
pub fn after_look_up(effect: &Effect, finding: &Finding, retry: &RetryPolicy) -> Next {
    match (finding, effect.in_doubt) {
        (Finding::Present { .. }, _) => Next::Done,
        (Finding::Absent, InDoubt::Resend) if may_resend(effect, retry) => Next::Resend,
        (Finding::Absent, InDoubt::Resend | InDoubt::Drop) => Next::GiveUp,
        (Finding::Absent, InDoubt::Skip) => Next::Skip,
        (Finding::Absent, InDoubt::Ask) | (Finding::CannotTell { .. }, _) => Next::Ask,
    }
}

fn may_resend(effect: &Effect, retry: &RetryPolicy) -> bool {
    effect.tries() < retry.max_attempts.max(IN_DOUBT_ATTEMPTS_MIN)
}
