//! What Twilio's error codes mean for us.
//!
//! In: a code and the HTTP status. Out: a class, and words for the person who reads the run's history. Twilio splits codes
//! without notice and advises against logic on single ones, so there are few classes, and an unknown code is shown as it came
//! and not tried again. Codes: <https://www.twilio.com/docs/api/errors>.

use crate::workflows::FailureKind;

/// What kind of trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The number cannot take a message.
    BadNumber,
    /// The person asked not to be written to.
    OptedOut,
    /// The carrier or Twilio filters it; trying again makes it worse.
    Blocked,
    /// It may work later.
    Temporary,
    /// Our account or sender is not set up for it.
    Setup,
    /// None of ours.
    Other,
}

impl ErrorClass {
    /// Returns the class of a Twilio error code; `None` for an answer without one.
    #[must_use]
    pub const fn of(code: Option<u32>, status: u16) -> Self {
        match code {
            Some(21211 | 21214 | 21217 | 21421 | 21614 | 30005 | 30006) => Self::BadNumber,
            Some(21610) => Self::OptedOut,
            Some(21635 | 30004 | 30007 | 30034) => Self::Blocked,
            Some(20429 | 30001 | 30003 | 30008) => Self::Temporary,
            Some(20003 | 20404 | 21212 | 21408 | 21606 | 21608 | 21609 | 21612 | 21659 | 21660) => {
                Self::Setup
            }
            Some(_) | None => match status {
                429 => Self::Temporary,
                401 | 403 => Self::Setup,
                _ => Self::Other,
            },
        }
    }

    /// Whether trying again can help.
    #[must_use]
    pub const fn kind(self) -> FailureKind {
        match self {
            Self::Temporary => FailureKind::Temporary,
            Self::BadNumber | Self::OptedOut | Self::Blocked | Self::Setup | Self::Other => {
                FailureKind::Permanent
            }
        }
    }

    /// What happened, before Twilio's own words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::BadNumber => "SMS failed: invalid phone number",
            Self::OptedOut => "SMS failed: the person has opted out",
            Self::Blocked => "SMS failed: blocked by the carrier",
            Self::Temporary => "SMS not taken for the moment",
            Self::Setup => "SMS failed: the Twilio account or sender is not set up for it",
            Self::Other => "SMS failed",
        }
    }
}

/// Whether a failure's code says that the person has asked the provider for no more messages.
#[must_use]
pub fn means_opted_out(code: &str) -> bool {
    code.parse()
        .is_ok_and(|code| ErrorClass::of(Some(code), 400) == ErrorClass::OptedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_class_and_an_unknown_one_is_not_tried_again() {
        let table = [
            (Some(21211), 400, ErrorClass::BadNumber),
            (Some(21614), 400, ErrorClass::BadNumber),
            (Some(30006), 400, ErrorClass::BadNumber),
            (Some(21610), 400, ErrorClass::OptedOut),
            (Some(30007), 400, ErrorClass::Blocked),
            (Some(20429), 429, ErrorClass::Temporary),
            (None, 429, ErrorClass::Temporary),
            (Some(20003), 401, ErrorClass::Setup),
            (None, 401, ErrorClass::Setup),
            (Some(99_999), 400, ErrorClass::Other),
            (None, 400, ErrorClass::Other),
        ];
        for (code, status, class) in table {
            assert_eq!(ErrorClass::of(code, status), class, "{code:?} {status}");
        }
        assert_eq!(ErrorClass::Other.kind(), FailureKind::Permanent);
        assert_eq!(ErrorClass::Temporary.kind(), FailureKind::Temporary);
    }
}
